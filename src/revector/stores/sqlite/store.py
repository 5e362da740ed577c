"""The store itself: tables of documents and vectors, of generations and aliases, plus the maps."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from revector.database import Database
from revector.stores.base import Capabilities
from revector.stores.sqlite.documents import DocumentTables
from revector.stores.sqlite.generations import GenerationTables
from revector.stores.sqlite.schema import METADATA, VERSION, maps
from revector.stores.sqlite.vectors import VectorTables


class SqliteStore(DocumentTables, GenerationTables, VectorTables):
    """The embedded store; see `revector.stores.base.Store` for what each method promises.

    Parameters
    ----------
    database : Database
        The file. The store does not close it: the ledger of the collection lives there, too.
    """

    capabilities = Capabilities(transactions=True, atomic_alias=True, conditional_upsert=True)

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure_schema("store", VERSION, METADATA)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SqliteStore:
        """Open, or create, the store in a file."""
        return cls(Database(path))

    @property
    def database(self) -> Database:
        """The file, for the ledger that commits with this store."""
        return self._database

    @property
    def url(self) -> str:
        """Where the store is."""
        return self._database.url

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self._database.read_only

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`."""
        self._database.require_writable()

    def transaction(self) -> AbstractContextManager[object]:
        """Open, or join, a write transaction of the calling thread."""
        return self._database.transaction()

    def snapshot(self) -> AbstractContextManager[object]:
        """Open, or join, a consistent view for reads."""
        return self._database.snapshot()

    def history(self) -> int:
        """Return a number that is another one once the database's past was replaced while it was open."""
        with self._database.snapshot():
            return self._database.history

    def index_token(self, generation: int) -> str | None:
        """Return the token of the index file that belongs to a generation, or ``None``."""
        return self._database.note(f"index:{generation}")

    def keep_index_token(self, generation: int, token: str) -> None:
        """Name the index file that belongs to a generation by its token."""
        self._database.keep_note(f"index:{generation}", token)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # Maps between spaces

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces."""
        statement = insert(maps).values(source=source, target=target, fitted_at=time.time(), map=blob)
        new = statement.excluded
        statement = statement.on_conflict_do_update(set_={"fitted_at": new.fitted_at, "map": new.map})
        with self._database.transaction() as connection:
            connection.execute(statement)

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        query = sa.select(maps.c.map).where(maps.c.source == source, maps.c.target == target)
        with self._database.snapshot() as connection:
            return connection.scalar(query)
