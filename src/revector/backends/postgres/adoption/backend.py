"""The backend of a collection whose documents are the rows of a user's table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psycopg
from psycopg import errors, sql
from sqlalchemy.engine import Connection

from revector.backends.contracts import ALIAS
from revector.backends.postgres.adoption.capture import cover, fill, fill_again, follow, uncovered
from revector.backends.postgres.adoption.changes import change_of, require_unchanged
from revector.backends.postgres.adoption.fragments import Captured, Column
from revector.backends.postgres.adoption.parts import AdoptedDocuments, AdoptedGenerations, AdoptedGraphs
from revector.backends.postgres.adoption.unseen import count_unseen
from revector.backends.postgres.backend import PostgresBackend
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.database import TIMEOUT_SECONDS
from revector.backends.postgres.queue import BESIDE_WRITERS
from revector.errors import StoreError

ADOPTED = "adopted"
"""The note that says of which table the rows are, once its adoption is complete."""

LOCK_SECONDS = 0.5
"""So long a statement waits for those who write to the table, who may wait for its transaction.

Less than the server waits before it looks for such a circle (``deadlock_timeout``, 1 s), in which it may end either.
"""
_FOLLOWED = "followed"
_ROWS_A_SLICE = 1_000
_IS_CAPTURED = "SELECT state = 'done' AND NOT EXISTS (SELECT FROM missed) FROM filling"
_FILLING = "SELECT state FROM filling FOR UPDATE"
_MISSED = "SELECT FROM missed LIMIT 1"
_LOST = (errors.UndefinedTable, errors.UndefinedColumn)
_KNOWN = "SELECT id, in_column FROM generations WHERE NOT dropped ORDER BY id"
_LIVE = f"""
SELECT generation FROM aliases WHERE name = '{ALIAS}'
UNION SELECT source_generation FROM migrations WHERE phase <> 'retired'
UNION SELECT target_generation FROM migrations WHERE phase <> 'retired' AND target_generation IS NOT NULL
"""


def is_adopted(database: PostgresDatabase) -> bool:
    """Tell whether the documents of a collection are the rows of a user's table."""
    return database.note(ADOPTED) is not None


def as_note(captured: Captured) -> str:
    """Return what is kept of an adopted table."""
    return json.dumps(asdict(captured))


def captured_of(note: str) -> Captured:
    """Return what `as_note` kept."""
    kept = json.loads(note)
    lists = {name: tuple(kept[name]) for name in ("text", "others", "order", "type_schemas")}
    pairs = tuple((schema, name) for schema, name in kept["partitions"])
    return Captured(**{**kept, **lists, "partitions": pairs, "key": tuple(Column(**column) for column in kept["key"])})


def follow_generations(database: PostgresDatabase, driver: psycopg.Connection[Any], captured: Captured) -> None:
    """Let triggers know, in the open transaction, which generations there are by now, unless they do."""
    known = dict(driver.execute(_KNOWN).fetchall())
    live = {id_: known[id_] for id_ in sorted(id_ for (id_,) in driver.execute(_LIVE)) if id_ in known}
    own = [id_ for id_, in_column in known.items() if not in_column]
    now = json.dumps([live, own])
    if database.note(_FOLLOWED) != now:
        for statement in follow(captured, live, own):
            driver.execute(statement.sql)
        database.keep_note(_FOLLOWED, now)


class AdoptedBackend(PostgresBackend):
    """A collection of the rows of a user's table, which others write.

    Parameters
    ----------
    database : PostgresDatabase
        The collection's schema, in the database of the table.
    """

    generations: AdoptedGenerations

    def __init__(self, database: PostgresDatabase) -> None:
        note = database.note(ADOPTED)
        assert note is not None
        self.captured = captured_of(note)
        database.dialect, database.lock_seconds = BESIDE_WRITERS, LOCK_SECONDS
        database.also_lock(sql.Identifier(self.captured.schema, self.captured.name))
        super().__init__(database)

    def _documents(self) -> AdoptedDocuments:
        return AdoptedDocuments(self.database, self.captured)

    def _generations(self) -> AdoptedGenerations:
        return AdoptedGenerations(self.database, self.captured)

    def _graphs(self) -> AdoptedGraphs:
        return AdoptedGraphs(self.database, self.captured, self.generations)

    def require_writable(self) -> None:
        """Raise as `PostgresBackend.require_writable`, and what `require_unchanged` raises of the table."""
        super().require_writable()
        self._require_unchanged()

    @contextmanager
    def transaction(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Open, or join, a write transaction of the calling thread."""
        with self._explained(), self.database.transaction(timeout_seconds) as connection:
            yield connection

    @contextmanager
    def exclusive(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[Connection]:
        """Open a transaction beside which nobody writes to the table; at its end, triggers know what it changed."""
        with self._explained(), self.database.exclusive(timeout_seconds) as connection:
            self._require_unchanged()
            yield connection
            follow_generations(self.database, driver_of(connection), self.captured)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open, or join, a consistent view for reads."""
        with self._explained(), self.database.snapshot() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what has become of the table, where something of it is missing."""
        try:
            yield
        except StoreError as error:
            reason = getattr(error.__cause__, "orig", error.__cause__)
            if isinstance(reason, _LOST) and not self.database.in_transaction:
                self._require_unchanged()
            raise

    def _require_unchanged(self) -> None:
        with self.database.snapshot() as connection:
            require_unchanged(self.url, driver_of(connection), self.captured)

    def recapture(self, *, anew: bool = False) -> bool:
        """Compare a slice of the rows with their shadows, if some were written unseen; tell whether there is more."""
        with self.database.snapshot() as connection:
            if not anew and driver_of(connection).execute(_IS_CAPTURED).fetchone() == (True,):
                return False
        if anew:
            self._cover()
        with self.database.transaction() as connection:
            driver = driver_of(connection)
            (before,) = driver.execute(_FILLING).fetchone()
            if anew or driver.execute(_MISSED).fetchone() is not None:
                driver.execute(fill_again(self.captured).sql)
                before = "rows"
            (state,) = driver.execute(fill(self.captured, _ROWS_A_SLICE)).fetchone()
        return bool(state != "done" and (before, state) != ("wait", "wait"))  # others' transactions are left to later

    def _cover(self) -> None:
        """Capture what is written to partitions that were attached, and triggers disabled, since the adoption."""
        with self.database.transaction() as connection:
            driver = driver_of(connection)
            if missed := driver.execute(uncovered(self.captured)).fetchall():
                driver.execute(cover(self.captured, missed).sql)

    def check(self) -> list[str]:
        """Look for indexes that are not valid, and for what is, or was, written without being captured."""
        problems = super().check()
        with self.database.snapshot() as connection:
            driver = driver_of(connection)
            if (change := change_of(driver, self.captured)) is not None:
                return [*problems, change.what]
            missed = driver.execute(uncovered(self.captured)).fetchall()
            unseen = str(count_unseen(driver, self.captured))
        said = "{}.{} is written without revector's triggers, for it was attached later, or they are disabled"
        found = [said.format(*table) for table in missed] + ([f"rows were written unseen ({unseen})"] if unseen else [])
        return [*problems, *(f"{each}: revector doctor --repair mends that" for each in found)]
