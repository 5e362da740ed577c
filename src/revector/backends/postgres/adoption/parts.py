"""The parts of a collection whose documents are the rows of a user's table.

Documents are read through a view, and written by whoever writes to the table. The vectors of the generation that was
there before are in the user's column; those of all others are in tables of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import psycopg
from psycopg import sql

from revector.backends.contracts import Document, Generation, NewDocument
from revector.backends.postgres.adoption.fragments import Captured, fragments
from revector.backends.postgres.building import Graphs, State
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.documents import PostgresDocuments
from revector.backends.postgres.generations import PostgresGenerations
from revector.backends.postgres.schema import Held, VectorType, vectors_name, vectors_table
from revector.backends.postgres.shapes import Found, index_over
from revector.backends.postgres.vectors import FEW_AT_ONCE, type_of
from revector.errors import StoreError
from revector.spaces import EmbeddingSpace

_VECTORS = """
CREATE VIEW {view} AS
SELECT r.key AS document_key, r.column_seq AS seq, r.column_at AS embedded_at, r.column_hash AS content_hash,
    {vector} AS vector
FROM {schema}.rows AS r JOIN {table} AS t ON {shadow_is_of_row} WHERE {vector} IS NOT NULL
"""
# The row itself says which text it has: a statement of its writer may not have ended, so that its shadow does not.
_PUT_IN_COLUMN = """
WITH held AS MATERIALIZED (
    SELECT t.tableoid, t.ctid AS place, given.key, given.hash, given.vector
    FROM unnest(%(keys)s::bigint[], %(hashes)b::text[], %(vectors)s::vector[]) AS given (key, hash, vector)
    JOIN rows AS r ON r.key = given.key JOIN {table} AS t ON {shadow_is_of_row}
    ORDER BY r.key FOR NO KEY UPDATE OF t SKIP LOCKED
), landed AS (
    UPDATE {table} AS t SET {column} = held.vector FROM held
    WHERE t.tableoid = held.tableoid AND t.ctid = held.place
    AND encode(sha256(convert_to({text}, 'UTF8')), 'hex') = held.hash
    RETURNING held.key, held.hash
)
UPDATE rows SET column_hash = coalesce(%(mark)s, landed.hash), column_at = %(now)s,
    column_seq = pg_current_xact_id()::text::bigint + %(shift)s
FROM landed WHERE rows.key = landed.key
"""
_IN_COLUMN = "SELECT id FROM generations WHERE in_column"

SHADOWS = Held("rows", "key", "SKIP LOCKED")
"""As triggers lock them. A row that somebody is writing is left out: nobody knows for how long. Its job stays."""


def column_view(captured: Captured, generation: int) -> sql.Composed:
    """Return the statement that lets the user's column be read as the vectors of a generation."""
    view = sql.Identifier(captured.collection, vectors_name(generation))
    return sql.SQL(_VECTORS).format(**fragments(captured), view=view)


def row_names(captured: Captured) -> tuple[sql.Composable, ...]:
    """Return how the view for readers in plain SQL names a row: by the columns of its key."""
    return tuple(
        sql.SQL("named.{} AS {}").format(sql.Identifier(f"id_{place}"), sql.Identifier(column.name))
        for place, column in enumerate(captured.key, 1)
    )


class AdoptedDocuments(PostgresDocuments):
    """The rows of a user's table, which are written there."""

    held = SHADOWS

    def __init__(self, database: PostgresDatabase, captured: Captured) -> None:
        super().__init__(database)
        self._captured = captured

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Raise `StoreError`: nothing is stored from here."""
        self._refuse()

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Raise `StoreError`."""
        self._refuse()

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Raise `StoreError`."""
        self._refuse()

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Raise `StoreError`: hashes are computed from the text alone, by triggers."""
        raise StoreError(
            "a template that reads fields of the metadata cannot be used with an adopted table; adopt it with these "
            "columns among those of the text (--text), or use a model without a template"
        )

    def _refuse(self) -> NoReturn:
        table = f"{self._captured.schema}.{self._captured.name}"
        raise StoreError(
            f"the documents of {self._database.url} are the rows of {table}: write them there, in SQL; triggers tell "
            "revector of it"
        )


class AdoptedGenerations(PostgresGenerations):
    """Generations, one of which may be in the user's column.

    Parameters
    ----------
    database : PostgresDatabase
    captured : Captured
        The table.
    """

    held = SHADOWS
    named_by = "rows"

    def __init__(self, database: PostgresDatabase, captured: Captured) -> None:
        super().__init__(database)
        self._captured = captured
        self._in_column: frozenset[int] | None = None
        self.row_names = row_names(captured)
        parts = {**fragments(captured), "column": sql.Identifier(captured.vector)}
        doubled = {name: sql.SQL(part.as_string().replace("%", "%%")) for name, part in parts.items()}
        self._put_in_column = sql.SQL(_PUT_IN_COLUMN).format(**doubled).as_string()

    def rows_at_once(self, generation: int) -> int:
        """Return few for the user's column: they may have a graph, and triggers, and nobody else writes these rows."""
        return FEW_AT_ONCE if generation in self.in_column() else super().rows_at_once(generation)

    def put_statement(self, generation: int) -> str:
        """Return the statement that stores vectors in the user's column, or in a table of ours."""
        if generation in self.in_column():
            return self._put_in_column
        return super().put_statement(generation)

    def who_has_one(self, generation: int) -> sql.Identifier:
        """Return the shadows, which know it without reading the user's table, or a table of ours."""
        return sql.Identifier("column_state") if generation in self.in_column() else super().who_has_one(generation)

    def new_type(self, driver: psycopg.Connection[Any], space: EmbeddingSpace) -> VectorType:
        """Return the type of the user's column: what is verified before a cut-over is what `release` gives back."""
        users = type_of(driver, _table(self._captured).as_string(), self._captured.vector)
        return users or super().new_type(driver, space)

    def in_column(self) -> frozenset[int]:
        """Return the generations whose vectors are in the user's column: those of before, for ever."""
        if self._in_column is None:
            with self._database.snapshot() as connection:
                self._in_column = frozenset(id_ for (id_,) in driver_of(connection).execute(_IN_COLUMN))
        return self._in_column

    def remove_storage(self, driver: psycopg.Connection[Any], generation: int) -> None:
        """Remove what a dropped generation is read from; the user's column stays."""
        if generation in self.in_column():
            driver.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(vectors_table(generation)))
        else:
            super().remove_storage(driver, generation)


class AdoptedGraphs(Graphs):
    """Graphs, those of the user's column among them, which are the user's own."""

    def __init__(self, database: PostgresDatabase, captured: Captured, generations: AdoptedGenerations) -> None:
        super().__init__(database, generations)
        self._captured, self._generations = captured, generations

    def state(self, generation: Generation) -> State:
        """Tell whether the user has an index that searches of a generation use, or how far ours is."""
        if generation.id not in self._generations.in_column():
            return super().state(generation)
        return "none" if self.look(generation) is None else "valid"

    def searched(self, generation: Generation) -> tuple[sql.Identifier, str]:
        """Return the user's table and column, or a table of ours."""
        if generation.id not in self._generations.in_column():
            return super().searched(generation)
        return _table(self._captured), self._captured.vector

    def build(self, generation: Generation, count: int) -> int:
        """Build a graph over a table of ours."""
        return 0 if generation.id in self._generations.in_column() else super().build(generation, count)

    def new_type(self, driver: psycopg.Connection[Any], generation: Generation) -> VectorType:
        """Return half of the type of the vectors where the user's own graph is over that, too."""
        users = self._users_own(driver)
        return "halfvec" if users and users.type == "halfvec" else super().new_type(driver, generation)

    def options(self, driver: psycopg.Connection[Any]) -> sql.Composable:
        """Return how the user's own graph was built: ours are built alike."""
        users = self._users_own(driver)
        if not users or not users.options:
            return super().options(driver)
        said = sql.SQL("{} = {}")
        options = [said.format(sql.Identifier(name), sql.Literal(value)) for name, value in users.options.items()]
        return sql.SQL("WITH ({})").format(sql.SQL(", ").join(options))

    def _users_own(self, driver: psycopg.Connection[Any]) -> Found | None:
        """Return the user's own graph, if there is one."""
        found = index_over(driver, _table(self._captured), self._captured.vector)
        return found if found and found.kind == "hnsw" else None


def _table(captured: Captured) -> sql.Identifier:
    return sql.Identifier(captured.schema, captured.name)
