"""A client of an embedding service that stays within its limits, tries again what may work, and counts the money."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from revector.encoders.embeddings_api import Answer, Endpoint, NotJsonError, Reply, UnansweredError, read_answer
from revector.encoders.pacing import Pacer, SpendMeter, pause_asked, pause_until_reset
from revector.errors import EncoderError, InvalidArgumentError, PortableError, RateLimitedError, ServiceError

__all__ = ["EmbeddingsClient", "RetryPolicy", "TextsNotTakenError"]

_TEXTS_NOT_TAKEN = frozenset({400, 413, 422})
_RATE_LIMITED = 429
_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# A quota that is used up answers like a limit, and no waiting helps.
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_REMEDIES = {
    401: "; check the API key",
    403: "; check what the API key may do",
    404: "; check base_url and the model's name",
    405: "; check base_url",
}


class TextsNotTakenError(EncoderError):
    """The service does not take these texts together, or one of them."""


@dataclass(frozen=True)
class RetryPolicy:
    """When to try a request again.

    Parameters
    ----------
    attempts : int
        At most, the first one included.
    deadline_seconds : float
        No attempt begins later than this after the first one.
    backoff_seconds, backoff_most_seconds : float
        Where the service does not ask for a pause, it is a random share of the first, doubled with every attempt up to
        the second ("full jitter": clients that failed together do not come back together).
    """

    attempts: int = 6
    deadline_seconds: float = 300.0
    backoff_seconds: float = 1.0
    backoff_most_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidArgumentError(f"attempts is {self.attempts}, expected at least 1")
        for name in ("deadline_seconds", "backoff_seconds", "backoff_most_seconds"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}, expected at least 0")

    def pause(self, attempt: int, random_share: float) -> float:
        """Return the seconds to wait after the attempt of that number (from 1)."""
        doubled = self.backoff_seconds * 2.0 ** min(attempt - 1, 64)
        return random_share * min(self.backoff_most_seconds, doubled)


class _TryAgain(PortableError):  # noqa: N818 - never leaves this module
    """An attempt failed in a way that another one may not."""

    def __init__(self, reason: str, *, status: int | None = None, body: str = "", pause: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.body, self.pause = status, body, pause

    def final(self, attempts: int) -> EncoderError:
        """Return what the caller is told when there is no further attempt."""
        tried = f"after {attempts} attempt{'s' * (attempts > 1)}: {self}"
        if self.status != _RATE_LIMITED:
            return ServiceError(tried, status=self.status, body=self.body)
        asked = "" if self.pause is None else f"; it asks to wait {self.pause:.3g} s"
        return RateLimitedError(f"{tried}{asked}; send less, or wait", retry_after_seconds=self.pause)


@dataclass
class _Charge:
    """Tokens that a request is answerable for."""

    tokens: int


class EmbeddingsClient:
    """Asks one model of a service for rows. Safe to share between threads.

    Parameters
    ----------
    endpoint : Endpoint
    payload : mapping
        Fields of every request.
    pacer : Pacer
        Lets requests through; its clock is the client's.
    meter : SpendMeter
        Counts the tokens.
    retries : RetryPolicy
    uniform : callable
        Returns a random number in [0, 1).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        payload: Mapping[str, Any],
        *,
        pacer: Pacer,
        meter: SpendMeter,
        retries: RetryPolicy,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self._payload = dict(payload)
        self._pacer, self._meter, self._retries, self._uniform = pacer, meter, retries, uniform

    def embed(
        self,
        texts: Sequence[str],
        fields: Mapping[str, Any],
        *,
        tokens: int,
        dimension: int | None,
        stop: threading.Event,
    ) -> Answer:
        """Ask for the rows of some texts in one request.

        Parameters
        ----------
        texts : sequence of str
        fields : mapping
            Further fields of the request.
        tokens : int
            What it will be charged, at most.
        dimension : int or None
            Expected length of a row, if it is known.
        stop : threading.Event
            Ends every wait with `Stopped`.

        Raises
        ------
        TextsNotTakenError
            The service refuses these texts.
        RateLimitedError, SpendCapError, ServiceError
            It refuses for now; there is no money for it; it fails.
        """
        clock, began = self._pacer.clock, self._pacer.clock.now()

        def gives_up(state: RetryCallState) -> bool:
            elapsed = clock.now() - began + state.upcoming_sleep
            return state.attempt_number >= self._retries.attempts or elapsed > self._retries.deadline_seconds

        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=self._pause,
            stop=gives_up,
            sleep=lambda seconds: clock.wait(seconds, stop),
            reraise=True,
        )
        try:
            return retrying(self._attempt, texts, fields, tokens, dimension, stop)
        except _TryAgain as last:
            raise last.final(retrying.statistics["attempt_number"]) from last.__cause__

    def _pause(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        asked = failure.pause if isinstance(failure, _TryAgain) else None
        return asked or self._retries.pause(state.attempt_number, self._uniform())

    def _attempt(
        self,
        texts: Sequence[str],
        fields: Mapping[str, Any],
        tokens: int,
        dimension: int | None,
        stop: threading.Event,
    ) -> Answer:
        with self._charged(tokens, stop) as charge:
            reply = self._post({**self._payload, **fields, "input": list(texts)}, charge)
            if not 200 <= reply.status < 300:
                charge.tokens = 0
                raise self._refusal(reply)
            answer = self._read(reply, len(texts), dimension)
            charge.tokens = tokens if answer.tokens is None else answer.tokens
        reset = pause_until_reset(reply.headers)
        if reset:
            self._pacer.pause(reset)
        return answer

    @contextmanager
    def _charged(self, tokens: int, stop: threading.Event) -> Iterator[_Charge]:
        """Set money and allowance aside for a request, and settle with what it used."""
        self._meter.reserve(tokens, stop)
        charge = _Charge(0)
        try:
            self._pacer.admit(tokens, stop)
            charge.tokens = tokens  # what has no answer counts in full: the service may have done the work
            yield charge
        finally:
            self._meter.settle(tokens, charge.tokens)
            self._pacer.give_back(tokens - charge.tokens)

    def _post(self, payload: Mapping[str, Any], charge: _Charge) -> Reply:
        try:
            return self.endpoint.post(payload)
        except UnansweredError as error:
            charge.tokens *= error.sent
            raise _TryAgain(str(error)) from error

    def _read(self, reply: Reply, n_texts: int, dimension: int | None) -> Answer:
        excerpt = self.endpoint.excerpt(reply.body)
        try:
            return read_answer(reply.body, n_texts=n_texts, dimension=dimension)
        except NotJsonError as error:
            raise _TryAgain(
                f"{self.endpoint.url} answered with something else than JSON: {excerpt!r}",
                status=reply.status,
                body=excerpt,
            ) from error
        except ServiceError as error:
            message = f"{self.endpoint.url} gave an answer that can not be right: {error}"
            raise ServiceError(message, status=reply.status, body=excerpt) from error

    def _refusal(self, reply: Reply) -> Exception:
        excerpt = self.endpoint.excerpt(reply.body)
        said = f"{self.endpoint.url} answered {reply.status}: {excerpt!r}"
        if reply.status in _TEXTS_NOT_TAKEN:
            return TextsNotTakenError(said)
        if reply.status not in _TRY_AGAIN or (reply.status == _RATE_LIMITED and _code(reply.body) in _QUOTA):
            return ServiceError(said + _REMEDIES.get(reply.status, ""), status=reply.status, body=excerpt)
        pause = pause_asked(reply.headers, self._pacer.clock.wall())
        if pause is not None:
            self._pacer.pause(pause)  # the other threads need not find out for themselves
        return _TryAgain(said, status=reply.status, body=excerpt, pause=pause)


def _code(body: bytes) -> str | None:
    """Return the code of an error in OpenAI's form."""
    try:
        error = json.loads(body)["error"]
        return str(error.get("code") or error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
