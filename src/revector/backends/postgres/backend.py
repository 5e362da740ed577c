"""The backend of a collection in PostgreSQL: documents, vectors and ledger in one schema, which commit together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import Connection

from revector.backends.contracts import ALIAS, Backup, Capabilities, Order
from revector.backends.contracts.adoption import Adopted, Released, TableToAdopt, Tell
from revector.backends.postgres.asking import ask_in
from revector.backends.postgres.building import Graphs
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.database import TIMEOUT_SECONDS, Foreseen
from revector.backends.postgres.database.opening import schema_exists
from revector.backends.postgres.database.places import place_of
from revector.backends.postgres.documents import PostgresDocuments
from revector.backends.postgres.generations import FORESEEN, PostgresGenerations
from revector.backends.postgres.index import PgvectorIndex
from revector.backends.postgres.restored import notice_restored
from revector.backends.postgres.schema import METADATA, VERSION
from revector.backends.postgres.serving import ensure_functions
from revector.encoders.base import TextEncoder
from revector.errors import StoreError
from revector.ledger.records import LAST_EVENT, Ledger

_NEXT_DROPPED = "SELECT min(id) FROM generations WHERE dropped"
_FORGET = "DELETE FROM generations WHERE id = %s AND dropped"
_AS_THE_USER = "SET LOCAL statement_timeout = {milliseconds}; SET LOCAL search_path = DEFAULT"
_ANSWER_SECONDS = 5.0
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
"""
_BROKEN = """
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND NOT indisvalid
"""


class PostgresBackend:
    """A collection in PostgreSQL; see `revector.backends.contracts.Backend` for what each method promises.

    Parameters
    ----------
    database : PostgresDatabase
        The collection's schema; the backend closes it.
    """

    alias = ALIAS
    capabilities = Capabilities(transactions=True, conditional_upsert=True, several_machines=True)
    folder = None

    def __init__(self, database: PostgresDatabase) -> None:
        self.database = database
        database.ensure_schema("store", VERSION, METADATA)
        notice_restored(database)
        ensure_functions(database)
        self.documents = self._documents()
        self.generations = self._generations()
        self.ledger = Ledger(database)
        self.index = PgvectorIndex(database, self.generations, self._graphs())
        last_event = Foreseen(f"({LAST_EVENT})", lambda found: {LAST_EVENT: str(found)}, in_writes=False)
        database.foresee([*FORESEEN, last_event])

    def _documents(self) -> PostgresDocuments:
        return PostgresDocuments(self.database)

    def _generations(self) -> PostgresGenerations:
        return PostgresGenerations(self.database)

    def _graphs(self) -> Graphs:
        return Graphs(self.database, self.generations)

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, read_only: bool = False) -> PostgresBackend:
        """Open the collection at a URL, or make one of our own; that of an adopted table says so itself."""
        from revector.backends.postgres.adoption.backend import AdoptedBackend, is_adopted

        database = PostgresDatabase(place_of(place), read_only=read_only)
        try:
            return AdoptedBackend(database) if is_adopted(database) else cls(database)
        except BaseException:
            database.close()
            raise

    @staticmethod
    def adopt(
        place: str,
        table: TableToAdopt,
        candidates: Sequence[TextEncoder],
        *,
        dry_run: bool,
        accept_unidentified: bool,
        tell: Tell,
    ) -> Adopted:
        """Make a collection of a table that others write; see `revector.backends.contracts.adoption`."""
        from revector.backends.postgres.adoption.adopting import adopt

        return adopt(place, table, candidates, dry_run=dry_run, accept_unidentified=accept_unidentified, tell=tell)

    @staticmethod
    def release(
        place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Give an adopted table back; see `revector.backends.contracts.adoption`."""
        from revector.backends.postgres.adoption.release import release

        said = {"allow_missing": allow_missing, "in_place": in_place, "fire_triggers": fire_triggers}
        return release(place, dry_run=dry_run, tell=tell, **said)

    @staticmethod
    def is_there(place: str | os.PathLike[str]) -> bool:
        """Whether the database has a collection of that name."""
        return schema_exists(place_of(place))

    @staticmethod
    def shown(place: str | os.PathLike[str]) -> str:
        """Return a URL without passwords."""
        return place_of(place).url

    @property
    def url(self) -> str:
        """Where the collection is, without secrets."""
        return self.database.url

    @property
    def place(self) -> str:
        """As `url`."""
        return self.database.url

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.database.read_only

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`."""
        self.database.require_writable()

    def transaction(self, timeout_seconds: float = TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open, or join, a write transaction of the calling thread."""
        return self.database.transaction(timeout_seconds)

    def exclusive(self, timeout_seconds: float = TIMEOUT_SECONDS) -> AbstractContextManager[Connection]:
        """Open a write transaction beside which nobody else writes to the collection."""
        return self.database.exclusive(timeout_seconds)

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open, or join, a consistent view for reads."""
        return self.database.snapshot()

    def ask(self, generation: int, after: int, until: int, order: Order) -> None:
        """Ask for the vectors that the documents of a slice of keys lack in a generation."""
        parameters = {"generation": generation, "after": after, "until": until, **vars(order)}
        with self.database.transaction() as connection:
            self.generations.get(generation)
            if not after:  # of a table that was just filled the planner knows nothing
                driver_of(connection).execute(f"ANALYZE (SKIP_LOCKED) {self.generations.named_by}")
            connection.execute(ask_in(generation), parameters)

    def reclaim(self) -> bool:
        """Drop the table of a dropped generation, then its jobs slice by slice; tell whether there was anything."""
        with self.database.snapshot() as connection:
            (dropped,) = driver_of(connection).execute(_NEXT_DROPPED).fetchone()
        if dropped is None:
            return False
        with self.database.transaction() as connection:
            driver = driver_of(connection)
            self.generations.remove_storage(driver, dropped)
            if not self.ledger.jobs.forget_some(dropped):
                driver.execute(_FORGET, (dropped,))
        return True

    def recapture(self, *, anew: bool = False) -> bool:
        """Return ``False``: nobody writes unseen."""
        return False

    def history(self) -> int:
        """Return a number that is another one once the collection's past was replaced, by a restored dump, say."""
        with self.database.snapshot():
            return self.database.history

    def answer(self, query: str) -> Any:
        """Return the first value of a query of the user's, in a transaction that only reads."""
        with self.database.snapshot() as connection, _as_the_user(connection, seconds=_ANSWER_SECONDS) as driver:
            found = driver.execute(query.encode())
            if found.description is None:
                raise StoreError(f"{self.url}: it is not a query, for it returns no rows; write a SELECT")
            row = found.fetchone()
        return None if row is None else row[0]

    def execute(self, statement: str) -> None:
        """Execute a statement of the user's."""
        with self.database.transaction() as connection, _as_the_user(connection, seconds=0.0) as driver:
            driver.execute(statement.encode())

    def stored_bytes(self) -> int:
        """Return what the tables and indexes of the schema take."""
        with self.database.snapshot() as connection:
            (found,) = driver_of(connection).execute(_SIZE, (self.database.place.schema,)).fetchone() or (0,)
        return int(found)

    def check(self) -> list[str]:
        """Look for indexes that are not valid; the server looks after its files itself (``amcheck``, checksums)."""
        with self.database.snapshot() as connection:
            found = driver_of(connection).execute(_BROKEN, (self.database.place.schema,)).fetchall()
        return [f"the index {name} is not valid: REINDEX or drop it" for (name,) in found]

    def backup(self, directory: Path) -> Backup:
        """Raise `StoreError`: the database is backed up as a whole, by its own tools."""
        self.database.require_open()
        raise StoreError(
            f"{self.url} is backed up with its database, or alone by pg_dump --schema {self.database.place.schema!r}"
        )

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


@contextmanager
def _as_the_user(connection: Connection, *, seconds: float) -> Iterator[psycopg.Connection[Any]]:
    """Let statements see tables as the user's own sessions do, and take so long at most; 0 is no limit."""
    driver = driver_of(connection)
    (before,) = driver.execute("SELECT current_setting('search_path')").fetchone() or ("",)
    driver.execute(_AS_THE_USER.format(milliseconds=round(1000 * seconds)).encode())
    yield driver  # what raises is undone, with what was set
    driver.execute("SELECT set_config('search_path', %s, true), set_config('statement_timeout', '0', true)", (before,))
