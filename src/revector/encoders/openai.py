"""Any service with an OpenAI-compatible ``/v1/embeddings``: OpenAI, Azure, vLLM, TEI, Ollama, LiteLLM and others."""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import Kind
from revector.encoders.embeddings_api import Answer, Endpoint
from revector.encoders.embeddings_client import EmbeddingsClient, RetryPolicy, TextsNotTakenError
from revector.encoders.pacing import Pacer, SpendMeter
from revector.encoders.parallel import run_bounded
from revector.encoders.sources import OPENAI, Readers, read_source, write_source
from revector.encoders.texts import listed_texts, require_kind, unicode_error
from revector.encoders.token_counts import (
    TYPICAL_SHARE,
    TokenCounter,
    TokenEstimate,
    batches,
    count_at_most,
    counter_for,
)
from revector.errors import EncoderError, InvalidArgumentError, RefusedTextsError, ServiceError
from revector.spaces import EmbeddingSpace

__all__ = ["OpenAIEncoder"]

_BASE_URL = "https://api.openai.com/v1"
_HARMLESS = "a"
_SERVER_FAILED = 500

# What a source may say beside the model, and how it is read. Keys and headers are secrets and never part of it.
_IN_SOURCE: Readers = {
    "base_url": str,
    "dimensions": int,
    "known_dimension": int,
    "revision": str,
    "query_prefix": str,
    "document_prefix": str,
    "query_fields": json.loads,
    "document_fields": json.loads,
    "encoding_format": str,
    "max_texts_per_request": int,
    "max_tokens_per_request": int,
    "concurrency": int,
    "timeout_seconds": float,
    "requests_per_minute": float,
    "tokens_per_minute": float,
    "price_per_million_tokens": float,
    "spend_cap": float,
}
_POSITIVE = (
    "dimensions",
    "known_dimension",
    "max_texts_per_request",
    "max_tokens_per_request",
    "concurrency",
    "timeout_seconds",
)


class OpenAIEncoder:
    """Texts to unit rows by a service. Safe to call from several threads.

    Texts are sent in batches within the limits of a request, a few requests at a time, at the pace that is given, and
    rows come back in the order of the texts. What may work later is tried again: lost connections, time-outs, 429 and
    5xx, after the pause the service asks for or one with jitter. A batch that is refused is halved until the texts that
    the service does not take stand alone. The empty text is sent as a space, for most services refuse it.

    Limits, prices and the spend cap hold for this object, whatever the number of threads that use it; processes do not
    know of each other.

    Parameters
    ----------
    model : str
        As the service calls it.
    base_url : str, optional
        Up to the version (``http://localhost:8000/v1``); ``$OPENAI_BASE_URL`` or that of OpenAI by default.
    api_key : str, optional
        ``$OPENAI_API_KEY`` by default; none is sent if there is none.
    dimensions : int, optional
        Ask for shorter vectors (models that are trained for it).
    known_dimension : int, optional
        How long the service's vectors are. Without this and `dimensions` it is asked once, with a text of one letter.
    revision : str, optional
        Identifies the model's weights: vectors of encoders with equal revisions are taken to be comparable. The model's
        name by default; give more where a name does not say which weights are served.
    query_prefix, document_prefix : str
        Put before every text of a kind.
    query_fields, document_fields : mapping, optional
        Further JSON fields of requests of a kind (``{"input_type": "query"}``).
    headers : mapping of str to str, optional
        Further headers; kept out of messages like the key.
    encoding_format : {"base64", "float"}
        How vectors are asked for; either is understood. base64 is a third of the size.
    max_texts_per_request, max_tokens_per_request : int
        Limits of a request. A text that is longer than the second is sent alone.
    count_tokens : callable, optional
        Returns the tokens of each of some texts. By default tiktoken's if it is installed and knows the model, else an
        upper bound (`revector.encoders.token_counts.count_at_most`).
    concurrency : int
        Most requests under way.
    timeout_seconds : float
        Longest silence of the service before an attempt is given up.
    requests_per_minute, tokens_per_minute : float, optional
        The account's limits.
    pacer : Pacer, optional
        One that is shared with other encoders, in place of the two.
    price_per_million_tokens : float, optional
        In any currency.
    spend_cap : float, optional
        In the same currency: a request that could go beyond it is not sent. Counted from the tokens that the service
        reports, or from our own count where it reports none, or where an answer got lost.
    retries : RetryPolicy, optional
        When to try again.
    check_model : bool
        Refuse answers from another model than the first answer's.

    Raises
    ------
    InvalidArgumentError
        An argument can not be used.
    ImportError
        The extra ``openai`` is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        known_dimension: int | None = None,
        revision: str | None = None,
        query_prefix: str = "",
        document_prefix: str = "",
        query_fields: Mapping[str, Any] | None = None,
        document_fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        encoding_format: Literal["base64", "float"] = "base64",
        max_texts_per_request: int = 128,
        max_tokens_per_request: int = 250_000,
        count_tokens: TokenCounter | None = None,
        concurrency: int = 4,
        timeout_seconds: float = 60.0,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        pacer: Pacer | None = None,
        price_per_million_tokens: float | None = None,
        spend_cap: float | None = None,
        retries: RetryPolicy | None = None,
        check_model: bool = True,
    ) -> None:
        given = dict(locals())
        _require_arguments(given)
        self._model, self._revision, self._check_model = model, revision, check_model
        self._prefixes = {"query": query_prefix, "document": document_prefix}
        self._fields = {"query": dict(query_fields or {}), "document": dict(document_fields or {})}
        self._most_texts, self._most_tokens = max_texts_per_request, max_tokens_per_request
        self._count = count_tokens or counter_for(model)
        self._concurrency = concurrency
        self._meter = SpendMeter(price_per_million_tokens, spend_cap)
        self._said = None if headers else _said(given)
        self._client = EmbeddingsClient(
            Endpoint(
                base_url or os.environ.get("OPENAI_BASE_URL") or _BASE_URL,
                headers=_headers(api_key or os.environ.get("OPENAI_API_KEY"), headers),
                timeout_seconds=timeout_seconds,
                connections=concurrency,
            ),
            {"model": model, "encoding_format": encoding_format, **({"dimensions": dimensions} if dimensions else {})},
            pacer=pacer or Pacer(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute),
            meter=self._meter,
            retries=retries or RetryPolicy(),
        )
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._dimension = dimensions or known_dimension
        self._served_model: str | None = None
        self._counted = 0
        self._has_answered = False

    @classmethod
    def from_source(cls, source: str) -> OpenAIEncoder:
        """Make an encoder from what `source` says: ``openai:MODEL?dimensions=256&spend_cap=5&…``.

        Raises
        ------
        InvalidArgumentError
            Another scheme, an unknown name, or a value that can not be read.
        """
        model, options = read_source(source, OPENAI, _IN_SOURCE)
        return cls(model, **options)

    def __repr__(self) -> str:
        """Return model and address; never the key."""
        return f"OpenAIEncoder({self._model!r}, base_url={self._client.endpoint.url.removesuffix('/embeddings')!r})"

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors. Asked for the first time where the dimension is not known, it costs a request.

        Raises
        ------
        EncoderError
            The service did not answer that request.
        """
        fields = {kind: added for kind, added in self._fields.items() if added}
        revision = self._revision or self._model
        return EmbeddingSpace(
            model=self._model,
            dimension=self._known_dimension(),
            revision="service:" + revision + (json.dumps(fields, sort_keys=True) if fields else ""),
            pooling="service",
            query_prefix=self._prefixes["query"],
            document_prefix=self._prefixes["document"],
            truncation="refused",
        )

    @property
    def source(self) -> str | None:
        """The arguments as a string for `from_source`, without the key; ``None`` if there are headers of one's own."""
        if self._said is None:
            return None
        learned = {} if "dimensions" in self._said else {"known_dimension": self._dimension}
        return write_source(OPENAI, self._model, {**self._said, **learned})

    @property
    def tokens_used(self) -> int:
        """Tokens that were charged so far."""
        return self._meter.tokens

    @property
    def spent(self) -> float:
        """Money spent so far; 0 without a price."""
        return self._meter.spent

    def estimate(self, texts: Sequence[str], *, kind: Kind = "document") -> TokenEstimate:
        """Say what `encode` would take, without sending anything.

        Parameters
        ----------
        texts : sequence of str
        kind : {"document", "query"}
        """
        at_most = sum(self._count(self._prepared(texts, kind)))
        tokens = round(at_most * self._share())
        return TokenEstimate(tokens, at_most, self._meter.price_of(tokens))

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of str
            Any number. What is longer than the model takes is refused by the service, and named.
        kind : {"document", "query"}
            Which prefix and fields to send.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            Unit rows in input order.

        Raises
        ------
        InvalidArgumentError
            Something else than a sequence of str, or an unknown kind.
        RefusedTextsError
            The service does not take some of the texts; it holds the rows of the others.
        RateLimitedError
            The service refuses for longer than `retries` waits.
        SpendCapError
            The next request could cost more than is left of the spend cap.
        ServiceError
            The service can not be reached, refuses everything, or gives answers that can not be right.
        """
        prepared = self._prepared(texts, kind)
        rows = np.full((len(prepared), self._known_dimension()), np.nan, np.float32)
        counts = self._count(prepared)
        ranges = list(batches(counts, max_tokens=self._most_tokens, max_texts=self._most_texts))

        def embed(places: range, stop: threading.Event) -> dict[int, str]:
            return self._embed(prepared, counts, places, self._fields[kind], rows, stop)

        refused = run_bounded(embed, ranges, threads=self._concurrency)
        reasons = {place: reason for part in refused for place, reason in part.items()}
        if reasons:
            raise RefusedTextsError(reasons, rows)
        return rows

    def close(self) -> None:
        """Close the connections."""
        self._client.endpoint.close()

    def _prepared(self, texts: Sequence[str], kind: Kind) -> list[str]:
        require_kind(kind)
        return [self._prefixes[kind] + text or " " for text in listed_texts(texts)]

    def _embed(
        self,
        texts: Sequence[str],
        counts: Sequence[int],
        places: range,
        fields: Mapping[str, Any],
        rows: NDArray[np.float32],
        stop: threading.Event,
    ) -> dict[int, str]:
        """Fill the rows of some texts; return why others have none."""
        invalid = {place: "not valid Unicode" for place in places if unicode_error(texts[place])}
        if invalid and len(places) == 1:
            return invalid
        if not invalid:
            try:
                asked = [texts[place] for place in places]
                answer = self._ask(asked, fields, sum(counts[place] for place in places), stop)
                return _fill(rows, places, answer.rows)
            except (TextsNotTakenError, ServiceError) as error:
                self._require_that_texts_are_to_blame(error, fields, stop)
                if len(places) == 1:
                    return {places[0]: str(error)}
        middle = len(places) // 2
        return {
            place: reason
            for half in (places[:middle], places[middle:])
            for place, reason in self._embed(texts, counts, half, fields, rows, stop).items()
        }

    def _ask(self, texts: Sequence[str], fields: Mapping[str, Any], tokens: int, stop: threading.Event) -> Answer:
        with self._slots:  # one in every thread that calls: the bound holds for all of them together
            answer = self._client.embed(texts, fields, tokens=tokens, dimension=self._dimension, stop=stop)
        with self._lock:
            self._require_same_model(answer.model)
            self._has_answered = True
            self._counted += tokens
        return answer

    def _require_that_texts_are_to_blame(
        self, error: EncoderError, fields: Mapping[str, Any], stop: threading.Event
    ) -> None:
        """Raise `ServiceError` if the service would not take a harmless text, either.

        A refusal is believed once anything was accepted. A server that fails is asked again: it may fail on these texts
        alone, or on everything by now.
        """
        if isinstance(error, ServiceError) and error.status != _SERVER_FAILED:
            raise error
        if isinstance(error, TextsNotTakenError) and self._has_answered:
            return
        try:
            self._ask([_HARMLESS], fields, sum(self._count([_HARMLESS])), stop)
        except TextsNotTakenError as again:
            raise ServiceError(f"{again}; it refuses the text {_HARMLESS!r}, too: check the arguments") from error

    def _known_dimension(self) -> int:
        if self._dimension is None:
            tokens = sum(self._count([_HARMLESS]))
            rows = self._ask([_HARMLESS], self._fields["document"], tokens, threading.Event()).rows
            self._dimension = rows.shape[1]
        return self._dimension

    def _require_same_model(self, served: str | None) -> None:
        if served is None or not self._check_model:
            return
        if self._served_model not in (None, served):
            raise ServiceError(
                f"{self._client.endpoint.url} answers with the model {served!r} by now, and did with "
                f"{self._served_model!r}; vectors of two models can not be compared: name the model exactly, "
                "or pass check_model=False if both names are of the same weights"
            )
        self._served_model = served

    def _share(self) -> float:
        """Tokens that are charged for each that is counted."""
        with self._lock:
            if self._counted:
                return self._meter.tokens / self._counted
        return TYPICAL_SHARE if self._count is count_at_most else 1.0


def _fill(rows: NDArray[np.float32], places: range, found: NDArray[np.float32]) -> dict[int, str]:
    """Write unit rows where they belong; return the places that got something else than numbers."""
    finite: NDArray[np.bool_] = np.all(np.isfinite(found), axis=1)
    rows[places.start : places.stop][finite] = _unit(found[finite])
    return {places[i]: "the service returned NaN or infinity" for i in np.flatnonzero(~finite)}


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)


def _headers(api_key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**({"Authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})}


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a source repeats."""
    defaults = inspect.signature(OpenAIEncoder).parameters
    return {name: given[name] for name in _IN_SOURCE if given[name] != defaults[name].default}


def _require_arguments(given: Mapping[str, Any]) -> None:
    if not given["model"] or "?" in given["model"]:
        raise InvalidArgumentError(f"model is {given['model']!r}, expected a name without '?'")
    if given["encoding_format"] not in ("base64", "float"):
        raise InvalidArgumentError(f"encoding_format is {given['encoding_format']!r}, expected 'base64' or 'float'")
    for name in _POSITIVE:
        if given[name] is not None and not given[name] > 0:
            raise InvalidArgumentError(f"{name} is {given[name]}, expected more than 0")
    if given["pacer"] is not None and (given["requests_per_minute"] or given["tokens_per_minute"]):
        raise InvalidArgumentError("give a pacer, or requests_per_minute and tokens_per_minute, not both")
