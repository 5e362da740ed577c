"""Locks on tables that others use: waited for only for a moment, again and again, since all others wait behind us."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql

from revector.backends.postgres.database.database import WITHOUT_VACUUM
from revector.errors import RevectorError, StoreBusyError

__all__ = ["Attempt", "NotYetError", "insist"]

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 0.5
_BUSY = (errors.LockNotAvailable, errors.DeadlockDetected)

T = TypeVar("T")
_LOCK = "SET LOCAL statement_timeout = {wait}; LOCK TABLE {tables} IN {mode} MODE; SET LOCAL statement_timeout = 0"
_HOLDERS = """
SELECT DISTINCT pid FROM pg_locks WHERE granted AND locktype = 'relation' AND pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND relation = ANY({tables}::regclass[])
ORDER BY pid
"""


class NotYetError(RevectorError):
    """What an attempt has found: that it is too early. Why is its message."""


@dataclass(frozen=True)
class Attempt:
    """A transaction that waits for locks for a moment.

    Parameters
    ----------
    connection : psycopg.Connection
        Inside the transaction.
    wait_seconds : float
        How long it waits for a lock.
    """

    connection: psycopg.Connection[Any]
    wait_seconds: float

    def lock(self, mode: str, tables: Sequence[sql.Composable], *, tries: int = 1) -> None:
        """Lock tables, partitions included; wait for all of them together as long as for one.

        With several tries, what was done before in the transaction is kept between them.
        """
        said = sql.SQL(_LOCK).format(
            wait=sql.Literal(round(1000 * self.wait_seconds)), tables=sql.SQL(", ").join(tables), mode=sql.SQL(mode)
        )
        for left in reversed(range(tries)):
            try:
                with self.connection.transaction():
                    self.connection.execute(said)
                return
            except (*_BUSY, errors.QueryCanceled) as error:
                if not left:
                    raise errors.LockNotAvailable(*error.args) from error
            time.sleep(random.uniform(self.wait_seconds, 2 * self.wait_seconds))


def insist(
    connection: psycopg.Connection[Any],
    table: sql.Identifier,
    seconds: float,
    work: Callable[[Attempt], T],
    before: Callable[[], object] = lambda: None,
    ours: Callable[[], Sequence[sql.Identifier]] = tuple,
) -> T:
    """Do something in a transaction; once more, from its beginning, where a lock was not to be had, for so long.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, outside of a transaction.
    table : Identifier
        The table whose locks are waited for most of all.
    seconds : float
        How long it is tried.
    work : callable
        What is done; it may raise `NotYetError` to be done again.
    before : callable
        What is done before each attempt, without its locks.
    ours : callable
        Returns the tables of the collection that are locked as well, as they are at that moment.

    Raises
    ------
    StoreBusyError
        It could not be done in that time.
    """
    end, wait = time.monotonic() + seconds, FIRST_WAIT_SECONDS
    while True:
        before()
        try:
            with connection.transaction():
                tables = [table, *ours()]
                names = ", ".join(each.as_string() for each in tables)
                connection.execute(WITHOUT_VACUUM.format(table=names))
                connection.execute(f"SET LOCAL lock_timeout = {round(1000 * wait)}")
                return work(Attempt(connection, wait))
        except (*_BUSY, NotYetError) as error:
            if time.monotonic() >= end:
                raise StoreBusyError(_why(connection, tables, error), waited_seconds=seconds) from error
        time.sleep(random.uniform(wait, 2 * wait))
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _why(connection: psycopg.Connection[Any], tables: Sequence[sql.Identifier], error: Exception) -> str:
    if isinstance(error, NotYetError):
        return str(error)
    names = [table.as_string() for table in tables]
    holders = connection.execute(sql.SQL(_HOLDERS).format(tables=sql.Literal(names)))
    listed = ", ".join(str(pid) for (pid,) in holders) or "nobody any more"
    return (
        f"others held locks on {', '.join(names)} whenever it was tried, now the processes: {listed}; end what they do "
        "(pg_stat_activity shows it), or try again"
    )
