"""The one way to ask a service for rows: what it refuses is halved until the bad texts stand alone.

A refusal is blamed on the texts only if the service takes a harmless text before they are halved, and still does
afterwards. A server that fails on a batch is tried once more; its parts are not waited for again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.encoders.service.answers import Answer
from revector.encoders.service.client import (
    BlamedTextsError,
    Patience,
    ServerFailedError,
    ServiceClient,
    TextsNotTakenError,
)
from revector.errors import ServiceError

__all__ = ["Batch", "Service", "unit_rows"]

_HARMLESS = "a"
_HARMLESS_TOKENS = 5  # as `count_at_most` says
_FAILURES = 2  # a server may fail on the same texts, before they are under suspicion
_OPTIONAL = ("encoding_format", "dimensions")


@dataclass(frozen=True)
class Batch:
    """Texts that are sent together, and where their rows go.

    Attributes
    ----------
    texts : sequence of str
    tokens : sequence of int
        Of each text, at most.
    fields : mapping
        Further fields of the request.
    places : sequence of int
        Where the row of each text belongs.
    rows : ndarray of float32, shape (n, dimension)
        What is filled.
    """

    texts: Sequence[str]
    tokens: Sequence[int]
    fields: Mapping[str, Any]
    places: Sequence[int]
    rows: NDArray[np.float32]

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two halves."""
        middle = len(self.texts) // 2
        first, second = slice(None, middle), slice(middle, None)
        return self._part(first), self._part(second)

    def _part(self, of: slice) -> Batch:
        return replace(self, texts=self.texts[of], tokens=self.tokens[of], places=self.places[of])

    def fill(self, found: NDArray[np.float32]) -> dict[int, str]:
        """Write unit rows where they belong; return the places that got something else than numbers."""
        finite: NDArray[np.bool_] = np.all(np.isfinite(found), axis=1)
        places = np.asarray(self.places)
        self.rows[places[finite]] = unit_rows(found[finite])
        return dict.fromkeys(places[~finite].tolist(), "the service returned NaN or infinity")


class Service:
    """A model of a service. Safe to share between threads.

    Parameters
    ----------
    client : ServiceClient
    connections : int
        Most requests under way.
    dimension : int or None
        Length of a row, if it is known.
    check_model : bool
        Refuse answers from another model than the first answer's.
    """

    def __init__(self, client: ServiceClient, *, connections: int, dimension: int | None, check_model: bool) -> None:
        self.client = client
        self.without: frozenset[str] = frozenset()
        self.counted = 0
        self._dimension, self._check_model = dimension, check_model
        self._served_model: str | None = None
        self._has_answered = False
        self._connections = connections
        self._renew_locks()
        renew_in_child(self._renew_locks)

    def _renew_locks(self) -> None:
        self._slots = threading.BoundedSemaphore(self._connections)
        self._lock, self._probing = threading.Lock(), threading.RLock()

    @property
    def known_dimension(self) -> int | None:
        """Length of a row, if it is known already."""
        return self._dimension

    def fields(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a request beside its texts, without those that the service refuses."""
        kept = {name: value for name, value in self.client.payload.items() if name not in self.without}
        return {**kept, **more}

    def dimension(self, fields: Mapping[str, Any]) -> int:
        """Return the length of a row; ask for it where it is not known."""
        if self._dimension is not None:
            return self._dimension
        with self._probing:  # so that it is asked once, however many threads want to know
            if self._dimension is None:
                self._dimension = self._probe(fields, self.client.patience(), threading.Event()).rows.shape[1]
            return self._dimension

    def fill(self, batch: Batch, stop: threading.Event) -> dict[int, str]:
        """Fill the rows of some texts; return by place why others have none.

        Raises
        ------
        RateLimitedError, SpendCapError, ServiceError
            No text is at fault.
        """
        patience, without = self.client.patience(_FAILURES), self.without
        try:
            return batch.fill(self._ask(batch, patience, stop, without).rows)
        except BlamedTextsError as error:
            self._probe(batch.fields, _after(error, patience), stop)
            if self.without != without:
                return self.fill(batch, stop)
            reasons = self._isolate(batch, error, patience, stop)
        if reasons:
            self._probe(batch.fields, replace(patience, failures=None), stop)
        return reasons

    def _isolate(
        self, batch: Batch, error: BlamedTextsError, patience: Patience, stop: threading.Event
    ) -> dict[int, str]:
        if len(batch.texts) == 1:
            return {batch.places[0]: str(error)}
        reasons: dict[int, str] = {}
        for half in batch.halves():
            last = replace(patience, failures=_FAILURES if len(half.texts) == 1 else 1)
            try:
                reasons |= half.fill(self._ask(half, last, stop, self.without).rows)
            except BlamedTextsError as again:
                reasons |= self._isolate(half, again, patience, stop)
        return reasons

    def _probe(self, fields: Mapping[str, Any], patience: Patience, stop: threading.Event) -> Answer:
        """Ask for a harmless text: a service that refuses it refuses everything.

        One that has not answered yet may refuse a field: it is asked without, and from then on goes without.
        """
        harmless = Batch([_HARMLESS], [_HARMLESS_TOKENS], fields, [0], np.empty((0, 0), np.float32))
        with self._probing:
            without, first = self.without, None
            while True:
                try:
                    answer = self._ask(harmless, patience, stop, without)
                except ServerFailedError as error:
                    raise ServiceError(str(error), status=error.status, body=error.body) from error.__cause__
                except TextsNotTakenError as error:
                    first = first or error
                    field = None if self._has_answered else self._refused_field(str(error), without)
                    if field is None:
                        raise _refuses_all(first) from None
                    without |= {field}
                except ServiceError:
                    if first is None:
                        raise
                    raise _refuses_all(first) from None
                else:
                    self.without = without
                    return answer

    def _refused_field(self, said: str, without: frozenset[str]) -> str | None:
        """Return the field that may be why a service refuses all requests."""
        left = [name for name in _OPTIONAL if name in self.client.payload and name not in without]
        named = [name for name in left if name in said or (name == "dimensions" and "matryoshka" in said.lower())]
        return next(iter([*named, *(name for name in left if name == "encoding_format")]), None)

    def _ask(self, batch: Batch, patience: Patience, stop: threading.Event, without: frozenset[str]) -> Answer:
        tokens = sum(batch.tokens)
        with self._slots:  # one in every thread that calls: the bound holds for all of them together
            answer = self.client.embed(
                batch.texts,
                batch.fields,
                without=without,
                tokens=tokens,
                dimension=self._dimension,
                patience=patience,
                stop=stop,
            )
        with self._lock:
            self.require_same_model(answer.model)
            self._has_answered = True
            self.counted += tokens
        return answer

    def require_same_model(self, served: str | None) -> None:
        """Raise `ServiceError` if an answer is of another model than the first one was."""
        if served is None or not self._check_model:
            return
        if self._served_model not in (None, served):
            endpoint = self.client.endpoint
            raise ServiceError(
                f"{endpoint.url} answers with the model {endpoint.shown(served)!r} by now, and did with "
                f"{endpoint.shown(self._served_model)!r}; vectors of two models cannot be compared: name the model "
                "exactly, or pass check_model=False if both names are of the same weights"
            )
        self._served_model = served


def _after(error: BlamedTextsError, patience: Patience) -> Patience:
    """Return the patience that is left for a harmless text."""
    return Patience(patience.began, earlier=error.attempts if isinstance(error, ServerFailedError) else 0)


def _refuses_all(error: TextsNotTakenError) -> ServiceError:
    message = f"{error}; it refuses the text {_HARMLESS!r}, too: check the arguments, the API key and the model's name"
    return ServiceError(message, status=error.status, body=error.body)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows at unit length; a row of zeros stays one."""
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)
