"""One SQLite database, shared by threads and processes: connections, transactions, schema versions, clear errors.

The embedded store and the ledger live in the same file, so that one transaction covers both. A transaction is
*ambient*: code that opens one while its thread already holds one joins it as a savepoint, hence the pieces commit
together or not at all, and need not know of one another.

Writers take SQLite's write lock at ``BEGIN IMMEDIATE`` and wait for each other up to `BUSY_TIMEOUT_SECONDS`; a deferred
transaction that turns into a writer could fail half-way instead. They look for it every few milliseconds: SQLite itself
looks ever more seldom, and hardly ever meets the moment between two transactions of somebody who writes slice after
slice. The writers of one process take turns without looking, and leave a gap after a long one, which the others meet.
Readers never wait (write-ahead log).

A file that is moved, deleted or replaced while it is open is noticed at the next transaction, and refused: connections
would go on reading, and writing, one that nobody sees. What restores a backup *into* the file (SQLite's ``.restore``)
begins another `history`.

SQLite must not be carried over a fork, nor what it remembers of this process's locks: a fork waits for transactions,
connections are closed before it, and both sides open new ones.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from revector._forks import holding_off_forks, is_torn, keep_for_ever, renew_in_child, settle_before_fork
from revector.backends.sqlite.database.places import file_of
from revector.backends.sqlite.database.read_only import ReadOnlyFile, can_write
from revector.backends.sqlite.database.sqlite_errors import BUSY_TIMEOUT_SECONDS, is_busy, named
from revector.backends.sqlite.queue import DIALECT
from revector.errors import ClosedError, DamagedStoreError, InvalidArgumentError, ReadOnlyError, StoreError

_OLDEST_SQLITE = (3, 35, 0)  # RETURNING
_LOOK_EVERY_SECONDS = 0.002  # for the write lock
_LONG_SECONDS = 0.01  # after a transaction that took longer ...
_LEFT_ALONE_SECONDS = 0.003  # ... this process leaves the lock alone for so long: everybody else looks at least once
_STEPPED_BACK_SECONDS = 0.001  # and its thread lets another one go first: a lock of Python's does not queue
_CACHE_KIB = 16 << 10  # a larger one made no verb faster at 400,000 documents
_WAIT = f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}"
_DO_NOT_WAIT = "PRAGMA busy_timeout = 0"
_PRAGMAS = (
    _WAIT,  # first: the next ones may have to
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 1000",  # pages, 16 MB
    "PRAGMA journal_size_limit = 67108864",  # a log that a long reader let grow shrinks again
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA cache_size = -{_CACHE_KIB}",  # of each connection
)
_OF_A_NEW_FILE = (
    "PRAGMA page_size = 16384",  # ten vectors a page; scans are 1.5 times those with 4096. First: the next one writes
    "PRAGMA auto_vacuum = INCREMENTAL",  # before the first page of a table; later it would take a lock
)
_FREE_PAGES, _INCREMENTAL = ("auto_vacuum", "freelist_count"), 2
_READER_PRAGMAS = (_WAIT, "PRAGMA query_only = ON", *_PRAGMAS[-2:])
_ASKED_TO_READ = "it was opened with read_only=True; open it without"
_MUST_READ = (
    "the file, its folder or the file system is read-only for this process; give it permission to write the file and "
    "its folder, or work with a copy where that can be written (revector backup makes one)"
)

T = TypeVar("T")

_META = sa.MetaData()
_meta = sa.Table(
    "meta", _META, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)


class Database:
    """A SQLite file and its transactions. Safe to share between threads; a forked child gets its own connections.

    Parameters
    ----------
    path : str or Path
        The file, or a ``sqlite:///`` URL of it. It is created when it does not exist.
    read_only : bool
        Never write to it. So it is as well if the file or its folder cannot be written.

    Raises
    ------
    InvalidArgumentError
        It is the URL of something else.
    StoreError
        The file is not a database of revector, is damaged or truncated, or cannot be opened.
    """

    dialect = DIALECT

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; revector needs 3.35 or newer")
        self.path = file_of(path)
        if read_only and not self.path.exists():
            raise StoreError(f"{self.path} does not exist, and is only to be read; give another path")
        self._asked_to_read = read_only
        self._file = None if can_write(self.path) and not read_only else ReadOnlyFile(self.path)
        self._local, self._writing = threading.local(), threading.Lock()
        self._closed = False
        self._log = self.path.with_name(f"{self.path.name}-wal")
        self._identity: tuple[int, int] | None = None
        self._engine = _new_engine(self.path, self._file)
        try:
            self._claim_file()
        except BaseException:
            self._engine.dispose()
            raise
        self._identity = _identity(self.path)
        settle_before_fork(self._engine.dispose)
        renew_in_child(self._leave_to_parent)

    @property
    def url(self) -> str:
        """The database as a SQLAlchemy URL."""
        return f"sqlite:///{self.path}"

    @property
    def place(self) -> str:
        """What whoever uses it once it is closed, or writes to what is only read, is told that it is."""
        return str(self.path)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written: the caller said so, or the file or its folder cannot be written."""
        return self._file is not None

    def require_writable(self) -> None:
        """Raise what a transaction would raise at once; call it before work that only makes sense if that works.

        Raises
        ------
        ClosedError
            The database was closed.
        ReadOnlyError
            It is only read.
        """
        if self._closed:
            raise ClosedError(self.place)
        if self._file is not None:
            raise ReadOnlyError(self.place, _ASKED_TO_READ if self._asked_to_read else _MUST_READ)

    @property
    def in_transaction(self) -> bool:
        """Whether the calling thread is inside a transaction or snapshot: then nothing that may take long is begun."""
        return self._ambient is not None

    @property
    def writing(self) -> bool:
        """Whether the calling thread is inside a transaction: what it reads may yet be taken back."""
        return self._ambient is not None and bool(self._local.writable)

    @contextmanager
    def transaction(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Write transaction; joins the calling thread's open one as a savepoint.

        Parameters
        ----------
        timeout_seconds : float
            How long to wait for other writers.

        Yields
        ------
        Connection
            Commits when the block ends, rolls back when it raises.

        Raises
        ------
        ReadOnlyError
            The database is only read.
        StoreError
            The database failed, or the thread is inside a `snapshot`, which cannot turn into a writer.
        """
        self.require_writable()
        ambient = self._ambient
        if ambient is None:
            with self._turn(timeout_seconds) as left_seconds:
                with self._begin("IMMEDIATE", timeout_seconds, left_seconds) as connection:
                    began = time.monotonic()
                    yield connection
                was_long = time.monotonic() - began > _LONG_SECONDS
                if was_long:
                    time.sleep(_LEFT_ALONE_SECONDS)
            if was_long:
                time.sleep(_STEPPED_BACK_SECONDS)
        elif not self._local.writable:
            raise StoreError("a write inside a snapshot; end the snapshot first, its view can be out of date by now")
        else:
            with self._named_errors(), _savepoint(ambient):
                yield ambient

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read transaction: every read inside sees the same moment. Joins an open transaction or snapshot."""
        ambient = self._ambient
        if ambient is None:
            with self._begin("DEFERRED") as connection:
                yield connection
        else:
            with self._named_errors():
                yield ambient

    @property
    def history(self) -> int:
        """Another number once the past of the file was replaced while it was open; inside a transaction or snapshot.

        It is SQLite's schema version, which grows when a backup is restored into the file, and when it is vacuumed.
        """
        return int(self._local.history)

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
            return connection.exec_driver_sql("SELECT value FROM meta WHERE key = ?", (key,)).scalar()

    def keep_note(self, key: str, value: str) -> None:
        """Keep a short text under a name, in place of what was kept there."""
        statement = insert(_meta).values(key=key, value=value)
        with self.transaction() as connection:
            connection.execute(statement.on_conflict_do_update(set_={"value": value}))

    def ensure_schema(self, component: str, version: int, tables: sa.MetaData) -> None:
        """Create the tables of one component the first time; refuse those of a newer revector.

        Parameters
        ----------
        component : str
            Who owns the tables (``"store"``, ``"ledger"``).
        version : int
            Schema version that this code reads and writes.
        tables : MetaData
            The tables, indexes and views.

        Raises
        ------
        StoreError
            The file holds another version.
        """
        key = f"schema_version:{component}"
        found = self.note(key)
        if found is None:
            with self.transaction() as connection:
                found = self.note(key)  # another process may have created them since
                if found is None:
                    tables.create_all(connection)
                    self.keep_note(key, str(version))
                    return
        if int(found) != version:
            raise StoreError(
                f"{self.path} holds version {found} of the {component}'s tables, this revector knows version "
                f"{version}; open it with the revector that wrote it, or a newer one"
            )

    def release_pages(self, most: int) -> bool:
        """Give some of the free pages of the file back to the system; tell whether there were any.

        A file that an earlier release made keeps its free pages, for what is written next.
        """
        with self.snapshot() as connection:
            mode, free = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in _FREE_PAGES)
        if mode != _INCREMENTAL or not free:
            return False
        with self.transaction() as connection:
            for _ in range(min(most, free)):  # the driver takes one step of a statement without columns: one page
                driver_of(connection).execute("PRAGMA incremental_vacuum(1)")
        return True

    def check(self) -> list[str]:
        """Run SQLite's integrity check over the whole file; return what it found wrong (empty: nothing).

        Raises
        ------
        StoreError
            The file could not be read, which says nothing of what is in it.
        """
        try:
            with self.snapshot() as connection:
                found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check")]
        except DamagedStoreError as error:  # too damaged for the check itself
            return [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close every connection that is not in use; the last one of all processes folds the log into the file."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _turn(self, timeout_seconds: float) -> Iterator[float]:
        """Take turns with the other threads of this process; yield how long to wait for other processes."""
        writing, began = self._writing, time.monotonic()
        has_turn = writing.acquire(timeout=timeout_seconds)  # if not, SQLite says so
        try:
            yield max(0.0, timeout_seconds - (time.monotonic() - began))
        finally:
            if has_turn:
                writing.release()

    @property
    def _ambient(self) -> Connection | None:
        return getattr(self._local, "connection", None)

    @contextmanager
    def _begin(
        self, mode: str, timeout_seconds: float = BUSY_TIMEOUT_SECONDS, left_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> Iterator[Connection]:
        if self._closed:
            raise ClosedError(self.place)
        if is_torn():
            raise StoreError(
                f"{self.path} cannot be used here: this process was forked inside a transaction, whose locks stay in "
                "its memory; fork outside of transactions, or start the process by spawn"
            )
        self._require_untouched()
        with holding_off_forks(), self._named_errors(timeout_seconds), self._engine.connect() as connection:
            connection.execution_options(revector_begin=mode, revector_timeout=left_seconds)
            with connection.begin():
                self._local.history = driver_of(connection).execute("PRAGMA schema_version").fetchone()[0]
                self._require_same_files(connection)
                self._local.connection, self._local.writable = connection, mode == "IMMEDIATE"
                self._local.answers = {}
                try:
                    yield connection
                finally:
                    self._local.connection = None
        self._require_untouched()

    def _require_untouched(self) -> None:
        if self._file is not None:
            self._file.require_untouched()

    @contextmanager
    def _named_errors(self, waited_seconds: float = BUSY_TIMEOUT_SECONDS) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise named(self.path, error.orig or error) from error
        except sqlite3.Error as error:  # raised at the beginning, or by the pragmas of a new connection
            raise named(self.path, error, waited_seconds=waited_seconds) from error
        except (OverflowError, UnicodeEncodeError) as error:  # raised on the way to SQLite
            raise InvalidArgumentError(f"{self.path} cannot hold a value: {error}") from error

    def _require_same_files(self, connection: Connection) -> None:
        """Refuse a file, or a log, that is not the one a connection reads; the log of one that writes stays with it."""
        found, log = _identity(self.path), _identity(self._log) if self._file is None else None
        if self._identity not in (None, found) or connection.info.setdefault("log", log) != log:
            raise StoreError(
                f"{self.path} was moved, deleted or replaced since it was opened (a restored backup?); open it again, "
                "in every process that has it open"
            )

    def _claim_file(self) -> None:
        """Make a new file one of revector; refuse that of another program. A file of revector is only read."""
        with self.snapshot() as connection:
            names = set(connection.scalars(sa.text("SELECT name FROM sqlite_master")))
        if names and _meta.name not in names:
            raise StoreError(f"{self.path} is a SQLite database, but not one of revector; give another path")
        if not names:
            with self.transaction() as connection:
                _META.create_all(connection)

    def _leave_to_parent(self) -> None:
        """Start anew in a forked child: what a transaction of the parent still had open is never touched there."""
        keep_for_ever(self._engine.pool)
        keep_for_ever(self._ambient)
        self._engine.dispose(close=False)
        self._local, self._writing = threading.local(), threading.Lock()


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    connection.exec_driver_sql("SAVEPOINT joined")
    try:
        yield
    except BaseException:
        if _is_alive(connection):
            connection.exec_driver_sql("ROLLBACK TO joined")
            connection.exec_driver_sql("RELEASE joined")
        raise
    connection.exec_driver_sql("RELEASE joined")


def _is_alive(connection: Connection) -> bool:
    """Tell whether the transaction goes on.

    SQLite rolls it back when the disk is full; SQLAlchemy gives the connection up when a statement was interrupted.
    """
    if connection.invalidated:
        return False
    return bool(getattr(driver_of(connection), "in_transaction", False))


def driver_of(connection: Connection) -> Any:
    """Return SQLite's own connection, which costs no time where nothing has to be translated."""
    return connection.connection.driver_connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from every other one; ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _OwnConnection(sqlite3.Connection):
    """A connection that a forked child cannot use, nor end a transaction of its parent with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._process = os.getpid()

    def cursor(self, *args: Any) -> Any:
        if self._process != os.getpid():
            raise sqlite3.ProgrammingError("this transaction is that of the parent process")
        return super().cursor(*args)

    def commit(self) -> None:
        if self._process == os.getpid():
            super().commit()

    def rollback(self) -> None:
        if self._process == os.getpid():
            super().rollback()

    def close(self) -> None:
        if self._process == os.getpid():
            super().close()


def _new_engine(path: Path, read_only: ReadOnlyFile | None) -> Engine:
    def connect() -> sqlite3.Connection:
        place = str(path) if read_only is None else read_only.uri
        return sqlite3.connect(place, uri=read_only is not None, check_same_thread=False, factory=_OwnConnection)

    engine = sa.create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        creator=connect,
        pool_size=4,
        max_overflow=-1,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        hide_parameters=True,  # texts and the sources of encoders do not belong into messages
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        connection.execute(_WAIT)
        if read_only is None and not connection.execute("PRAGMA page_count").fetchone()[0]:
            for pragma in _OF_A_NEW_FILE:
                connection.execute(pragma)
        for pragma in _PRAGMAS if read_only is None else _READER_PRAGMAS:
            connection.execute(pragma)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options["revector_begin"] == "IMMEDIATE":
            _take_write_lock(driver_of(connection), options["revector_timeout"])
        else:
            driver_of(connection).execute("BEGIN")

    return engine


def _take_write_lock(connection: sqlite3.Connection, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    connection.execute(_DO_NOT_WAIT)
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_LOOK_EVERY_SECONDS)
    finally:
        connection.execute(_WAIT)
