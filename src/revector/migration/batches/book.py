"""The batch jobs of a run, as the ledger has them, and who waits for their answers; one process at a time has them."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType

from revector.backends.contracts import Backend
from revector.errors import MigrationError, StoreError
from revector.ledger.jobs import Claim
from revector.ledger.owners import new_owner
from revector.migration.batches.jobs import BatchJob, BatchStage, batch_jobs_of, drop_batch_job, keep_batch_job
from revector.migration.patience import patient
from revector.migration.signs import keep_spent

__all__ = ["BatchBook", "BatchTurn", "Waiting"]

_LEASE_SECONDS = 60.0
_UNSENT = (BatchStage.PACKING, BatchStage.SENDING, BatchStage.BEGINNING)


class Waiting(dict[str, list[int]]):
    """Documents by the content hash of the text that is out for them: about 300 bytes each."""

    def add(self, hash_: str, key: int) -> None:
        """Let a document wait for a text."""
        keys = self.setdefault(hash_, [])
        if key not in keys:
            keys.append(key)


class BatchBook:
    """Keeps the jobs of one generation, in the ledger and at hand.

    Parameters
    ----------
    backend : Backend
        Where the ledger is.
    generation : int
        Which one.

    Attributes
    ----------
    waiting : Waiting
        Of the jobs that are out.
    """

    def __init__(self, backend: Backend, generation: int) -> None:
        self._backend = backend
        self._jobs = {job.handle: job for job in patient(batch_jobs_of)(backend, generation)}
        self.waiting = Waiting()

    @property
    def jobs(self) -> list[BatchJob]:
        """All of them, the oldest first."""
        return list(self._jobs.values())

    @property
    def out(self) -> list[BatchJob]:
        """Those that the service has."""
        return [job for job in self.jobs if job.stage is BatchStage.OUT]

    @property
    def ended(self) -> list[BatchJob]:
        """Those that are over."""
        return [job for job in self.jobs if job.stage is BatchStage.ENDED]

    @property
    def unsent(self) -> BatchJob | None:
        """The first one that the service does not have yet, as far as is known."""
        return next((job for job in self.jobs if job.stage in _UNSENT), None)

    @patient
    def held(self, job: BatchJob) -> list[Claim]:
        """Return the documents that are leased to a job."""
        return self._backend.ledger.jobs.held(job.owner)

    @patient
    def keep(self, job: BatchJob) -> BatchJob:
        """Write down how far a job is; what it has cost is noted with its end."""
        with self._backend.transaction():
            keep_batch_job(self._backend, job)
            if job.stage is BatchStage.ENDED and job.cost:
                keep_spent(self._backend, job.generation, job.owner, job.cost)
        self._jobs[job.handle] = job
        return job

    def drop(self, job: BatchJob) -> None:
        """Give back what a job holds, and forget it: it was not done."""
        self.expect_nothing_of(job)
        patient(drop_batch_job)(self._backend, job)
        del self._jobs[job.handle]

    def expect(self, job: BatchJob) -> None:
        """Let the documents of a job wait for its answers."""
        for claim in self.held(job):
            self.waiting.add(claim.content_hash, claim.document_key)

    def expect_nothing_of(self, job: BatchJob) -> None:
        """Let the documents that a job still holds wait for it no longer."""
        for claim in self.held(job):
            self.waiting.pop(claim.content_hash, None)

    @patient
    def give_back(self, job: BatchJob, reasons: dict[str, str], *, online: bool) -> int:
        """Give back what a job that has ended still holds; return how many documents that is.

        Parameters
        ----------
        job : BatchJob
        reasons : dict of str to str
            Why texts have no vector, by content hash.
        online : bool
            They are embedded by plain requests next; otherwise those with a reason have failed an attempt.
        """
        queue, left = self._backend.ledger.jobs, self.held(job)
        with self._backend.transaction():
            for claim in () if online else left:
                if claim.content_hash in reasons:
                    queue.fail(claim, job.owner, reasons[claim.content_hash])
            queue.release(job.owner)
        return len(left)


class BatchTurn:
    """One process's turn at the batch jobs of a generation, for as long as its ``with`` block runs.

    Raises
    ------
    MigrationError
        It is another one's.
    """

    def __init__(self, backend: Backend, generation: int) -> None:
        self._leases, self._name, self._owner = backend.ledger.leases, f"batch jobs:{generation}", new_owner()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="revector-batch-turn", daemon=True)

    def __enter__(self) -> BatchTurn:
        """Take it."""
        if not patient(self._leases.acquire)(self._name, self._owner, _LEASE_SECONDS):
            raise MigrationError(
                "another process is at the batch jobs of this migration; wait for it, or end it: what it has sent is "
                "not lost"
            )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._done.set()
        self._thread.join()
        with suppress(StoreError):  # it runs out by itself
            self._leases.release(self._name, self._owner)

    def _beat(self) -> None:
        while not self._done.wait(_LEASE_SECONDS / 3):
            with suppress(StoreError):
                self._leases.acquire(self._name, self._owner, _LEASE_SECONDS)
