"""The backend of a collection in a store of vectors: a ledger file beside it, and points in the store.

The store has no transactions, so points come first and the ledger second. All who write share the lock of the ledger,
hence a vector lands only where its document still has the text that was embedded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from revector.backends.beside.documents import AdoptedDocuments, BesideDocuments
from revector.backends.beside.generations import BesideGenerations
from revector.backends.beside.index import BesideIndex
from revector.backends.beside.ledger_file import LedgerFile, Written
from revector.backends.beside.places import Place
from revector.backends.beside.points import Points
from revector.backends.beside.recapture import Recapture
from revector.backends.beside.reclaiming import drop_collections
from revector.backends.beside.source import ADOPTED, source_of
from revector.backends.beside.store import VectorStore
from revector.backends.contracts import ALIAS, Backup, Capabilities, Order
from revector.backends.sqlite.asking import ASK
from revector.backends.sqlite.database.sqlite_errors import BUSY_TIMEOUT_SECONDS
from revector.backends.sqlite.reclaiming import reclaim
from revector.backends.sqlite.schema import METADATA, VERSION
from revector.backends.sqlite.statements import answer, execute
from revector.backends.sqlite.upgrade import open_ledger
from revector.errors import GoneError, StoreError

_PAGES = ("page_count", "freelist_count", "page_size")


class BesideBackend:
    """A collection in a store of vectors; see `revector.backends.contracts.Backend` for what each method promises.

    Parameters
    ----------
    place : Place
        Where the collection is.
    database : LedgerFile
        The ledger; the backend closes it.
    store : VectorStore
        The backend closes it.
    """

    alias = ALIAS
    capabilities = Capabilities(transactions=False, conditional_upsert=True)

    def __init__(self, place: Place, database: LedgerFile, store: VectorStore) -> None:
        self._place, self.database, self.store = place, database, store
        database.ensure_schema("store", VERSION, METADATA)
        note = database.note(ADOPTED)
        self.source = None if note is None else source_of(note)
        self._points = Points(database, store, place.name, self.source)
        self.generations = BesideGenerations(self._points)
        kind = BesideDocuments if self.source is None else AdoptedDocuments
        self.documents = kind(database, self.generations)
        self.ledger = open_ledger(database)
        self.index = BesideIndex(database, self.generations, self._points)
        self._recapture = Recapture(self, self._points)
        if not database.read_only:
            database.mend = self._mend
            self.generations.follow_readers()

    @property
    def url(self) -> str:
        """Where the collection is, without secrets."""
        return self._place.url

    place = url

    @property
    def folder(self) -> Path:
        """The folder of the ledger."""
        return self.database.path.parent

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.database.read_only

    @property
    def collections(self) -> dict[int, str]:
        """The physical collections of the generations that there are."""
        return {known.id: self._points.collection(known.id) for known in self.generations.all()}

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` or `ClosedError` as `Database.require_writable`, `GoneError` after a release."""
        self.database.require_writable()
        if not self.database.path.exists():
            raise GoneError(f"{self.url}: its ledger {self.database.path} is gone: the collection was released")

    def transaction(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction of the ledger; points that are written inside stay."""
        return self.database.transaction(timeout_seconds)

    def exclusive(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open a transaction beside which nobody else writes by revector: here, every one is."""
        return self.database.transaction(timeout_seconds)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open, or join, a view of the ledger; what is read from the store is as new, or newer."""
        with self.database.snapshot() as connection, self.store.moment():
            yield connection

    def ask(self, generation: int, after: int, until: int, order: Order) -> None:
        """Ask for the vectors that the documents of a slice of keys lack in a generation."""
        parameters = {"generation": generation, "after": after, "until": until, **vars(order)}
        with self.database.transaction() as connection:
            self.generations.get(generation)
            connection.execute(ASK, parameters)

    def reclaim(self) -> bool:
        """Drop the collections of generations that were dropped, then give back what the ledger has of them."""
        return drop_collections(self.database, self._points) or reclaim(self.database)

    def recapture(self, *, anew: bool = False) -> bool:
        """Look through a slice of the points for what others wrote; tell whether there is more to look through."""
        return self._recapture.step(anew=anew)

    def history(self) -> int:
        """Return a number that is another one once the ledger's past was replaced while it was open."""
        with self.database.snapshot():
            return self.database.history

    def answer(self, query: str) -> Any:
        """Return the first value of a query of the user's to the ledger: a store of vectors knows no SQL."""
        return answer(self.database, query)

    def execute(self, statement: str) -> None:
        """Execute a statement of the user's in the ledger."""
        execute(self.database, statement)

    def stored_bytes(self) -> int:
        """Return about what the points of all generations take, and the ledger."""
        with self.database.snapshot() as connection:
            count, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PAGES)
        return int((count - free) * size) + sum(map(self.store.stored_bytes, self.collections.values()))

    def check(self) -> list[str]:
        """Run SQLite's integrity check over the ledger, and hold the numbers of points against it."""
        found = [f"the ledger is damaged ({each}): restore it from a backup" for each in self.database.check()]
        for generation, name in self.collections.items() if not found else ():
            count = self.generations.count(generation)
            if (there := self.store.count(name)) != count:
                found.append(
                    f"{name} holds {there:,} points, the ledger knows {count:,}: revector doctor --repair mends that"
                )
        return found

    def backup(self, directory: Path) -> Backup:
        """Raise `StoreError`: a copy of the ledger alone would call points by texts that they do not have."""
        self.database.require_writable()
        raise StoreError(
            f"{self.url} is in a store: back that up by its own tools, and {self.database.path} with it, while nobody "
            "writes"
        )

    def close(self) -> None:
        """Leave the store, and close the ledger."""
        try:
            self.store.close()
        finally:
            self.database.close()

    def _mend(self, written: Sequence[Written]) -> None:
        self._points.mend(written, [known.id for known in self.generations.all()])
