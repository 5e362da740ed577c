"""What an encoder has whose service embeds many texts overnight, at a lower price: batch jobs.

A job is a file of requests. It is sent, waited for, and answered by another file, whose lines come in any order; each
carries the name of the text that it answers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.templated import Templated
from revector.errors import EncoderError, InvalidArgumentError, RateLimitedError, ServiceError

__all__ = [
    "BATCH_SHARE",
    "BatchLine",
    "BatchService",
    "BatchState",
    "LineAnswer",
    "is_passing",
    "required_batch_service",
]

BATCH_SHARE = 0.5
"""Of the price of being asked at once: what batch APIs take, unless it is said."""

_OVER = frozenset({"completed", "failed", "expired", "cancelled"})
_PASSING = frozenset({None, 408, 409, 425, *range(200, 300), *range(500, 600)})


@dataclass(frozen=True)
class BatchLine:
    """A request of a job.

    Attributes
    ----------
    name : str
        Of its text, the content hash.
    line : bytes
        As it stands in the file.
    tokens : int
        What it will be charged, at most.
    """

    name: str
    line: bytes
    tokens: int


@dataclass(frozen=True)
class BatchState:
    """What a service says of a job.

    Attributes
    ----------
    id : str
        The service's name for it.
    status : str
        ``"validating"``, ``"in_progress"``, ``"finalizing"``, ``"completed"``, ``"failed"``, ``"expired"``,
        ``"cancelling"``, ``"cancelled"``; what else a service says is taken for a job that is under way.
    handle : str
        Our name for it; empty if it is not one of ours.
    requests, completed, failed : int
        How many it holds, has answered and could not answer.
    files : tuple of str
        Where answers and errors are, as far as there are any.
    tokens : int or None
        That were charged; ``None`` if the service does not say.
    error : str
        Why it failed.
    is_too_much : bool
        It failed because more tokens were out than the account may have out at a time.
    """

    id: str
    status: str
    handle: str = ""
    requests: int = 0
    completed: int = 0
    failed: int = 0
    files: tuple[str, ...] = ()
    tokens: int | None = None
    error: str = ""
    is_too_much: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in _OVER


@dataclass(frozen=True)
class LineAnswer:
    """What a job says of one text.

    Attributes
    ----------
    name : str
        Of the text.
    row : ndarray of float32, shape (dimension,), or None
        At unit length; ``None`` if there is none.
    tokens : int or None
        That it was charged; ``None`` if the service does not say.
    reason : str
        Why there is no row.
    """

    name: str
    row: NDArray[np.float32] | None
    tokens: int | None
    reason: str = ""


class BatchService(Protocol):
    """The batch jobs of a service, for one model. Every method may wait, and be stopped with `Stopped`.

    Whatever goes wrong is a `ServiceError`, or a `RateLimitedError` where it is a matter of time.
    """

    def lines(self, texts: Mapping[str, str]) -> Iterator[BatchLine]:
        """Yield the requests for texts by content hash; what cannot be sent is left out."""
        ...

    def send(self, file: IO[bytes], handle: str, stop: threading.Event) -> str:
        """Send a file of requests; return the service's name for it."""
        ...

    def create(self, file_id: str, handle: str, stop: threading.Event) -> BatchState:
        """Begin a job, once: what got no answer is looked for before it is tried again."""
        ...

    def find(self, handle: str, stop: threading.Event) -> BatchState | None:
        """Return the job of a handle, if the service has it."""
        ...

    def look(self, id_: str, stop: threading.Event) -> BatchState | None:
        """Return how far a job is; ``None`` if the service has no such job."""
        ...

    def cancel(self, id_: str, stop: threading.Event) -> BatchState | None:
        """Call a job off; what it has done is charged, and can be read."""
        ...

    def answers(self, state: BatchState, stop: threading.Event) -> Iterator[LineAnswer]:
        """Yield the answers and errors of a job that is over, in any order; one may come twice."""
        ...

    def price_of(self, tokens: int) -> float | None:
        """Return what tokens of a job cost; ``None`` without a price."""
        ...

    def room(self) -> int | None:
        """Return how many tokens of jobs the spend cap leaves; ``None`` without a cap."""
        ...

    @property
    def spend_cap(self) -> float | None:
        """The most that the model may cost; ``None`` without a cap."""
        ...

    def note_job(self, handle: str, tokens: int, *, paid: bool) -> None:
        """Count a job towards the spend cap: what it costs at most, or has cost, in place of what was noted before."""
        ...

    def drop_job(self, handle: str) -> None:
        """Count a job no longer: it is not done."""
        ...

    def adopt_job(self, handle: str, tokens: int) -> None:
        """Count a job towards the spend cap that another process has sent or paid, unless it is counted."""
        ...

    def refusal(self) -> Exception:
        """Return the error for a text that the spend cap does not leave room for."""
        ...


def is_passing(error: EncoderError) -> bool:
    """Whether an error of a service is a matter of time, or of an answer that got lost or could not be read."""
    return isinstance(error, RateLimitedError) or (isinstance(error, ServiceError) and error.status in _PASSING)


def required_batch_service(encoder: TextEncoder) -> BatchService:
    """Return the batch jobs of an encoder's service; raise `InvalidArgumentError` if it has none."""
    model: Any = encoder.encoder if isinstance(encoder, Templated) else encoder
    found: BatchService | None = getattr(model, "batches", None)
    if found is None:
        raise InvalidArgumentError(
            f"{encoder.space.model} is not a model of a service with batch jobs, such as OpenAIEncoder; run it without"
        )
    return found
