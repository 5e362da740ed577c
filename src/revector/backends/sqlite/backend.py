"""The embedded backend: everything of a collection in one SQLite file, and its indexes in a folder beside it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from revector.backends.contracts import ALIAS, Backup, Capabilities, Order
from revector.backends.local_index.local import LocalIndex
from revector.backends.local_index.segments import needless_until
from revector.backends.sqlite.asking import ASK
from revector.backends.sqlite.backup import back_up
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.database.places import file_of
from revector.backends.sqlite.database.sqlite_errors import BUSY_TIMEOUT_SECONDS
from revector.backends.sqlite.documents import SqliteDocuments
from revector.backends.sqlite.generations import SqliteGenerations
from revector.backends.sqlite.reclaiming import forget_deletions, reclaim
from revector.backends.sqlite.schema import METADATA, VERSION
from revector.backends.sqlite.statements import answer, execute
from revector.backends.sqlite.upgrade import open_ledger

_PAGES = ("page_count", "freelist_count", "page_size")


class SqliteBackend:
    """A collection in a SQLite file; see `revector.backends.contracts.Backend` for what each method promises.

    Parameters
    ----------
    database : Database
        The file; the backend closes it.
    """

    alias = ALIAS
    capabilities = Capabilities(transactions=True, conditional_upsert=True)

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure_schema("store", VERSION, METADATA)
        self.documents = SqliteDocuments(database)
        self.generations = SqliteGenerations(database)
        self.ledger = open_ledger(database)
        self.index = LocalIndex(self, Path(f"{database.path}.index"))

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False) -> SqliteBackend:
        """Open, or create, the collection in a file."""
        database = Database(path, read_only=read_only)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    @staticmethod
    def is_there(place: str | os.PathLike[str]) -> bool:
        """Whether there is something at a place; an empty file is nothing yet."""
        file = file_of(place)
        return file.exists() and not (file.is_file() and file.stat().st_size == 0)

    @staticmethod
    def shown(place: str | os.PathLike[str]) -> str:
        """Return the place as it is: it holds no secrets."""
        return os.fspath(place)

    @property
    def database(self) -> Database:
        """The file."""
        return self._database

    @property
    def url(self) -> str:
        """Where the collection is."""
        return self._database.url

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._database.path)

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._database.path.parent

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._database.read_only

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`."""
        self._database.require_writable()

    def transaction(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction of the calling thread."""
        return self._database.transaction(timeout_seconds)

    def exclusive(self, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open a transaction beside which nobody else writes: in SQLite, every one is."""
        return self._database.transaction(timeout_seconds)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open, or join, a consistent view for reads."""
        return self._database.snapshot()

    def ask(self, generation: int, after: int, until: int, order: Order) -> None:
        """Ask for the vectors that the documents of a slice of keys lack in a generation."""
        parameters = {"generation": generation, "after": after, "until": until, **vars(order)}
        with self._database.transaction() as connection:
            self.generations.get(generation)
            connection.execute(ASK, parameters)

    def reclaim(self) -> bool:
        """Give back a slice of what nothing needs any more; tell whether there was anything to give back."""
        return any(self._forget_needless(known.id) for known in self.generations.all()) or reclaim(self._database)

    def _forget_needless(self, generation: int) -> bool:
        upto = needless_until(self.index_note(generation), self.generations.last_seq())
        return self.forget_deletions(generation, upto)

    def forget_deletions(self, generation: int, upto: int) -> bool:
        """Give back a slice of a generation's deletions up to a point, but for the newest."""
        return forget_deletions(self._database, generation, upto)

    def recapture(self, *, anew: bool = False) -> bool:
        """Return ``False``: nobody writes unseen."""
        return False

    def history(self) -> int:
        """Return a number that is another one once the database's past was replaced while it was open."""
        with self._database.snapshot():
            return self._database.history

    def answer(self, query: str) -> Any:
        """Return the first value of a query of the user's, which can write nothing."""
        return answer(self._database, query)

    def execute(self, statement: str) -> None:
        """Execute a statement of the user's."""
        execute(self._database, statement)

    @property
    def writing(self) -> bool:
        """Whether the calling thread is inside a transaction: what it reads may yet be taken back."""
        return self._database.writing

    def index_note(self, generation: int) -> str | None:
        """Return what names the index files that belong to a generation, or ``None``."""
        return self._database.note(f"index:{generation}")

    def keep_index_note(self, generation: int, note: str) -> None:
        """Name the index files that belong to a generation."""
        self._database.keep_note(f"index:{generation}", note)

    def stored_bytes(self) -> int:
        """Return how many bytes the pages in use take, and the files of the indexes."""
        with self._database.snapshot() as connection:
            count, free, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PAGES)
        files = Path(f"{self._database.path}.index").glob("*")
        return int((count - free) * size) + sum(file.stat().st_size for file in files)

    def check(self) -> list[str]:
        """Run SQLite's integrity check over the whole file."""
        return [f"the database is damaged ({each}): restore it from a backup" for each in self._database.check()]

    def backup(self, directory: Path) -> Backup:
        """Copy the collection as it is now into a folder, under its own name; leases stay with the original."""
        return back_up(self._database, directory, lambda copy: open_ledger(copy).release_all())

    def close(self) -> None:
        """Call off what is being built of the indexes, and close the file."""
        try:
            self.index.close()
        finally:
            self._database.close()
