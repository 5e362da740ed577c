"""The operator's hands on a migration: what may be done to it while it runs, from any process."""

from __future__ import annotations

from typing import Any

from revector._arguments import shown
from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError, MigrationError
from revector.ledger.records import Event, MigrationRecord
from revector.ledger.state import Phase
from revector.migration.batches.jobs import BatchJob, batch_jobs_of
from revector.migration.status import FailedDocument, MigrationStatus, failed_documents, status_of
from revector.migration.throttle import Throttle, keep_throttle, read_throttle


class Hands:
    """What an operator sees of a migration, and changes while it runs.

    Parameters
    ----------
    backend : Backend
        Where the collection and the truth about its migrations are.
    migration_id : int
        Which migration.
    """

    def __init__(self, backend: Backend, migration_id: int) -> None:
        self._backend, self._id = backend, migration_id

    @property
    def record(self) -> MigrationRecord:
        """The migration as the ledger holds it now."""
        return self._backend.ledger.record(self._id)

    @property
    def phase(self) -> Phase:
        """Where the migration stands now."""
        return self.record.phase

    @property
    def place(self) -> str:
        """Where the collection is, without secrets."""
        return self._backend.place

    def note(self, event: str, details: dict[str, Any]) -> None:
        """Write an event down that changes nothing."""
        self._backend.ledger.note(self._id, event, details)

    def status(self) -> MigrationStatus:
        """Return where the migration stands, in figures."""
        return status_of(self._backend, self.record)

    def events(self) -> list[Event]:
        """Return what has happened to the migration, the oldest first."""
        return self._backend.ledger.events(self._id)

    @property
    def batch_jobs(self) -> list[BatchJob]:
        """The batch jobs of the new generation, the oldest first; those that have ended are among them."""
        target = self.record.target_generation
        return [] if target is None else batch_jobs_of(self._backend, target)

    def failures(self) -> list[FailedDocument]:
        """List the documents that could not be embedded with the new model."""
        return failed_documents(self._backend, self.record.target_generation)

    def retry_failed(self) -> int:
        """Let `run` try all failed documents of both generations again; return how many there are."""
        record = self.record
        generations = (record.source_generation, record.target_generation)
        return sum(
            self._backend.ledger.jobs.retry_failed(generation) for generation in generations if generation is not None
        )

    def throttle(self, limits: Throttle | None = None, **changes: Any) -> Throttle:
        """Change what limits the workers; those that run take note of it within a second.

        Parameters
        ----------
        limits : Throttle, optional
            All limits, in place of the present ones; ``Throttle()`` takes them all away.
        **changes
            Fields of `Throttle`, such as ``rate=500``; ``None`` takes one away. The others stay as they are.

        Returns
        -------
        Throttle
            What limits them from now on. Without arguments, nothing changes.

        Raises
        ------
        MigrationError
            The migration is over.
        """
        if limits is not None and not isinstance(limits, Throttle):
            raise InvalidArgumentError(f"limits is {shown(limits)}, expected a Throttle")
        if limits is None and not changes:
            return read_throttle(self._backend, self._id)
        with self._backend.exclusive():
            if self.phase is Phase.RETIRED:
                raise MigrationError("the migration is retired, and has no workers to be limited")
            before = read_throttle(self._backend, self._id)
            wanted = (before if limits is None else limits).changed(**changes)
            if wanted != before:
                keep_throttle(self._backend, self._id, wanted)
        return wanted

    def pause(self) -> None:
        """Let all workers stop after the batch in hand. Reads and writes go on."""
        self._set_paused(True, "pause")

    def resume(self) -> None:
        """Allow `run` again."""
        self._set_paused(False, "resume")

    def _set_paused(self, paused: bool, event: str) -> None:
        """Write it down, unless it is so already or the migration is over."""
        with self._backend.exclusive():
            record = self.record
            if record.paused is not paused and record.phase is not Phase.RETIRED:
                self._backend.ledger.note(self._id, event, paused=paused)
