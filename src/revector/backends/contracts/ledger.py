"""The ledger of a collection: migrations, their events, and the jobs of every generation that is being filled."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from revector.ledger.jobs import Claim, FailedJob, JobCounts, JobRequest
from revector.ledger.observations import QueryFeedback, Said
from revector.ledger.records import Event, Fields, MigrationRecord
from revector.ledger.state import Phase
from revector.spaces import EmbeddingSpace


@runtime_checkable
class Jobs(Protocol):
    """One job for each document that needs a vector in a generation. Each method is atomic."""

    def enqueue(self, generation: int, requests: Iterable[JobRequest]) -> None:
        """Ask for vectors. A job for the same text that waits, runs or has failed for good stays as it is."""
        ...

    def claim(
        self, generation: int, owner: str, limit: int, lease_seconds: float, *, suspects: bool = True
    ) -> list[Claim]:
        """Lease up to `limit` jobs, the lowest priority first, in a random order among equals; see `ledger.dialect`.

        Jobs whose lease ran out are free again.

        Parameters
        ----------
        generation : int
            Whose jobs.
        owner : str
            Who holds the lease.
        limit : int
            How many.
        lease_seconds : float
            How long; `UNTIL_GIVEN_BACK_SECONDS` for what does not run out.
        suspects : bool
            Whether, where no other job is due, some of those are leased whose worker died. Say so only if the owner
            holds nothing else: whatever it holds when it dies is suspected.
        """
        ...

    def extend(self, owner: str, lease_seconds: float) -> None:
        """Lengthen all leases of an owner (its heartbeat)."""
        ...

    def complete(self, generation: int, hashes: Mapping[int, str]) -> int:
        """End jobs whose vector is stored; return how many there were.

        Parameters
        ----------
        generation : int
            Where the vectors were stored.
        hashes : mapping of int to str
            Document key to the hash of the text that was embedded. A job that has moved on to a newer text stays.
        """
        ...

    def settle(self, generation: int, keys: Iterable[int]) -> None:
        """End jobs whatever text they were for: the caller has stored the vector of the present one.

        Call it in the transaction that stored the vectors; `complete` is for everybody else.
        """
        ...

    def fail(self, claim: Claim, owner: str, error: str) -> None:
        """Record a failed attempt: the job is tried again later, or has failed for good after `MAX_ATTEMPTS`."""
        ...

    def postpone(self, claims: Sequence[Claim], owner: str, seconds: float) -> None:
        """Give claims back for later without counting an attempt: the documents are not at fault."""
        ...

    def held(self, owner: str) -> list[Claim]:
        """Return what an owner holds, in the order of the keys; how often it was unfinished is not among it."""
        ...

    def release(self, owner: str) -> int:
        """Free all jobs that an owner still holds; return how many."""
        ...

    def release_all(self) -> int:
        """Free all jobs under lease, in a copy whose workers work on the original; return how many."""
        ...

    def release_dead_owners(self) -> int:
        """Free the jobs of processes of this machine that have ended; return how many."""
        ...

    def forget(self, generations: Iterable[int], keys: Iterable[int]) -> None:
        """Drop the jobs of deleted documents."""
        ...

    def forget_generation(self, generation: int) -> None:
        """Drop all jobs of a generation, a slice a transaction, so that nobody waits for long meanwhile."""
        ...

    def waiting(self, generation: int, priority: int, after: int, limit: int) -> list[int]:
        """Return documents above a key whose jobs wait with some priority, or a later one, in the order of the keys."""
        ...

    def set_priority(self, generation: int, keys: Iterable[int], priority: int) -> None:
        """Give jobs that wait another priority; those under lease, or locked by somebody else, keep theirs."""
        ...

    def retry_failed(self, generation: int) -> int:
        """Try all failed jobs of a generation again (alone, if they killed workers); return how many there are."""
        ...

    def counts(self, generation: int) -> JobCounts:
        """Count the jobs of a generation by state; a job that is done is gone.

        It takes longer the more there are, half a second for ten million. Whether there are any, `seconds_until_due`
        tells at once.
        """
        ...

    def failures(self, generation: int) -> list[FailedJob]:
        """List the jobs of a generation that have failed for good."""
        ...

    def seconds_until_due(self, generation: int) -> float | None:
        """Return the time until a job can be claimed (0: now), or ``None`` if none is outstanding."""
        ...


@runtime_checkable
class Leases(Protocol):
    """What one process at a time does, of all that have the collection open. Each method is atomic."""

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take, or renew, a lease; return whether the owner holds it now.

        One that ran out is taken over, and at once that of a process of this machine that has ended.

        Parameters
        ----------
        name : str
            What is done under it.
        owner : str
            Who asks, from `revector.ledger.owners.new_owner`.
        seconds : float
            How long it is held without being renewed, at most `LONGEST_LEASE_SECONDS`.
        """
        ...

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; one that somebody else holds stays with them."""
        ...


@runtime_checkable
class Observations(Protocol):
    """What searches have seen while a migration compares two models. Each method is atomic."""

    def add(self, migration_id: int, name: str, sums: Mapping[str, Any]) -> None:
        """Add numbers, which may be nested by name, to those that are kept under a name.

        Not to be called inside a transaction.
        """
        ...

    def sums(self, migration_id: int, name: str) -> dict[str, Any]:
        """Return what is kept under a name; empty if nothing is."""
        ...

    def names(self, migration_id: int, name: str) -> list[str]:
        """Return the names that something is kept under, of a name itself and of those that go on after a space.

        A name holds neither ``%`` nor ``_``; what goes on may.
        """
        ...

    def record(self, migration_id: int, name: str, said: Sequence[Said]) -> None:
        """Keep what readers said; of the same document in the same answer the last word counts.

        Not to be called inside a transaction.
        """
        ...

    def feedback(self, migration_id: int, name: str) -> list[QueryFeedback]:
        """Return what readers said of each query."""
        ...


@runtime_checkable
class Notes(Protocol):
    """Small values as JSON has them, each under a name; the newest one counts. Each method is atomic."""

    def get(self, name: str) -> Any:
        """Return what was kept under a name, or ``None``."""
        ...

    def under(self, prefix: str) -> dict[str, Any]:
        """Return everything whose name begins with a prefix, by the rest of the name."""
        ...

    def keep(self, name: str, value: Any) -> None:
        """Keep a value under a name, in place of what was kept there."""
        ...

    def drop(self, name: str) -> None:
        """Forget what was kept under a name, if anything."""
        ...


@runtime_checkable
class Ledger(Protocol):
    """The durable truth of migrations. `advance` is the only place where a phase changes."""

    @property
    def jobs(self) -> Jobs:
        """The queue."""
        ...

    @property
    def leases(self) -> Leases:
        """What one process at a time does."""
        ...

    @property
    def observations(self) -> Observations:
        """What searches have seen while a migration compares two models."""
        ...

    @property
    def notes(self) -> Notes:
        """What limits a run, and what running processes say of themselves."""
        ...

    def plan(
        self,
        *,
        alias: str,
        alias_version: int,
        source_generation: int,
        target_space: EmbeddingSpace,
        target_encoder_source: str | None,
        strategy: Fields | list[Fields],
        retention_seconds: float,
    ) -> MigrationRecord:
        """Accept a migration, in phase PLANNED.

        Raises
        ------
        LedgerConflictError
            The alias has a migration that is not retired.
        """
        ...

    def record(self, migration_id: int) -> MigrationRecord:
        """Return a migration; raise `MigrationError` if it does not exist."""
        ...

    def active(self, alias: str) -> MigrationRecord | None:
        """Return the alias's migration that is not retired, or ``None``."""
        ...

    def advance(
        self, migration_id: int, to_phase: Phase, event: str, details: dict[str, Any] | None = None, **fields: Any
    ) -> MigrationRecord:
        """Change the phase, and write the event, in one transaction.

        Parameters
        ----------
        migration_id : int
            Which migration.
        to_phase : Phase
            The new phase; `TRANSITIONS` must allow it.
        event : str
            The verb that caused it.
        details : dict, optional
            What else the event says, as JSON.
        **fields
            Columns that change with the phase.

        Raises
        ------
        IllegalTransitionError
            The present phase does not allow it; nothing changes.
        """
        ...

    def note(
        self, migration_id: int, event: str, details: dict[str, Any] | None = None, **fields: Any
    ) -> MigrationRecord:
        """Change columns other than the phase, and write the event, in one transaction."""
        ...

    def asked_through(self, migration_id: int) -> int | None:
        """Return the document key up to which `start` has asked for vectors, or ``None``: for all, or for none yet."""
        ...

    def set_asked_through(self, migration_id: int, key: int | None) -> None:
        """Note up to which document key vectors were asked for; ``None`` once that is done."""
        ...

    def events(self, migration_id: int) -> list[Event]:
        """Return the events of a migration, the oldest first."""
        ...

    def last_note(self, migration_id: int, event: str) -> dict[str, Any] | None:
        """Return the details of the last event of a name, or ``None``."""
        ...

    def events_after(self, id_: int) -> list[Event]:
        """Return the events of all migrations after one of them, the oldest first; all of them after 0."""
        ...

    def last_event(self) -> Hashable:
        """Return what names the last event of all migrations: another value once `active` would answer otherwise.

        It is asked by every search, so it must cost little. Two events never have the same name, also if the first one
        was rolled back.
        """
        ...
