"""A client of an embedding service that stays within its limits, tries again what may work, and counts the money."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from revector.encoders.service.answers import Answer, NotJsonError, RefusalInAnswerError, is_used_up, read_answer
from revector.encoders.service.api import Reply, UnansweredError
from revector.encoders.service.pacing import Pacer, SpendMeter, pause_asked, pause_until_reset
from revector.errors import EncoderError, InvalidArgumentError, PortableError, RateLimitedError, ServiceError

__all__ = [
    "BlamedTextsError",
    "Patience",
    "Question",
    "RetryPolicy",
    "ServerFailedError",
    "ServiceClient",
    "TextsNotTakenError",
]

_OK = frozenset(range(200, 300)) - {204, 205}  # which have no body
_SERVER_FAILED = range(500, 600)
_TEXTS_NOT_TAKEN = frozenset({400, 413, 422})
_RATE_LIMITED = 429
_OVERLOADED = 529
_TRY_AGAIN = frozenset({408, 409, 425, _RATE_LIMITED, 500, 502, 503, 504, _OVERLOADED})
_ELSEWHERE = "; it redirects: give the address that it redirects to as base_url"
_REMEDIES = {
    **dict.fromkeys((204, 205), "; check base_url and the model's name"),
    **dict.fromkeys((301, 302, 303, 307, 308), _ELSEWHERE),
    401: "; check the API key",
    402: "; check what the account may still spend",
    403: "; check what the API key may do",
    404: "; check base_url and the model's name",
    405: "; check base_url",
}
_BYTES_OF_AN_ANSWER = 16 << 20
_BYTES_OF_A_ROW = 1 << 20  # 40,000 numbers, written out


class BlamedTextsError(EncoderError):
    """A request failed, maybe because of its texts. Never leaves the encoder.

    Attributes
    ----------
    status : int or None
        HTTP status of the answer, or what it stands for; ``None`` if there was none.
    body : str
        The beginning of the answer.
    attempts : int
        How often it was tried.
    """

    def __init__(self, message: str, *, status: int | None, body: str, attempts: int = 1) -> None:
        super().__init__(message)
        self.status, self.body, self.attempts = status, body, attempts


class TextsNotTakenError(BlamedTextsError):
    """The service does not take these texts together, or one of them."""


class ServerFailedError(BlamedTextsError):
    """The server failed on these texts, or fails on any."""


@dataclass(frozen=True)
class Patience:
    """How long the same texts may be tried, alone or in parts, and how often when the server fails on them.

    Attributes
    ----------
    began : float
        When they were sent first.
    failures : int, optional
        Attempts on which the server may fail; as many as for any other reason by default.
    earlier : int
        Attempts that were made before, on behalf of the same texts.
    """

    began: float
    failures: int | None = None
    earlier: int = 0


@dataclass(frozen=True)
class RetryPolicy:
    """When to try a request again.

    Parameters
    ----------
    attempts : int
        At most, the first one included.
    deadline_seconds : float
        Nothing is tried again later than this after the first attempt, of a batch and what it is halved into together.
    backoff_seconds, backoff_most_seconds : float
        Where the service does not ask for a pause, it is a random share of the first, doubled with every attempt up to
        the second ("full jitter": clients that failed together do not come back together).
    """

    attempts: int = 6
    deadline_seconds: float = 300.0
    backoff_seconds: float = 1.0
    backoff_most_seconds: float = 60.0

    def __post_init__(self) -> None:
        if type(self.attempts) is not int or self.attempts < 1:
            raise InvalidArgumentError(f"attempts is {self.attempts!r}, expected a whole number of at least 1")
        for name in ("deadline_seconds", "backoff_seconds", "backoff_most_seconds"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value >= 0:
                raise InvalidArgumentError(f"{name} is {value!r}, expected a number of at least 0")

    def pause(self, attempt: int, random_share: float) -> float:
        """Return the seconds to wait after the attempt of that number (from 1)."""
        doubled = self.backoff_seconds * 2.0 ** min(attempt - 1, 64)
        return random_share * min(self.backoff_most_seconds, doubled)


class Counted(Protocol):
    """An answer that says what it was charged."""

    @property
    def tokens(self) -> int | None:
        """``None`` if the service does not say."""
        ...


class Place(Protocol):
    """Where requests go: an `Endpoint`."""

    url: str

    def post(self, payload: Mapping[str, Any], *, most_bytes: int) -> Reply:
        """Send a request; see `Endpoint.post`."""
        ...

    def shown(self, said: str | bytes) -> str:
        """Return the beginning of what somebody said, without secrets."""
        ...


A = TypeVar("A", bound=Counted)


@dataclass(frozen=True)
class Question(Generic[A]):
    """What one request asks.

    Attributes
    ----------
    payload : mapping
        What is sent as JSON.
    read : callable
        Reads the body of a successful answer; raises what `read_answer` raises.
    tokens : int
        What it will be charged, at most.
    most_bytes : int
        No answer is longer.
    """

    payload: Mapping[str, Any]
    read: Callable[[bytes], A]
    tokens: int
    most_bytes: int


class _TryAgain(PortableError):  # noqa: N818 - never leaves this module
    """An attempt failed in a way that another one may not.

    Attributes
    ----------
    failed : bool
        The server failed at it, or hung up: the texts may be why.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        body: str = "",
        pause: float | None = None,
        failed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.status, self.body, self.pause, self.failed = status, body, pause, failed

    def final(self, attempts: int) -> EncoderError:
        """Return what the caller is told when there is no further attempt."""
        tried = f"after {attempts} attempt{'s' * (attempts > 1)}: {self}"
        if self.failed:
            return ServerFailedError(tried, status=self.status, body=self.body, attempts=attempts)
        if self.status != _RATE_LIMITED:
            return ServiceError(tried, status=self.status, body=self.body)
        asked = "" if self.pause is None else f"; it asks to wait {self.pause:.3g} s"
        return RateLimitedError(f"{tried}{asked}; send less, or wait", retry_after_seconds=self.pause)


@dataclass
class _Charge:
    """Tokens that a request is answerable for."""

    tokens: int


class ServiceClient:
    """Asks one model of a service for rows. Safe to share between threads.

    Parameters
    ----------
    endpoint : Place
    payload : mapping
        Fields of every request, unless it does without.
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
        endpoint: Place,
        payload: Mapping[str, Any],
        *,
        pacer: Pacer,
        meter: SpendMeter,
        retries: RetryPolicy,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self.payload = dict(payload)
        self._pacer, self._meter, self._retries, self._uniform = pacer, meter, retries, uniform

    def embed(
        self,
        texts: Sequence[str],
        fields: Mapping[str, Any],
        *,
        without: Collection[str],
        tokens: int,
        dimension: int | None,
        patience: Patience,
        stop: threading.Event,
    ) -> Answer:
        """Ask for the rows of some texts in one request.

        Parameters
        ----------
        texts : sequence of str
        fields : mapping
            Further fields of the request.
        without : collection of str
            Fields of every request that this one does without.
        tokens : int
            What it will be charged, at most.
        dimension : int or None
            Expected length of a row, if it is known.
        patience : Patience
        stop : threading.Event
            Ends every wait with `Stopped`.

        Raises
        ------
        BlamedTextsError
            The service refuses these texts, or fails on them.
        RateLimitedError, SpendCapError, ServiceError
            It refuses for now; there is no money for it; it fails.
        """
        kept = {name: value for name, value in self.payload.items() if name not in without}
        most = _BYTES_OF_AN_ANSWER + _BYTES_OF_A_ROW * len(texts)
        read = partial(read_answer, n_texts=len(texts), dimension=dimension)
        question = Question({**kept, **fields, "input": list(texts)}, read, tokens, most)
        return self.ask(question, patience=patience, stop=stop)

    def ask(self, question: Question[A], *, patience: Patience, stop: threading.Event) -> A:
        """Send one request, for as long as that may help; return what its answer was read as. Errors as for `embed`.

        Parameters
        ----------
        question : Question
        patience : Patience
        stop : threading.Event
            Ends every wait with `Stopped`.
        """
        failures = itertools.count(1)
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=lambda state: self._pause(state, patience),
            stop=lambda state: self._gives_up(state, patience, failures),
            sleep=lambda seconds: self._pacer.clock.wait(seconds, stop),
            reraise=True,
        )
        try:
            answer: A = retrying(self._attempt, question, patience, stop)
        except _TryAgain as last:
            raise last.final(patience.earlier + retrying.statistics["attempt_number"]) from last.__cause__
        return answer

    def patience(self, failures: int | None = None) -> Patience:
        """Return the patience for texts that are sent now for the first time."""
        return Patience(self._pacer.clock.now(), failures)

    def _gives_up(self, state: RetryCallState, patience: Patience, failures: Iterator[int]) -> bool:
        failure, alone = _failure(state), patience.failures == 1
        if failure.failed and (failure.pause is None or alone) and next(failures) == patience.failures:
            return True  # whoever asks for a pause says that it is a matter of time
        elapsed = self._pacer.clock.now() - patience.began + state.upcoming_sleep
        attempts = patience.earlier + state.attempt_number
        return attempts >= self._retries.attempts or elapsed > self._retries.deadline_seconds

    def _pause(self, state: RetryCallState, patience: Patience) -> float:
        asked = _failure(state).pause
        return asked or self._retries.pause(patience.earlier + state.attempt_number, self._uniform())

    def _attempt(self, question: Question[A], patience: Patience, stop: threading.Event) -> A:
        self._require_no_long_pause(patience)
        with self._charged(question.tokens, stop) as charge:
            reply = self._post(question, charge)
            if reply.status not in _OK:
                charge.tokens = 0
                raise self._refusal(reply, reply.status)
            answer = self._read(reply, question, charge)
            charge.tokens = question.tokens if answer.tokens is None else answer.tokens
        reset = pause_until_reset(reply.headers)
        if reset:
            self._pacer.pause(reset)
        return answer

    def _require_no_long_pause(self, patience: Patience) -> None:
        pause = self._pacer.paused_seconds
        if pause and self._pacer.clock.now() - patience.began + pause > self._retries.deadline_seconds:
            raise RateLimitedError(
                f"{self.endpoint.url} asked for a pause, {pause:.3g} s of which are left; send less, or wait",
                retry_after_seconds=pause,
            )

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

    def _post(self, question: Question[Any], charge: _Charge) -> Reply:
        most = question.most_bytes
        try:
            reply = self.endpoint.post(question.payload, most_bytes=most)
        except UnansweredError as error:
            charge.tokens *= error.sent
            raise _TryAgain(str(error), failed=error.sent) from error
        except ServiceError:
            charge.tokens = 0
            raise
        if len(reply.body) > most:
            raise ServiceError(f"{self.endpoint.url} answered with more than {most:,} bytes", status=reply.status)
        return reply

    def _read(self, reply: Reply, question: Question[A], charge: _Charge) -> A:
        try:
            return question.read(reply.body)
        except (RefusalInAnswerError, NotJsonError, ServiceError) as error:
            problem = error
        if isinstance(problem, RefusalInAnswerError):
            charge.tokens = 0
        raise self._unread(reply, problem)  # not while that one is handled: its traceback holds the whole answer

    def _unread(self, reply: Reply, problem: Exception) -> Exception:
        """Return the error for an answer that is not one."""
        if isinstance(problem, RefusalInAnswerError):
            return self._refusal(reply, problem.status)
        excerpt = self.endpoint.shown(reply.body)
        if isinstance(problem, NotJsonError):
            said = f"{self.endpoint.url} answered with something else than JSON: {excerpt!r}"
            return _TryAgain(said, status=reply.status, body=excerpt)
        said = f"{self.endpoint.url} gave an answer that cannot be right: {self.endpoint.shown(str(problem))}"
        return ServiceError(said, status=reply.status, body=excerpt)

    def _refusal(self, reply: Reply, status: int) -> Exception:
        """Return the error for a refusal; its status may stand in the answer alone."""
        excerpt = self.endpoint.shown(reply.body)
        inside = " with an error" if reply.status in _OK else ""
        said = f"{self.endpoint.url} answered {reply.status}{inside}: {excerpt!r}"
        if status in _TEXTS_NOT_TAKEN:
            return TextsNotTakenError(said, status=status, body=excerpt)
        if status not in _TRY_AGAIN or (status == _RATE_LIMITED and is_used_up(reply.body)):
            return ServiceError(said + _REMEDIES.get(status, ""), status=reply.status, body=excerpt)
        pause = pause_asked(reply.headers, self._pacer.clock.wall())
        if pause is not None:
            self._pacer.pause(pause)  # the other threads need not find out for themselves
        failed = status in _SERVER_FAILED and status != _OVERLOADED
        return _TryAgain(said, status=status, body=excerpt, pause=pause, failed=failed)


def _failure(state: RetryCallState) -> _TryAgain:
    failure = state.outcome.exception() if state.outcome else None
    return failure if isinstance(failure, _TryAgain) else _TryAgain("")
