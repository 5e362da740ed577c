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
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from revector._forks import holding_off_forks, is_torn, keep_for_ever, renew_in_child, settle_before_fork
from revector.backends.postgres.database.places import SCHEMA, Place
from revector.backends.postgres.database.postgres_errors import is_disconnect, is_lock_timeout, named
from revector.backends.postgres.queue import DIALECT
from revector.errors import ClosedError, GoneError, ReadOnlyError, StoreError

TIMEOUT_SECONDS = 30.0
RECONNECT_SECONDS = 20.0
"""For so long a connection is tried to be made again after one was lost."""
_CONNECT_SECONDS = 10
_OLDEST_SERVER, _OLDEST_VECTOR = 140_000, (0, 7)
LOCK_CLASS = 0x72766374
"""The first half of every advisory lock of revector; the second one is the collection's."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 0.8
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
IDLE_SECONDS = 20
"""A writer that says nothing for so long is ended by the server: whoever is stopped, or was cut off, holds locks."""
_WAIT = "SET LOCAL lock_timeout = {milliseconds}"
_IDLE = """
SELECT set_config('idle_in_transaction_session_timeout', '{milliseconds}', true)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'
"""  # a limit of the server's own stays
_SIGNS_OF_LIFE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A server that has vanished without a word is noticed in a minute, not in hours."""
MADE_BY_ONE = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)"
"""Lets one process at a time make what collections share, until its transaction ends."""
WITHOUT_VACUUM = """
SELECT set_config('lock_timeout',
    (1500 + 1000 * extract(epoch FROM current_setting('deadlock_timeout')::interval))::integer::text, true);
LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE
"""
"""Keeps vacuum from a table that others write to, until the transaction ends.

Autovacuum is in the way of every lock that keeps writers out, for as long as it takes: minutes, where there is a graph.
It gives way once somebody has waited for ``deadlock_timeout``, and no writer waits behind whoever asks for this lock.
"""

_SESSION = "SELECT pg_backend_pid()"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"  # not READ WRITE: a default that forbids it is somebody's will
_EXTENSION = """
SELECT nspname, extversion FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'vector'
"""
_IS_THERE = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
LOCK_OF = "SELECT (oid::bigint & 2147483647)::integer FROM pg_namespace WHERE nspname = %s"
_IS_OURS = "SELECT to_regclass(%s)"
_ONLY_READS = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'"
_MAY_WRITE = "SELECT has_schema_privilege(%s, 'USAGE'), has_table_privilege(%s, 'INSERT, UPDATE, DELETE')"
TABLES = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE moment (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    history bigint NOT NULL,
    shift bigint NOT NULL
);
COMMENT ON TABLE moment IS 'history: another number once the past was replaced, by a restored dump; '
    'shift: what is added to the number of a transaction, so that the sum grows when a dump is restored elsewhere';
"""
"""What every transaction of a collection reads."""
_NOTE = "SELECT value FROM meta WHERE key = %s"
_KEEP_NOTE = "INSERT INTO meta (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

_OPEN = (psycopg.pq.TransactionStatus.INTRANS, psycopg.pq.TransactionStatus.INERROR)

T = TypeVar("T")


class _Moment(NamedTuple):
    """What every transaction reads of its collection when it begins."""

    history: int
    shift: int


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
        self.extension = ""
        self.vector_version: tuple[int, ...] = ()
        self._closed = False
        self._local = threading.local()
        self._engine = _new_engine(place.connection)
        try:
            self._path, lock = self._prepared(read_only)
        except BaseException:
            self._engine.dispose()
            raise
        self._shared = f"SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, {lock})"
        self._alone = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {lock})"
        self._before_alone = ""
        settle_before_fork(self._engine.dispose)
        renew_in_child(self._leave_to_parent)

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        return self.place.url

    @property
    def _meta(self) -> str:
        return f"{_quoted(self.place.schema)}.meta"

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
                _give_back(connection, keep=False)  # what was set stays with the session, which nobody else must get

    @property
    def history(self) -> int:
        """Another number once the past of the collection was replaced; inside a transaction or snapshot."""
        return int(self._local.moment.history)

    @property
    def shift(self) -> int:
        """What is added to numbers of transactions; inside a transaction or snapshot."""
        return int(self._local.moment.shift)

    def once(self, question: Hashable, ask: Callable[[Connection], T]) -> T:
        """Ask something once for each snapshot, in which no answer changes; in a transaction, every time."""
        with self.snapshot() as connection:
            if self._local.writable:
                return ask(connection)
            answers: dict[Hashable, T] = self._local.answers
            if question not in answers:
                answers[question] = ask(connection)
            return answers[question]

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
        with self._named_errors(self.lock_seconds), _savepoint(ambient):
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
                self._local.connection, self._local.writable, self._local.answers = connection, lock, {}
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
                    _give_back(connection, keep=pool is self._engine.pool)

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
            if _row(driver_of(connection).execute(_IS_OURS, (self._meta,))) == (None,):
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
            _give_back(connection, keep=False)
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
        cursor = driver.execute(sql.SQL("; ".join([*said, "SELECT history, shift FROM moment"])))
        while cursor.nextset():
            pass
        self._local.moment = _Moment(*_row(cursor))
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

    # Opening

    def _prepared(self, asked_to_read: bool) -> tuple[str, int]:
        """Make the schema of a new collection; return how tables are found there, and the lock's second half."""
        with self._named_errors(), self._engine.connect() as connection:
            driver = driver_of(connection)
            if driver.info.server_version < _OLDEST_SERVER:
                raise StoreError(
                    f"{self.url}: PostgreSQL {driver.info.server_version // 10_000} is too old; 14 or newer"
                )
            encoding = driver.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise StoreError(
                    f"{self.url}: the database is encoded in {encoding}, expected UTF8, which holds any text"
                )
            replica, reads = _row(driver.execute(_ONLY_READS))
            if (replica or reads) and not self._why_read_only:
                self._why_read_only = "the server is a replica" if replica else "this role only reads"
            if driver.execute(_IS_THERE, (self.place.schema,)).fetchone() is None:
                if self._why_read_only:
                    raise StoreError(f"{self.url} does not exist, and is only to be read; give another name")
                self._make(driver)
            self._require_ours(driver)
            self.extension, self.vector_version = _extension(self.url, driver)
            path = self._path_with(self.extension)
            (lock,) = _row(driver.execute(LOCK_OF, (self.place.schema,)))
            return path, int(lock)

    def _make(self, driver: psycopg.Connection[Any]) -> None:
        """Create the schema with what every transaction reads, and the extension where it is missing."""
        schema = sql.Identifier(self.place.schema)
        with driver.transaction():
            driver.execute(MADE_BY_ONE)
            driver.execute("CREATE EXTENSION IF NOT EXISTS vector")
            if driver.execute(_IS_THERE, (self.place.schema,)).fetchone() is not None:
                return  # another process was faster
            if driver.execute(_IS_THERE, (SCHEMA,)).fetchone() is None:
                driver.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
            driver.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            driver.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
            driver.execute(TABLES)
            driver.execute(new_moment())

    def _require_ours(self, driver: psycopg.Connection[Any]) -> None:
        meta = self._meta
        if _row(driver.execute(_IS_OURS, (meta,))) == (None,):
            raise StoreError(f"{self.url}: the schema {self.place.schema!r} is not one of revector; give another name")
        uses, writes = _row(driver.execute(_MAY_WRITE, (self.place.schema, meta)))
        if not uses:
            raise StoreError(f"{self.url}: this role may not use the schema; docs/postgres.md says what it needs")
        if not writes and not self._why_read_only:
            self._why_read_only = "this role may only read; docs/postgres.md says what a writer needs"

    def _path_with(self, extension: str) -> str:
        names = [sql.Identifier(name) for name in dict.fromkeys([self.place.schema, "pg_catalog", extension])]
        return sql.SQL("SET LOCAL search_path = {}").format(sql.SQL(", ").join(names)).as_string()

    def _leave_to_parent(self) -> None:
        """Start anew in a forked child: what a transaction of the parent still had open is never touched there."""
        keep_for_ever(self._engine.pool)
        keep_for_ever(self._ambient)
        self._engine.dispose(close=False)
        self._local = threading.local()


def new_moment() -> sql.Composed:
    """Return the statement that begins the history of a collection."""
    return sql.SQL("INSERT INTO moment VALUES (1, {}, 0)").format(sql.Literal(random.getrandbits(62)))


def schema_exists(place: Place) -> bool:
    """Tell whether a database has the schema of a collection; raise `StoreError` if it cannot be reached."""
    try:
        with psycopg.connect(**{"connect_timeout": _CONNECT_SECONDS, **place.connection}) as driver:
            return driver.execute(_IS_THERE, (place.schema,)).fetchone() is not None
    except psycopg.Error as error:
        raise named(place.url, error) from error


def keeps_session(driver: psycopg.Connection[Any]) -> bool:
    """Tell whether a connection has a session to itself: a pooler between may give another one to each transaction.

    The process that answers is not the one that it was connected to, then. Nothing can be prepared or set there.
    """
    return _row(driver.execute(_SESSION)) == (driver.info.backend_pid,)


def driver_of(connection: Connection) -> Any:
    """Return psycopg's own connection, which costs no time where nothing has to be translated."""
    return connection.connection.driver_connection


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    driver = driver_of(connection)
    driver.execute("SAVEPOINT joined")
    try:
        yield
    except BaseException:
        if _is_alive(connection, driver):
            driver.execute("ROLLBACK TO joined; RELEASE joined")
        raise
    driver.execute("RELEASE joined")


def _is_alive(connection: Connection, driver: psycopg.Connection[Any]) -> bool:
    """Tell whether the transaction goes on; SQLAlchemy gives a connection up when a statement was interrupted."""
    status = driver.info.transaction_status
    return not connection.invalidated and not driver.closed and status != psycopg.pq.TransactionStatus.ACTIVE


def _give_back(connection: Connection, *, keep: bool) -> None:
    """Return a connection to the pool without a transaction; close one that is not kept, or still at work."""
    if not connection.invalidated:
        driver = driver_of(connection)
        if keep and driver.info.transaction_status in _OPEN:
            with suppress(psycopg.Error):
                driver.execute("ROLLBACK")
        if not keep or driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            driver.close()
        if driver.closed:
            connection.invalidate()
    connection.close()


def new_connection(parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    """Connect to a server, in autocommit mode."""
    options = {
        "connect_timeout": _CONNECT_SECONDS,
        **_SIGNS_OF_LIFE,
        "application_name": SCHEMA,
        **parameters,
        "client_encoding": "utf8",
    }
    connection = psycopg.connect(**options, autocommit=True)
    if not keeps_session(connection):
        connection.prepare_threshold = None
    return connection


def _new_engine(parameters: dict[str, Any]) -> Engine:
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: new_connection(parameters),
        isolation_level="AUTOCOMMIT",  # transactions are begun and ended here, by what is said to the driver
        use_native_hstore=False,
        pool_size=4,
        max_overflow=-1,
        pool_reset_on_return=None,
        hide_parameters=True,  # texts and the sources of encoders do not belong into messages
    )


def _extension(url: str, driver: psycopg.Connection[Any]) -> tuple[str, tuple[int, ...]]:
    """Return the schema that pgvector is in, and its version."""
    found = driver.execute(_EXTENSION).fetchone()
    if found is None:
        raise StoreError(
            f"{url}: pgvector is not installed in this database; let an administrator CREATE EXTENSION vector"
        )
    schema, version = found
    numbers = tuple(map(int, version.split(".")[:2]))
    if numbers < _OLDEST_VECTOR:
        raise StoreError(
            f"{url}: pgvector {version} is too old; install 0.7 or newer, then ALTER EXTENSION vector UPDATE"
        )
    return str(schema), numbers


def _reason(error: DBAPIError | psycopg.Error) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _row(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    found = cursor.fetchone()
    assert found is not None
    return tuple(found)


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
