"""The queue of the ledger: one job for each document that needs a vector in a generation.

A job is leased, not taken: a worker that dies loses its lease, and the job is claimed again. What makes that harmless
is the content hash: a job is done when the vector of its very text is stored, whoever stored it. A job that is done is
gone; what an earlier release left as "done" counts as gone, and is removed by `Backend.reclaim`.

A document can kill the worker that holds it (out of memory, a crash in a library), again and again. So a job counts
the leases that nobody ended, from the moment it is claimed: `unfinished`. Documents that were in the hands of a worker
that died are claimed after all others, `SUSPECTS` at a time and then alone; one that was alone in the hands of
`LONE_DEATHS` workers that died has failed. Nothing else counts: the others in its batch are done before, and a worker
that is stopped gives its leases back.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from revector.ledger.database import LedgerDatabase
from revector.ledger.dialect import Condition
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead
from revector.ledger.schema import jobs
from revector.ledger.statements import (
    ALONE_AFTER,
    COUNT,
    ENQUEUE,
    FAILED,
    GIVEN_BACK,
    LEASED,
    LONE_DEATHS,
    NEXT_DUE,
    SUSPECT,
    UNLEASED,
    WAITING,
    Statements,
)

MAX_ATTEMPTS = 3
RETRY_SECONDS = 0.5  # before the second attempt, doubled before each further one
_CHUNK = 500  # values in one IN list; SQLite's limit is far above
_NONE = "[]"  # keys as JSON
_SLICE = 2_000  # jobs removed in one transaction: about 10 ms

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRequest:
    """A document that needs a vector; the lowest priority comes first."""

    document_key: int
    content_hash: str
    priority: int


class Claim(NamedTuple):
    """A job under lease; `attempts` counts those that failed before, `unfinished` the leases that nobody ended."""

    generation: int
    document_key: int
    content_hash: str
    priority: int
    attempts: int
    unfinished: int = 0


@dataclass(frozen=True)
class FailedJob:
    """A document that could not be embedded, and why."""

    document_key: int
    attempts: int
    error: str


@dataclass(frozen=True)
class JobCounts:
    """How many jobs of a generation are in each state; every document without a job has its vector."""

    pending: int = 0
    leased: int = 0
    failed: int = 0

    @property
    def outstanding(self) -> int:
        """Jobs that somebody still has to do."""
        return self.pending + self.leased

    @property
    def total(self) -> int:
        """All jobs."""
        return self.outstanding + self.failed


class JobQueue:
    """The jobs of a ledger. Each method is one transaction, or part of the caller's.

    See `revector.backends.contracts.Jobs` for what each method promises.

    Parameters
    ----------
    database : LedgerDatabase
        Where the table lives.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        self._database, self._says = database, database.dialect
        self._statements = Statements(database.dialect)

    def enqueue(self, generation: int, requests: Iterable[JobRequest]) -> None:
        """Ask for vectors. A job for the same text that waits, runs or has failed for good stays as it is."""
        in_order = sorted(requests, key=lambda request: request.document_key)
        if not in_order:
            return
        with self._database.transaction() as connection:
            connection.execute(ENQUEUE, [{"generation": generation, **vars(request)} for request in in_order])

    def claim(
        self, generation: int, owner: str, limit: int, lease_seconds: float, *, suspects: bool = True
    ) -> list[Claim]:
        """Lease up to `limit` jobs, in the order of priority and turn; jobs whose lease ran out are free again."""
        now, due = time.time(), {"of_generation": generation}
        with self._database.transaction() as connection:
            self._make_due(connection, generation, now, now + max(lease_seconds, LONGEST_LEASE_SECONDS))
            keys = connection.scalar(self._says.next, {**due, "most": limit})
            if keys == _NONE and suspects:
                keys = json.dumps(self._suspects(connection, generation)[:limit])
            if keys == _NONE:
                return []
            claimed = {**due, "keys": keys}
            connection.execute(self._statements.lease, {**claimed, "owner": owner, "until": now + lease_seconds})
            leased = connection.scalar(self._says.leased, claimed)
        return [Claim(generation, *row) for row in json.loads(leased)]

    def extend(self, owner: str, lease_seconds: float) -> None:
        """Lengthen all leases of an owner (its heartbeat)."""
        with self._database.transaction() as connection:
            held = jobs.update().where(self._says.in_order(LEASED & (jobs.c.lease_owner == owner)))
            connection.execute(held.values(lease_until=time.time() + lease_seconds))

    def complete(self, generation: int, hashes: Mapping[int, str]) -> int:
        """End jobs whose vector is stored; return how many there were."""
        if not hashes:
            return 0
        stored = {"of_generation": generation, "hashes": json.dumps(dict(hashes))}
        with self._database.transaction() as connection:
            return connection.execute(self._statements.complete, stored).rowcount

    def settle(self, generation: int, keys: Iterable[int]) -> None:
        """End jobs whatever text they were for: the caller has stored the vector of the present one."""
        self.forget([generation], keys)

    def fail(self, claim: Claim, owner: str, error: str) -> None:
        """Record a failed attempt: the job is tried again later, or has failed for good after `MAX_ATTEMPTS`."""
        attempts = claim.attempts + 1
        final = attempts >= MAX_ATTEMPTS
        with self._database.transaction() as connection:
            connection.execute(
                self._held(claim.generation, [claim.document_key], owner).values(
                    state="failed" if final else "pending",
                    attempts=attempts,
                    not_before=time.time() + RETRY_SECONDS * 2 ** (attempts - 1),
                    error=error,
                    **GIVEN_BACK,
                )
            )

    def postpone(self, claims: Sequence[Claim], owner: str, seconds: float) -> None:
        """Give claims back for later without counting an attempt: the documents are not at fault."""
        with self._database.transaction() as connection:
            for start in range(0, len(claims), _CHUNK):
                keys = [claim.document_key for claim in claims[start : start + _CHUNK]]
                held = self._held(claims[start].generation, keys, owner)
                connection.execute(held.values(state="pending", not_before=time.time() + seconds, **GIVEN_BACK))

    def held(self, owner: str) -> list[Claim]:
        """Return what an owner holds, in the order of the keys."""
        columns = (jobs.c[name] for name in ("generation", "document_key", "content_hash", "priority", "attempts"))
        query = sa.select(*columns).where(LEASED, jobs.c.lease_owner == owner).order_by(jobs.c.document_key)
        with self._database.snapshot() as connection:
            return [Claim(*row) for row in connection.execute(query)]

    def release(self, owner: str) -> int:
        """Free all jobs that an owner still holds; return how many."""
        with self._database.transaction() as connection:
            return _release(connection, self._says.in_order(LEASED & (jobs.c.lease_owner == owner)), GIVEN_BACK)

    def release_all(self) -> int:
        """Free all jobs under lease, in a copy whose workers work on the original; return how many."""
        with self._database.transaction() as connection:
            return _release(connection, self._says.in_order(LEASED), GIVEN_BACK)

    def release_dead_owners(self) -> int:
        """Free the jobs of processes of this machine that have ended; return how many."""
        with self._database.transaction() as connection:
            owners = connection.scalars(sa.select(jobs.c.lease_owner).where(LEASED).distinct())
            dead = [owner for owner in owners if is_dead(owner)]
            theirs = self._says.unlocked(LEASED & jobs.c.lease_owner.in_(dead))
            return _release(connection, theirs, UNLEASED) if dead else 0

    def forget(self, generations: Iterable[int], keys: Iterable[int]) -> None:
        """Drop the jobs of deleted documents."""
        gone = list(keys)
        rows = [{"of_generation": generation, "keys": json.dumps(gone)} for generation in sorted(generations)]
        if gone and rows:
            with self._database.transaction() as connection:
                connection.execute(self._statements.forget, rows)

    def forget_generation(self, generation: int) -> None:
        """Drop all jobs of a generation, a slice a transaction, so that nobody waits for long meanwhile."""
        while self.forget_some(generation) == _SLICE:
            pass

    def forget_some(self, generation: int) -> int:
        """Drop a slice of the jobs of a generation; return how many."""
        with self._database.transaction() as connection:
            slice_ = {"of_generation": generation, "most": _SLICE}
            return connection.execute(self._statements.forget_some, slice_).rowcount

    def waiting(self, generation: int, priority: int, after: int, limit: int) -> list[int]:
        """Return documents above a key whose jobs wait with some priority, or a later one, in the order of the keys."""
        asked = {"of_generation": generation, "least": priority, "after": after, "most": limit}
        with self._database.snapshot() as connection:
            return list(connection.scalars(WAITING, asked))

    def set_priority(self, generation: int, keys: Iterable[int], priority: int) -> None:
        """Give jobs that wait another priority."""
        wanted = {"of_generation": generation, "keys": json.dumps(list(keys)), "new_priority": priority}
        with self._database.transaction() as connection:
            connection.execute(self._statements.set_priority, wanted)

    def retry_failed(self, generation: int) -> int:
        """Try all failed jobs of a generation again (alone, if they killed workers); return how many there are."""
        failed = jobs.update().where(self._says.in_order((jobs.c.generation == generation) & FAILED))
        unfinished = sa.case((jobs.c.unfinished < ALONE_AFTER, jobs.c.unfinished), else_=ALONE_AFTER)
        again = failed.values(state="pending", attempts=0, unfinished=unfinished, not_before=0.0, error=None)
        with self._database.transaction() as connection:
            return connection.execute(again).rowcount

    def counts(self, generation: int) -> JobCounts:
        """Count the jobs of a generation by state."""
        with self._database.snapshot() as connection:
            return JobCounts(**connection.execute(COUNT, {"of_generation": generation}).mappings().one())

    def failures(self, generation: int) -> list[FailedJob]:
        """List the jobs of a generation that have failed for good."""
        query = sa.select(jobs.c.document_key, jobs.c.attempts, jobs.c.error)
        query = query.where(jobs.c.generation == generation, FAILED).order_by(jobs.c.document_key)
        with self._database.snapshot() as connection:
            return [FailedJob(*row) for row in connection.execute(query)]

    def seconds_until_due(self, generation: int) -> float | None:
        """Return the time until a job can be claimed (0: now), or ``None`` if none is outstanding."""
        with self._database.snapshot() as connection:
            at = connection.scalar(NEXT_DUE, {"of_generation": generation})
        return None if at is None else max(0.0, at - time.time())

    def _held(self, generation: int, keys: Sequence[int], owner: str) -> sa.Update:
        of_these = (jobs.c.generation == generation) & jobs.c.document_key.in_(keys)
        return jobs.update().where(self._says.in_order(of_these & (jobs.c.lease_owner == owner)))

    def _make_due(self, connection: Connection, generation: int, now: float, longest: float) -> None:
        """Free the jobs whose lease ran out or whose retry is due."""
        if capped := connection.execute(self._statements.cap, {"longest": longest}).rowcount:
            _log.warning("%d jobs were leased for longer than anybody leases one, by a clock that is ahead", capped)
        connection.execute(self._statements.expire, {"now": now})
        connection.execute(self._statements.retry_due, {"of_generation": generation, "now": now})

    def _suspects(self, connection: Connection, generation: int) -> list[int]:
        """Return the documents to try next of those whose worker died: the least suspected, few or one."""
        due = {"of_generation": generation}
        for key in connection.scalars(self._statements.set_aside, due):
            _log.warning("document %d is set aside: it was alone with %d workers that died", key, LONE_DEATHS)
        found = connection.execute(SUSPECT, due).all()
        alike = [row.document_key for row in found if row.unfinished == found[0].unfinished]
        return alike if not found or found[0].unfinished < ALONE_AFTER else alike[:1]


def _release(connection: Connection, which: Condition, values: Mapping[str, object]) -> int:
    return connection.execute(jobs.update().where(which).values(state="pending", **values)).rowcount
