"""One collection in a PostgreSQL database, shared by threads, processes and machines: connections and transactions.

A transaction is *ambient*: code that opens one while its thread already holds one joins it as a savepoint, hence the
pieces commit together or not at all, and need not know of one another.

Writers run beside each other. Each holds the collection's advisory lock together with all others; `exclusive` holds it
alone, so that whatever changes who serves, or which generations are live, overlaps no writer of revector. It asks for
the lock a few times for a short while rather than once for long, because those who come after it wait behind it.

Each transaction says itself where its tables are and how long it waits for locks, in the round trip that begins it: a
pooler may give it any session. Reads are of one moment (REPEATABLE READ) and never wait.

A connection that was lost is made anew when the next transaction begins, for up to `RECONNECT_SECONDS`: nothing of it
has happened yet. One that is lost inside a transaction ends it with a `StoreUnavailableError`, and nothing of it was
committed; one that is lost in the very moment of the commit says so, for then it may have been. A worker does either
again (`revector.migration.patience`), since what it writes can be written twice. A server that vanishes without a word
is noticed in a minute; a writer that does is ended by the server after `IDLE_SECONDS`, so that its locks are free.

Connections are not carried over a fork: one waits for transactions, connections are closed before it, and both sides
open new ones.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from revector._forks import holding_off_forks, is_torn, keep_for_ever, renew_in_child, settle_before_fork
from revector.backends.postgres.database.connecting import (
    driver_of,
    give_back,
    keeps_session,
    new_engine,
    row_of,
    savepoint,
)
from revector.backends.postgres.database.opening import LOCK_CLASS, is_ours, opened
from revector.backends.postgres.database.places import Place
from revector.backends.postgres.database.postgres_errors import is_disconnect, is_lock_timeout, named
from revector.backends.postgres.queue import DIALECT
from revector.errors import ClosedError, GoneError, ReadOnlyError, StoreError

TIMEOUT_SECONDS = 30.0
RECONNECT_SECONDS = 20.0
"""For so long a connection is tried to be made again after one was lost."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 0.8
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
IDLE_SECONDS = 20
"""A writer that says nothing for so long is ended by the server: whoever is stopped, or was cut off, holds locks."""
_WAIT = "SET LOCAL lock_timeout = {milliseconds}"
_IDLE = """
SELECT set_config('idle_in_transaction_session_timeout', '{milliseconds}', true)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'
"""  # a limit of the server's own stays
WITHOUT_VACUUM = """
SELECT set_config('lock_timeout',
    (1500 + 1000 * extract(epoch FROM current_setting('deadlock_timeout')::interval))::integer::text, true);
LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE
"""
"""Keeps vacuum from a table that others write to, until the transaction ends.

Autovacuum is in the way of every lock that keeps writers out, for as long as it takes: minutes, where there is a graph.
It gives way once somebody has waited for ``deadlock_timeout``, and no writer waits behind whoever asks for this lock.
"""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"  # not READ WRITE: a default that forbids it is somebody's will
_NOTE = "SELECT value FROM meta WHERE key = %s"
_KEEP_NOTE = "INSERT INTO meta (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

T = TypeVar("T")


class _Moment(NamedTuple):
    """What every transaction reads of its collection when it begins."""

    history: int
    shift: int


class Foreseen(NamedTuple):
    """What most transactions ask: it is read in the round trip that begins each.

    Attributes
    ----------
    expression : str
        SQL of one value.
    answers : callable
        Takes that value, and returns what `PostgresDatabase.once` answers to which questions.
    in_writes : bool
        Whether that holds to the end of a transaction that writes, whatever this or another one does meanwhile, unless
        it says `forget`.
    """

    expression: str
    answers: Callable[[Any], dict[Hashable, Any]]
    in_writes: bool


class PostgresDatabase:
    """The schema of one collection, and its transactions. Safe to share between threads and over forks.

    Parameters
    ----------
    place : Place
        Where it is. The schema is created when it does not exist.
    read_only : bool
        Never write to it. So it is as well on a replica, and for a role that may not write.

    Raises
    ------
    StoreError
        The server cannot be reached, is too old, or lacks pgvector, or the schema is not one of revector.
    """

    dialect = DIALECT
    lock_seconds = TIMEOUT_SECONDS
    """So long a statement of a `transaction` waits for a lock, or as long as that waits to begin if that is shorter."""

    def __init__(self, place: Place, *, read_only: bool = False) -> None:
        self.place = place
        self._why_read_only = "it was opened with read_only=True; open it without" if read_only else ""
        self._closed = False
        self._local = threading.local()
        self._engine = new_engine(place.connection)
        try:
            with self._named_errors(), self._engine.connect() as connection:
                found = opened(driver_of(connection), place, self._why_read_only)
        except BaseException:
            self._engine.dispose()
            raise
        self._path, lock, self.extension, self.vector_version, self._why_read_only = found
        self._shared = f"SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, {lock})"
        self._alone = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {lock})"
        self._before_alone = ""
        self._foreseen: tuple[Foreseen, ...] = ()
        settle_before_fork(self._engine.dispose)
        renew_in_child(self._leave_to_parent)

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        return self.place.url

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return bool(self._why_read_only)

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(self.url)

    def require_writable(self) -> None:
        """Raise what a transaction would raise at once; call it before work that only makes sense if that works."""
        self.require_open()
        if self._why_read_only:
            raise ReadOnlyError(self.url, self._why_read_only)

    @property
    def in_transaction(self) -> bool:
        """Whether the calling thread is inside a transaction or snapshot."""
        return self._ambient is not None

    @property
    def writing(self) -> bool:
        """Whether the calling thread is inside a transaction: what it reads may yet be taken back."""
        return self._ambient is not None and bool(self._local.writable)

    @contextmanager
    def transaction(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Open a write transaction beside those of others; joins the calling thread's open one as a savepoint.

        Raises
        ------
        ReadOnlyError
            The database is only read.
        StoreError
            A lock was not to be had in time, the database failed, or the thread is inside a `snapshot`.
        """
        self.require_writable()
        if self._ambient is None:
            with self._begun(timeout_seconds, self._shared) as connection:
                yield connection
        else:
            with self._joined() as connection:
                yield connection

    @contextmanager
    def exclusive(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Write transaction beside which nobody else writes to the collection; as `transaction` otherwise.

        Not to be opened inside a `transaction`, which others may hold as well: two that turn would wait for each other.
        """
        self.require_writable()
        if self._ambient is None:
            with self._begun(timeout_seconds, self._alone) as connection:
                yield connection
        else:
            if self._local.writable == self._shared:
                raise StoreError("an exclusive transaction inside one that is not; open the exclusive one first")
            with self._joined() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read transaction: every read inside sees the same moment. Joins an open transaction or snapshot."""
        if self._ambient is None:
            with self._begun(TIMEOUT_SECONDS, "") as connection:
                yield connection
        else:
            with self._named_errors():
                yield self._ambient

    def also_lock(self, table: sql.Composable) -> None:
        """Keep everybody from writing to a table, by whatever program, while an exclusive transaction is open."""
        self._before_alone = WITHOUT_VACUUM.format(table=table.as_string())
        self._alone += f"; LOCK TABLE {table.as_string()} IN SHARE ROW EXCLUSIVE MODE"

    @contextmanager
    def outside(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a connection outside of transactions, for what runs in none: each statement commits by itself.

        Tables are named with their schema there. Only one that `keeps_session` can be told how to go about it.
        """
        with self._named_errors():
            connection = self._connected(keeps_session)
            try:
                yield driver_of(connection)
            finally:
                give_back(connection, keep=False)  # what was set stays with the session, which nobody else must get

    @property
    def history(self) -> int:
        """Another number once the past of the collection was replaced; inside a transaction or snapshot."""
        return int(self._local.moment.history)

    @property
    def shift(self) -> int:
        """What is added to numbers of transactions; inside a transaction or snapshot."""
        return int(self._local.moment.shift)

    def foresee(self, questions: Sequence[Foreseen]) -> None:
        """Let each transaction read what is asked most in the round trip that begins it, once the tables are there."""
        self._foreseen = tuple(questions)

    def once(self, question: Hashable, ask: Callable[[Connection], T]) -> T:
        """Ask something once for each snapshot, in which no answer changes; in a transaction, every time.

        What was foreseen is not asked.
        """
        with self.snapshot() as connection:
            answers: dict[Hashable, T] = self._local.answers
            if question in answers:
                return answers[question]
            answer = ask(connection)
            if not self._local.writable:
                answers[question] = answer
            return answer

    def forget(self, question: Hashable) -> None:
        """Ask something anew, for this transaction has changed it."""
        self._local.answers.pop(question, None)

    def note(self, key: str) -> str | None:
        """Return what was kept under a name, or ``None``."""
        with self.snapshot() as connection:
            found = driver_of(connection).execute(_NOTE, (key,)).fetchone()
        return None if found is None else str(found[0])

    def keep_note(self, key: str, value: str) -> None:
        """Keep a short text under a name, in place of what was kept there."""
        with self.transaction() as connection:
            driver_of(connection).execute(_KEEP_NOTE, (key, value))

    def ensure_schema(self, component: str, version: int, tables: sa.MetaData) -> None:
        """Create the tables of one component the first time; refuse those of a newer revector."""
        key = f"schema_version:{component}"
        found = self.note(key)
        if found is None:
            with self.exclusive() as connection:
                found = self.note(key)  # another process may have created them since
                if found is None:
                    tables.create_all(connection, checkfirst=False)
                    self.keep_note(key, str(version))
                    return
        if int(found) != version:
            raise StoreError(
                f"{self.url} holds version {found} of the {component}'s tables, this revector knows version {version}; "
                "open it with the revector that wrote it, or a newer one"
            )

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._closed = True
        self._engine.dispose()

    # Transactions

    @property
    def _ambient(self) -> Connection | None:
        return getattr(self._local, "connection", None)

    @contextmanager
    def _joined(self) -> Iterator[Connection]:
        ambient = self._ambient
        assert ambient is not None
        if not self._local.writable:
            raise StoreError("a write inside a snapshot; end the snapshot first, its view can be out of date by now")
        with self._named_errors(self.lock_seconds), savepoint(ambient):
            yield ambient

    @contextmanager
    def _begun(self, timeout_seconds: float, lock: str) -> Iterator[Connection]:
        self.require_open()
        if is_torn():
            raise StoreError(
                f"{self.url} cannot be used here: this process was forked inside a transaction; fork outside of "
                "transactions, or start the process by spawn"
            )
        process = os.getpid()
        with holding_off_forks(), self._named_errors(timeout_seconds):
            pool, connection = self._engine.pool, self._begin(timeout_seconds, lock)
            try:
                self._local.connection, self._local.writable = connection, lock
                try:
                    with self._named_errors(min(timeout_seconds, self.lock_seconds)):
                        yield connection
                finally:
                    self._local.connection = None
                if os.getpid() == process:
                    self._commit(driver_of(connection), lock)
            finally:
                if os.getpid() == process:
                    # a pool that was left behind, by `close` or for a fork, closes nothing any more
                    give_back(connection, keep=pool is self._engine.pool)

    def _begin(self, timeout_seconds: float, lock: str) -> Connection:
        """Begin a transaction: again where others hold the lock for too long."""
        deadline = time.monotonic() + timeout_seconds
        wait = _FIRST_WAIT_SECONDS if lock == self._alone else timeout_seconds
        while True:
            wait = max(0.001, min(wait, deadline - time.monotonic()))
            try:
                return self._connected(partial(self._say_begin, wait, lock))
            except (DBAPIError, psycopg.Error) as error:
                if isinstance(_reason(error), psycopg.errors.UndefinedTable):
                    self._require_there()
                if not is_lock_timeout(_reason(error)) or time.monotonic() >= deadline:
                    raise
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            time.sleep(random.uniform(0.02, 0.1))

    def _require_there(self) -> None:
        """Raise `GoneError` if there is no collection any more."""
        with self._engine.connect() as connection:
            if not is_ours(driver_of(connection), self.place):
                raise GoneError(f"{self.url}: the collection was released or dropped since it was opened")

    def _connected(self, begin: Callable[[psycopg.Connection[Any]], object]) -> Connection:
        """Return a connection on which something was begun: a new one where it was lost, for `RECONNECT_SECONDS`."""
        lost_until, pause = time.monotonic() + RECONNECT_SECONDS, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._tried(begin)
            except (DBAPIError, psycopg.Error) as error:
                reason = _reason(error)
                is_over = time.monotonic() >= lost_until or isinstance(reason, psycopg.errors.ConnectionTimeout)
                if is_over or not is_disconnect(reason):
                    raise
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _tried(self, begin: Callable[[psycopg.Connection[Any]], object]) -> Connection:
        connection = self._engine.connect()
        try:
            begin(driver_of(connection))
        except BaseException:
            give_back(connection, keep=False)
            raise
        return connection

    def _say_begin(self, wait_seconds: float, lock: str, driver: psycopg.Connection[Any]) -> None:
        """Begin a transaction, and read what each has to know of its collection."""
        settings = f"{_WAIT.format(milliseconds=max(1, round(1000 * wait_seconds)))}; SET LOCAL jit = off"
        idle = _IDLE.format(milliseconds=round(1000 * IDLE_SECONDS))
        waits = _WAIT.format(milliseconds=max(1, round(1000 * min(wait_seconds, self.lock_seconds))))
        said = [_WRITE, self._path, settings, idle, lock, waits] if lock else [_READ, self._path, settings]
        if lock == self._alone and self._before_alone:
            said.insert(1, self._before_alone)
        foreseen = [each for each in self._foreseen if each.in_writes or not lock]
        known = ", ".join(["history", "shift", *(each.expression for each in foreseen)])
        cursor = driver.execute(sql.SQL("; ".join([*said, f"SELECT {known} FROM moment"])))
        while cursor.nextset():
            pass
        history, shift, *found = row_of(cursor)
        self._local.moment, self._local.answers = _Moment(history, shift), {}
        for each, value in zip(foreseen, found, strict=True):
            self._local.answers |= each.answers(value)
        if lock == self._alone:
            driver.execute(_WAIT.format(milliseconds=round(1000 * TIMEOUT_SECONDS)))

    def _commit(self, driver: psycopg.Connection[Any], lock: str) -> None:
        if not lock:  # what was read is read, whatever becomes of the connection
            with suppress(psycopg.Error):
                driver.execute("COMMIT")
            return
        try:
            said = driver.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            raise named(self.url, error, committing=True) from error
        if said != "COMMIT":  # a statement had failed, and whoever ran it went on
            raise StoreError(f"{self.url}: the transaction was undone, for a statement in it had failed; repeat it")

    @contextmanager
    def _named_errors(self, waited_seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise named(self.url, error.orig or error, waited_seconds=waited_seconds) from error
        except (psycopg.Error, UnicodeEncodeError) as error:
            raise named(self.url, error, waited_seconds=waited_seconds) from error

    def _leave_to_parent(self) -> None:
        """Start anew in a forked child: what a transaction of the parent still had open is never touched there."""
        keep_for_ever(self._engine.pool)
        keep_for_ever(self._ambient)
        self._engine.dispose(close=False)
        self._local = threading.local()


def _reason(error: DBAPIError | psycopg.Error) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
