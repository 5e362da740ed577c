"""Any service with an OpenAI-compatible ``/v1/embeddings``: OpenAI, Azure, vLLM, TEI, Ollama, LiteLLM and others."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import Kind
from revector.encoders.service.account import Account
from revector.encoders.service.api import (
    Endpoint,
    address_of_environment,
    request_headers,
    require_fields,
    service_address,
    service_key,
)
from revector.encoders.service.asking import Batch, Service
from revector.encoders.service.batch import BatchApi
from revector.encoders.service.client import RetryPolicy, ServiceClient
from revector.encoders.service.pacing import Pacer, SpendMeter
from revector.encoders.service.parallel import run_bounded
from revector.encoders.service.token_counts import (
    TYPICAL_SHARE,
    TokenCounter,
    TokenEstimate,
    batches,
    count_at_most,
    counter_for,
)
from revector.encoders.sources import OPENAI, Readers, read_source, write_source
from revector.encoders.texts import listed_texts, require_kind, unicode_error
from revector.errors import EncoderError, InvalidArgumentError, RefusedTextsError
from revector.spaces import EmbeddingSpace

__all__ = ["OpenAIEncoder"]

_NONE = "none"

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
    "encoding_format": lambda said: None if said == _NONE else said,
    "max_texts_per_request": int,
    "max_tokens_per_request": int,
    "concurrency": int,
    "timeout_seconds": float,
    "requests_per_minute": float,
    "tokens_per_minute": float,
    "price_per_million_tokens": float,
    "spend_cap": float,
}
_WHOLE = ("dimensions", "known_dimension", "max_texts_per_request", "max_tokens_per_request", "concurrency")


class OpenAIEncoder(Account):
    """Texts to unit rows by a service. Safe to call from several threads.

    Texts are sent in batches within the limits of a request, a few requests at a time, at the pace that is given, and
    rows come back in the order of the texts. What may work later is tried again: lost connections, time-outs, 429 and
    5xx, after the pause the service asks for or one with jitter. A batch that is refused, or that the server fails on
    twice, is halved until the texts that the service does not take stand alone. The empty text is sent as a space, for
    most services refuse it.

    Limits, prices and the spend cap hold for this object, whatever the number of threads that use it; processes do not
    know of each other.

    Parameters
    ----------
    model : str
        As the service calls it.
    base_url : str, optional
        Up to the version (``http://localhost:8000/v1``); ``$OPENAI_BASE_URL`` or that of OpenAI by default.
    api_key : str, optional
        ``$OPENAI_API_KEY`` by default; none is sent if there is none, or if it is ``""``. White space around it is no
        part of it. It is never shown: neither in messages nor in a pickle, which is refused.
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
        Further headers; kept out of messages like the key, which an ``authorization`` replaces.
    encoding_format : {"base64", "float", None}
        How vectors are asked for; either is understood. base64 is a third of the size. With ``None`` the service is not
        told; one that refuses to be told is asked without from then on.
    max_texts_per_request, max_tokens_per_request : int
        Limits of a request. A text that is longer than the second is sent alone.
    count_tokens : callable, optional
        Returns the tokens of each of some texts. By default tiktoken's if it is installed and knows the model, else an
        upper bound (`revector.encoders.service.token_counts.count_at_most`).
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
        An argument cannot be used, or a variable of the environment.
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
        encoding_format: Literal["base64", "float"] | None = "base64",
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
        try:
            key, sent = service_key(api_key), request_headers({} if headers is None else headers)
            address = None if base_url is None else service_address(base_url, "base_url")
        finally:
            del api_key, headers, base_url  # or a traceback with its locals would show them
        given = {**locals(), "base_url": address}
        _require_arguments(given)
        self._model, self._revision = model, revision
        self._prefixes = {"query": query_prefix, "document": document_prefix}
        self._fields = {"query": dict(query_fields or {}), "document": dict(document_fields or {})}
        self._most_texts, self._most_tokens = max_texts_per_request, max_tokens_per_request
        self._count = count_tokens or counter_for(model)
        self._concurrency = concurrency
        self._meter = SpendMeter(price_per_million_tokens, spend_cap)
        self._said = None if sent else _said(given)
        self._endpoint = Endpoint(
            address or address_of_environment(),
            key=key,
            headers=sent,
            timeout_seconds=timeout_seconds,
            connections=concurrency,
        )
        asked = {"encoding_format": encoding_format, "dimensions": dimensions}
        self._pacer = pacer or Pacer(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
        self._retries = retries or RetryPolicy()
        client = ServiceClient(
            self._endpoint,
            {"model": model, **{name: value for name, value in asked.items() if value is not None}},
            pacer=self._pacer,
            meter=self._meter,
            retries=self._retries,
        )
        self._service = Service(
            client, connections=concurrency, dimension=dimensions or known_dimension, check_model=check_model
        )

    @classmethod
    def from_source(cls, source: str) -> OpenAIEncoder:
        """Make an encoder from what `source` says: ``openai:MODEL?dimensions=256&spend_cap=5&…``.

        Raises
        ------
        InvalidArgumentError
            Another scheme, an unknown name, or a value that cannot be read.
        """
        model, options = read_source(source, OPENAI, _IN_SOURCE)
        return cls(model, **options)

    @property
    def _again(self) -> str:
        """How to make the same encoder in another process."""
        return super()._again if self._said is None else f"by OpenAIEncoder.from_source({self.source!r})"

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
            dimension=self._service.dimension(self._fields["document"]),
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
        learned: dict[str, Any] = {}
        if "dimensions" not in self._said:
            learned["known_dimension"] = self._service.known_dimension
        if "encoding_format" in self._service.without:
            learned["encoding_format"] = _NONE
        return write_source(OPENAI, self._model, {**self._said, **learned})

    @property
    def batches(self) -> BatchApi:
        """The service's batch jobs, for documents: half the price, within a day."""
        service = self._service
        return BatchApi(
            self._endpoint,
            fields=lambda: service.fields(self._fields["document"]),
            prepare=lambda texts: self._prepared(texts, "document"),
            count=self._counts,
            dimension=lambda: service.dimension(self._fields["document"]),
            require_model=service.require_same_model,
            meter=self._meter,
            retries=self._retries,
            clock=self._pacer.clock,
        )

    def estimate(self, texts: Sequence[str], *, kind: Kind = "document") -> TokenEstimate:
        """Say what `encode` would take, without sending anything.

        Parameters
        ----------
        texts : sequence of str
        kind : {"document", "query"}
        """
        at_most = sum(self._counts(self._prepared(texts, kind)))
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
            The service cannot be reached, refuses everything, or gives answers that cannot be right.
        """
        prepared = self._prepared(texts, kind)
        rows = np.full((len(prepared), self.space.dimension), np.nan, np.float32)
        invalid = {place: "not valid Unicode" for place, text in enumerate(prepared) if unicode_error(text)}
        sound = [place for place in range(len(prepared)) if place not in invalid]
        asked = self._batches([prepared[place] for place in sound], sound, self._fields[kind], rows)
        try:
            refused = run_bounded(self._service.fill, asked, threads=self._concurrency)
        except EncoderError as error:
            error.rows = rows
            raise
        reasons = {place: reason for part in (invalid, *refused) for place, reason in part.items()}
        if reasons:
            raise RefusedTextsError(reasons, rows)
        return rows

    def _batches(
        self, texts: Sequence[str], places: Sequence[int], fields: Mapping[str, Any], rows: NDArray[np.float32]
    ) -> list[Batch]:
        tokens = self._counts(texts)
        together = batches(tokens, max_tokens=self._most_tokens, max_texts=self._most_texts)
        slices = [slice(one.start, one.stop) for one in together]
        return [Batch(texts[part], tokens[part], fields, places[part], rows) for part in slices]

    def _counts(self, texts: Sequence[str]) -> Sequence[int]:
        try:
            counts = self._count(texts)
        except Exception as error:  # of the caller's function, or of tiktoken
            raise EncoderError(f"counting tokens failed: {type(error).__name__}: {error}") from error
        if len(counts) != len(texts):
            raise EncoderError(f"count_tokens returned {len(counts)} numbers for {len(texts)} texts")
        return counts

    def _prepared(self, texts: Sequence[str], kind: Kind) -> list[str]:
        require_kind(kind)
        return [self._prefixes[kind] + text or " " for text in listed_texts(texts)]

    def _share(self) -> float:
        """Tokens that are charged for each that is counted."""
        if self._service.counted:
            return self._meter.tokens / self._service.counted
        return TYPICAL_SHARE if self._count is count_at_most else 1.0


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a source repeats."""
    defaults = inspect.signature(OpenAIEncoder).parameters
    said = {name: given[name] for name in _IN_SOURCE if given[name] != defaults[name].default}
    if "encoding_format" in said:
        said["encoding_format"] = said["encoding_format"] or _NONE
    return said


def _require_arguments(given: Mapping[str, Any]) -> None:
    if not isinstance(given["model"], str) or not given["model"] or "?" in given["model"]:
        raise InvalidArgumentError(f"model is {given['model']!r}, expected a name without '?'")
    if given["encoding_format"] not in ("base64", "float", None):
        raise InvalidArgumentError(
            f"encoding_format is {given['encoding_format']!r}, expected 'base64', 'float' or None"
        )
    for name in _WHOLE:
        if given[name] is not None and (type(given[name]) is not int or given[name] < 1):
            raise InvalidArgumentError(f"{name} is {given[name]!r}, expected a whole number of more than 0")
    if not isinstance(given["timeout_seconds"], (int, float)) or not given["timeout_seconds"] > 0:
        raise InvalidArgumentError(f"timeout_seconds is {given['timeout_seconds']!r}, expected more than 0")
    for name in ("query_prefix", "document_prefix"):
        if not isinstance(given[name], str):
            raise InvalidArgumentError(f"{name} is {type(given[name]).__name__}, expected str")
    for name in ("query_fields", "document_fields"):
        require_fields(name, given[name])
    if given["pacer"] is not None and (given["requests_per_minute"] or given["tokens_per_minute"]):
        raise InvalidArgumentError("give a pacer, or requests_per_minute and tokens_per_minute, not both")
