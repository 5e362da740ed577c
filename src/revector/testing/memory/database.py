"""The transactions of a store in memory: of its documents and vectors, and of the ledger beside them.

Documents and vectors are one immutable `State`: a transaction makes others of it and publishes the last one, a snapshot
keeps the one it began with. The ledger is SQL, in a file of its own. What both say is published in one moment, and seen
so by every snapshot.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Connection

from revector._forks import renew_in_child
from revector.backends.sqlite.database import Database
from revector.errors import ClosedError, ReadOnlyError, StoreError
from revector.testing.memory.state import State

PATIENCE_SECONDS = 30.0
"""So long a writer waits for others."""
_SHARED_MEMORY = Path("/dev/shm")


class Store:
    """What everybody who opens one place shares. It stays with the process that made it.

    Parameters
    ----------
    place : str
        Where it is, as users say it.
    """

    def __init__(self, place: str) -> None:
        self.place, self.state, self._process = place, State(), os.getpid()
        folder = tempfile.mkdtemp(prefix="revector-", dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None)
        self.ledger = Path(folder) / "ledger.db"
        weakref.finalize(self, _remove, folder, self._process)
        self._renew_locks()
        renew_in_child(self._renew_locks)

    def _renew_locks(self) -> None:
        self.writing = threading.Lock()
        self.moment = threading.RLock()  # held while both parts of a transaction are published, and while both are seen

    def require_own_process(self) -> None:
        """Raise `StoreError` in a forked child, whose copy nobody else would see."""
        if self._process != os.getpid():
            raise StoreError(f"{self.place} is in the memory of process {self._process}; use it there")


@dataclass
class View:
    """The state that a thread sees inside a transaction or snapshot."""

    state: State
    writable: bool


class MemoryDatabase:
    """A store as one opener uses it. Safe to share between threads.

    Parameters
    ----------
    store : Store
        What is opened.
    read_only : bool
        Never write to it.
    """

    def __init__(self, store: Store, *, read_only: bool) -> None:
        self._store, self.read_only, self._closed = store, read_only, False
        self._local = threading.local()
        self.ledger = LedgerFile(self, store.ledger)

    @property
    def place(self) -> str:
        """Where the store is, as users say it."""
        return self._store.place

    @property
    def in_transaction(self) -> bool:
        """Whether the calling thread is inside a transaction or snapshot."""
        return self._view is not None or self.ledger.in_transaction

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`, `StoreError` in a forked child."""
        self._store.require_own_process()
        if self._closed:
            raise ClosedError(self.place)

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, and what `require_open` raises."""
        self.require_open()
        if self.read_only:
            raise ReadOnlyError(self.place, "it was opened with read_only=True; open it without")

    def read(self) -> State:
        """Return what the calling thread sees."""
        self.require_open()
        return self._store.state if self._view is None else self._view.state

    @contextmanager
    def change(self, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[View]:
        """Open, or join, a transaction of documents and vectors; what raises is undone."""
        self.require_writable()
        view = self._view
        if view is None:
            with self._writer(timeout_seconds) as view:
                yield view
            return
        if not view.writable:
            raise StoreError("a write inside a snapshot; end the snapshot first, its view can be out of date by now")
        before = view.state
        try:
            yield view
        except BaseException:
            view.state = before
            raise

    @contextmanager
    def transaction(self, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[Connection]:
        """Open, or join, a transaction of documents, vectors and the ledger."""
        with ExitStack() as published, self.change(timeout_seconds), self.ledger.transaction(timeout_seconds) as ledger:
            yield ledger
            published.enter_context(self._store.moment)  # until the ledger and the documents are

    @contextmanager
    def alone(self, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Let nobody else write documents or vectors meanwhile; what is written inside stays, each call by itself."""
        self.require_writable()
        if getattr(self._local, "alone", False):
            yield
            return
        with self._turn(timeout_seconds):
            self._local.alone = True
            try:
                yield
            finally:
                self._local.alone = False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open, or join, a view of documents, vectors and the ledger at one moment."""
        self.require_open()
        if self._view is not None:
            with self.ledger.snapshot() as ledger:
                yield ledger
            return
        with ExitStack() as ended:
            with self._store.moment:
                ledger = ended.enter_context(self.ledger.snapshot())
                view = View(self._store.state, writable=False)
            with self._seen(view):
                yield ledger

    def close(self) -> None:
        """Release what is open; the store stays for others."""
        self._closed = True
        self.ledger.close()

    @property
    def _view(self) -> View | None:
        return getattr(self._local, "view", None)

    @contextmanager
    def _writer(self, timeout_seconds: float) -> Iterator[View]:
        with self.alone(timeout_seconds), self._seen(View(self._store.state, writable=True)) as view:
            yield view
            with self._store.moment:
                self._store.state = view.state

    @contextmanager
    def _turn(self, timeout_seconds: float) -> Iterator[None]:
        if not self._store.writing.acquire(timeout=timeout_seconds):
            raise StoreError(f"{self.place} is locked: somebody else wrote for {timeout_seconds:g} seconds; try again")
        try:
            yield
        finally:
            self._store.writing.release()

    @contextmanager
    def _seen(self, view: View) -> Iterator[View]:
        self._local.view = view
        try:
            yield view
        finally:
            self._local.view = None


class LedgerFile(Database):
    """The database of a ledger that is beside its store, not in it.

    Parameters
    ----------
    store : MemoryDatabase
        Says whether it can be written.
    path : Path
        The file.
    """

    def __init__(self, store: MemoryDatabase, path: Path) -> None:
        self._store = store
        super().__init__(path)

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._store.place

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._store.read_only

    def require_writable(self) -> None:
        """Raise what the store raises."""
        self._store.require_writable()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open, or join, a consistent view for reads."""
        self._store.require_open()
        with super().snapshot() as connection:
            yield connection


def _remove(folder: str, process: int) -> None:
    if process == os.getpid():  # a child may end before its parent
        shutil.rmtree(folder, ignore_errors=True)
