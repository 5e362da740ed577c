"""What is known of the batch jobs of a generation: a note of the ledger for each, written before and after every step.

The documents of a job are leased to the job itself, not to the process that has sent it, so they stay with it whatever
becomes of that process. Whoever runs next finds note and leases, and goes on.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from revector._arguments import flag, whole_number
from revector.backends.contracts import Backend
from revector.ledger.owners import batch_owner

__all__ = [
    "ABANDONED_AFTER_SECONDS",
    "BatchJob",
    "BatchJobs",
    "BatchStage",
    "batch_jobs_of",
    "drop_batch_job",
    "free_left_over",
    "keep_batch_job",
    "new_batch_job",
]

ABANDONED_AFTER_SECONDS = 3 * 86_400.0
"""A job that nobody has looked at for so long, or heard of from its service, is given up: a service takes a day."""
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
"""Limits of a file, as OpenAI has them."""
_NOTE = "batch:{}:"


@dataclass(frozen=True)
class BatchJobs:
    """How a generation is filled by the batch jobs of a service.

    Parameters
    ----------
    tokens : int, optional
        That may be out in all jobs together, as the account allows; no limit of ours by default. They are counted by
        the service's tokenizer if it is at hand, else by an upper bound.
    online : bool
        Whether what the jobs have left (errors, jobs that expired, documents written meanwhile) is embedded by plain
        requests in the end; otherwise it waits for the next run.
    requests, bytes : int
        Of a file, at most.

    Raises
    ------
    InvalidArgumentError
        A limit is not a whole number above 0.
    """

    tokens: int | None = None
    online: bool = True
    requests: int = MOST_REQUESTS
    bytes: int = MOST_BYTES

    def __post_init__(self) -> None:
        flag(self.online, "online")
        for name in ("tokens", "requests", "bytes"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole_number(value, name, least=1))


class BatchStage(str, Enum):  # StrEnum needs Python 3.11
    """How far a job is, by what the ledger knows of it."""

    PACKING = "packing"  # documents are leased to it; the service knows nothing of it
    SENDING = "sending"  # its file may have reached the service, which charges nothing for that
    BEGINNING = "beginning"  # the service may have begun it
    OUT = "out"  # the service has it
    ENDED = "ended"  # its answers have landed, and what it cost is noted

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


@dataclass(frozen=True)
class BatchJob:
    """A batch job as the ledger knows it.

    Attributes
    ----------
    handle : str
        Our name for it, which its metadata carries at the service.
    generation : int
        What its vectors are for.
    stage : BatchStage
    created_at : float
        When it was begun to be packed, in seconds since the epoch.
    until : float
        When it is given up, unless somebody hears of it before.
    requests, tokens : int
        Texts of its file, and what they will be charged, at most; what they were charged once it has ended.
    id, status : str
        What the service calls it, and says of it; empty before.
    completed, failed : int
        Of its requests, by the service's count.
    cost : float or None
        Money that it costs, at most, or has cost; ``None`` without a price.
    """

    handle: str
    generation: int
    stage: BatchStage
    created_at: float
    until: float
    requests: int = 0
    tokens: int = 0
    id: str = ""
    status: str = ""
    completed: int = 0
    failed: int = 0
    cost: float | None = None

    @property
    def owner(self) -> str:
        """Who holds the leases of its documents."""
        return batch_owner(self.handle)

    def __str__(self) -> str:
        """Return it as people read it."""
        done = f"{self.completed:,} of {self.requests:,} texts" if self.requests else "nothing in it yet"
        cost = "" if self.cost is None else f", {'' if self.stage is BatchStage.ENDED else 'at most '}{self.cost:,.4g}"
        said = f"{self.stage}{f', {self.status}' if self.status else ''}"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.created_at))
        return f"{self.handle}: {said}, {done}{cost}, since {since}"


def new_batch_job(generation: int) -> BatchJob:
    """Return a job that has nothing in it yet."""
    now = time.time()
    return BatchJob(secrets.token_hex(8), generation, BatchStage.PACKING, now, now + ABANDONED_AFTER_SECONDS)


def batch_jobs_of(backend: Backend, generation: int) -> list[BatchJob]:
    """Return the jobs of a generation, the oldest first."""
    kept = backend.ledger.notes.under(_NOTE.format(generation))
    return sorted((_read(handle, said) for handle, said in kept.items()), key=lambda job: (job.created_at, job.handle))


def keep_batch_job(backend: Backend, job: BatchJob) -> None:
    """Write down how far a job is."""
    said = asdict(job)
    backend.ledger.notes.keep(_NOTE.format(job.generation) + said.pop("handle"), said)


def drop_batch_job(backend: Backend, job: BatchJob) -> None:
    """Give back what a job holds, and forget it: it was not done."""
    with backend.transaction():
        backend.ledger.jobs.release(job.owner)
        backend.ledger.notes.drop(_NOTE.format(job.generation) + job.handle)


def free_left_over(backend: Backend, generation: int) -> None:
    """Give back what jobs hold that have ended, and those that were given up: others may have it."""
    for job in batch_jobs_of(backend, generation):
        if job.stage is BatchStage.ENDED:
            backend.ledger.jobs.release(job.owner)
        elif job.until < time.time():
            drop_batch_job(backend, job)


def _read(handle: str, said: dict[str, Any]) -> BatchJob:
    known = {field.name for field in fields(BatchJob)}
    kept = {name: value for name, value in said.items() if name in known}
    return BatchJob(handle, **{**kept, "stage": BatchStage(said["stage"])})
