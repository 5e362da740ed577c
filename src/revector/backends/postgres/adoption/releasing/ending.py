"""The transaction with which a collection ends: nobody writes to the table meanwhile, nobody reads it at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import sql

from revector.backends.contracts import ALIAS
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.locks import Attempt, NotYetError, insist
from revector.backends.postgres.adoption.releasing.plan import collection_schemas, collection_tables, why_not_drop
from revector.backends.postgres.database.opening import LOCK_CLASS, LOCK_OF, MADE_BY_ONE
from revector.errors import GateRefusedError, StoreError

__all__ = ["LOOK_EVERY_SECONDS", "PAUSE_SECONDS", "CountLeft", "Ending", "lock_of"]

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""So long writers are kept waiting, each time, for the last vectors."""
LOOK_EVERY_SECONDS = 0.02
_SERVES = "SELECT generation FROM {schema}.aliases WHERE name = {alias}"


class CountLeft(Protocol):
    """What counts the rows that are not as they must be at the end."""

    def __call__(self, *, is_last: bool) -> int:
        """Count them; the last time, only those that may not be so whatever is allowed."""
        ...


class Ending:
    """The end of a collection.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode.
    captured : Captured
        The table, and the collection.
    generation : int
        What serves.
    seconds : float
        How long it is tried.
    may_lack : bool
        Whether it may end while texts have no vector yet.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        captured: Captured,
        generation: int,
        *,
        seconds: float,
        may_lack: bool,
    ) -> None:
        self._connection, self._captured, self._generation = connection, captured, generation
        self._seconds, self._may_lack = seconds, may_lack
        self._table, self._lock = sql.Identifier(captured.schema, captured.name), lock_of(connection, captured)
        self._began = 0.0
        self.pause_seconds = 0.0
        """How long writers had to wait at once, at most."""

    def insist(self, work: Callable[[Attempt], T], before: Callable[[], object] = lambda: None) -> T:
        """Do something in a transaction, again and again until nobody is in its way; see `locks.insist`."""

        def timed(attempt: Attempt) -> T:
            self._began = time.perf_counter()
            try:
                return work(attempt)
            finally:
                self._note_pause()

        ours = partial(collection_tables, self._connection, self._captured)
        done = insist(self._connection, self._table, self._seconds, timed, before, ours)
        self._note_pause()  # the commit is a part of it
        return done

    def hold_writers(self, attempt: Attempt, count_left: CountLeft) -> None:
        """Keep everybody from writing, until whatever was written has its vector.

        Raises
        ------
        NotYetError
            That takes too long.
        """
        attempt.lock("SHARE ROW EXCLUSIVE", [self._table])
        end = time.monotonic() + PAUSE_SECONDS
        while (left := count_left(is_last=False)) and time.monotonic() < end:
            time.sleep(LOOK_EVERY_SECONDS)
        if not left or self._may_lack:
            self._hold_revector()
            left = count_left(is_last=True)
        if left:
            raise NotYetError(
                f"{left:,} rows have changed and are not written yet: they have no vector, are locked by others, or "
                "come faster than they are written; let `revector run --follow` run beside this, or stop the writers "
                "for a while"
            )

    def drop(
        self,
        attempt: Attempt,
        statements: Sequence[sql.Composable] = (),
        *,
        reasons: Iterable[str] = (),
        tries: int = 1,
    ) -> None:
        """Drop the collection, then run statements about the table, before anybody can use it again.

        Parameters
        ----------
        attempt : Attempt
            The transaction.
        statements : sequence of Composable
            They need no lock that is not held by now.
        reasons : iterable of str
            Why it must not be done, if so.
        tries : int
            How often it waits for readers before all that the transaction has done is given up.
        """
        attempt.lock("SHARE ROW EXCLUSIVE", [self._table])
        self._hold_revector()
        self._connection.execute(MADE_BY_ONE)
        self._require([*why_not_drop(self._connection, self._captured), *self._of_serving(), *reasons])
        dropped = map(sql.Identifier, collection_schemas(self._connection, self._captured))
        attempt.lock(
            "ACCESS EXCLUSIVE", [*collection_tables(self._connection, self._captured), self._table], tries=tries
        )
        drop = sql.SQL("DROP SCHEMA {} CASCADE").format(sql.SQL(", ").join(dropped))
        self._connection.execute(sql.SQL("; ").join([drop, *statements]))

    def _note_pause(self) -> None:
        self.pause_seconds = max(self.pause_seconds, time.perf_counter() - self._began)

    def _hold_revector(self) -> None:
        """Keep revector's own processes from writing to the collection."""
        self._connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, self._lock))

    def _require(self, reasons: Sequence[str]) -> None:
        if reasons:
            raise GateRefusedError("release", tuple(reasons))

    def _of_serving(self) -> list[str]:
        schema = sql.Identifier(self._captured.collection)
        asked = sql.SQL(_SERVES).format(schema=schema, alias=sql.Literal(ALIAS))
        if self._connection.execute(asked).fetchone() == (self._generation,):
            return []
        return ["another generation serves by now; run it again"]


def lock_of(connection: psycopg.Connection[Any], captured: Captured) -> int:
    """Return the second half of the advisory locks of a collection; raise `StoreError` if there is none."""
    found = connection.execute(LOCK_OF, (captured.collection,)).fetchone()
    if found is None:
        raise StoreError(f"there is no collection in the schema {captured.collection!r}; was it released before?")
    return int(found[0])
