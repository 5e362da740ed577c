"""The backend in memory: a store that a URL names, for as long as its process lives."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from revector._arguments import shown
from revector._forks import renew_in_child
from revector.backends.contracts import ALIAS, Backend, Backup, Capabilities, Order
from revector.backends.sqlite.statements import answer, execute
from revector.errors import InvalidArgumentError, StoreError
from revector.ledger.jobs import JobRequest
from revector.ledger.records import Ledger
from revector.testing.memory.database import PATIENCE_SECONDS, MemoryDatabase, Store
from revector.testing.memory.documents import MemoryDocuments
from revector.testing.memory.generations import MemoryGenerations
from revector.testing.memory.index import MemoryIndex


class MemoryBackend:
    """A collection in the memory of this process; see `revector.backends.contracts.Backend`.

    Whoever opens the same place has the same collection, also after it was closed, until `forget`.

    Parameters
    ----------
    database : MemoryDatabase
        The store; the backend closes it.
    """

    scheme = "memory://"
    alias = ALIAS
    capabilities = Capabilities(transactions=True, conditional_upsert=True)
    folder = None

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.documents = MemoryDocuments(database)
        self.generations = MemoryGenerations(database)
        self.index = MemoryIndex(database)
        self.ledger = Ledger(database.ledger)

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, read_only: bool = False) -> MemoryBackend:
        """Open, or create, the collection of a name: ``memory://NAME``."""
        return cls(MemoryDatabase(_stores.get(cls._checked(place), create=not read_only), read_only=read_only))

    @classmethod
    def is_there(cls, place: str | os.PathLike[str]) -> bool:
        """Whether somebody has opened that place before."""
        return cls._checked(place) in _stores

    @staticmethod
    def shown(place: str | os.PathLike[str]) -> str:
        """Return the place as it is: it holds no secrets."""
        return os.fspath(place)

    @classmethod
    def _checked(cls, place: str | os.PathLike[str]) -> str:
        text = os.fspath(place)
        if not text.startswith(cls.scheme) or text == cls.scheme:
            raise InvalidArgumentError(f"place is {shown(text)}, expected {cls.scheme}NAME")
        return text

    @property
    def place(self) -> str:
        """``memory://NAME``."""
        return self.database.place

    url = place

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.database.read_only

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`."""
        self.database.require_writable()

    def transaction(self, timeout_seconds: float = PATIENCE_SECONDS) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction of the calling thread."""
        return self.database.transaction(timeout_seconds)

    def exclusive(self, timeout_seconds: float = PATIENCE_SECONDS) -> AbstractContextManager[Connection]:
        """Open a transaction beside which nobody else writes: here, every one is."""
        return self.database.transaction(timeout_seconds)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open, or join, a consistent view for reads."""
        return self.database.snapshot()

    def ask(self, generation: int, after: int, until: int, order: Order) -> None:
        """Ask for the vectors that the documents of a slice of keys lack in a generation."""
        _ask(self, generation, after, until, order)

    def reclaim(self) -> bool:
        """Drop the jobs that generations left which exist no more; tell whether there were any."""
        state = self.database.read()
        gone = [id_ for id_ in range(1, state.last_generation + 1) if id_ not in state.generations]
        left = [id_ for id_ in gone if self.ledger.jobs.counts(id_).total]
        for generation in left:
            self.ledger.jobs.forget_generation(generation)
        return bool(left)

    def recapture(self, *, anew: bool = False) -> bool:
        """Return ``False``: nobody writes unseen."""
        return False

    def history(self) -> int:
        """Return always the same: nothing replaces the past of a store in memory."""
        return 0

    def answer(self, query: str) -> Any:
        """Return the first value of a query to the ledger: memory knows no SQL."""
        return answer(self.database.ledger, query)

    def execute(self, statement: str) -> None:
        """Execute a statement of the user's in the database of the ledger."""
        execute(self.database.ledger, statement)

    def stored_bytes(self) -> int:
        """Return what the vectors take."""
        generations = self.database.read().vectors.values()
        return sum(stored.vector.nbytes for vectors in generations for stored in vectors.values())

    def check(self) -> list[str]:
        """Look for damage in the ledger; memory has none."""
        return self.database.ledger.check()

    def backup(self, directory: Path) -> Backup:
        """Raise `StoreError`: there is no file to copy."""
        self.database.require_open()
        raise StoreError(f"{self.place} is in memory and cannot be backed up; write its documents to a file instead")

    def close(self) -> None:
        """Leave the store to others, and to a later `open`."""
        self.index.close()
        self.database.close()


def _ask(backend: Backend, generation: int, after: int, until: int, order: Order) -> None:
    with backend.transaction():
        hashes = backend.documents.content_hashes(backend.generations.stale_between(generation, after, until))
        facts = backend.documents.facts(after, until - after)
        requests = [JobRequest(f.key, hashes[f.key], order.priority(f)) for f in facts if f.key in hashes]
        backend.ledger.jobs.enqueue(generation, requests)


class _Stores:
    """The stores of this process by their places. A forked child begins without any."""

    def __init__(self) -> None:
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._stores: dict[str, Store] = {}

    def __contains__(self, place: object) -> bool:
        return place in self._stores

    def get(self, place: str, *, create: bool) -> Store:
        with self._lock:
            if place not in self._stores:
                if not create:
                    raise StoreError(f"{place} does not exist, and is only to be read; give another name")
                self._stores[place] = Store(place)
            return self._stores[place]

    def forget(self, place: str) -> None:
        below = f"{place.rstrip('/')}/"
        with self._lock:
            self._stores = {name: of for name, of in self._stores.items() if not f"{name}/".startswith(below)}


_stores = _Stores()


def forget(place: str | os.PathLike[str]) -> None:
    """Let go of what is stored at a place, and at those below it; whoever has it open keeps it."""
    _stores.forget(os.fspath(place))
