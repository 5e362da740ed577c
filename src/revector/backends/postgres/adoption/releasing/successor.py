"""A column beside that of a user's vectors: filled while rows are written, until it can take the place of that one.

What it must hold is said by two tables of ours: `rows`, and that of a generation's vectors. Triggers on both note in
`release_log` which rows have changed. A note is taken away before its row is written, and made again where that cannot
be done yet, so that nothing that happens in between is missed.

Rows are locked before they are written, and those that others have locked come later: whoever holds rows of the user's
table here waits for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import args_row, scalar_row

from revector.backends.postgres.adoption.fragments import Captured, fragments
from revector.backends.postgres.adoption.locks import Attempt
from revector.backends.postgres.adoption.releasing.column import Facts, stored_as
from revector.backends.postgres.adoption.releasing.lacking import VECTOR
from revector.backends.postgres.adoption.releasing.plan import Serving, free_name
from revector.backends.postgres.schema import vectors_table
from revector.errors import GateRefusedError

__all__ = ["Begun", "Successor", "begun", "drop_successor", "undo", "write_in_place"]

_BATCH_SECONDS = 0.1
"""Rows of a batch are locked for about so long."""
_FIRST_BATCH, _LARGEST_BATCH = 100, 5_000

_IS_BEGUN = "SELECT to_regclass({release}) IS NOT NULL"
_BEGUN = """
SELECT generation, successor, definition, EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = {table_name}::regclass AND attname = successor
)
FROM {schema}.release
"""
_BEGIN = """
CREATE TABLE {schema}.release (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    generation integer NOT NULL,
    successor text NOT NULL,
    definition text NOT NULL,
    copied_through bigint NOT NULL
);
INSERT INTO {schema}.release VALUES (1, {generation}, {name}, {definition}, 0);
CREATE TABLE {schema}.release_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_key bigint NOT NULL);
CREATE INDEX ON {schema}.release_log (document_key);
CREATE FUNCTION {schema}.note_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
AS 'BEGIN INSERT INTO release_log (document_key) VALUES (NEW.key); RETURN NULL; END';
CREATE FUNCTION {schema}.note_vector() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
AS 'BEGIN INSERT INTO release_log (document_key) VALUES (NEW.document_key); RETURN NULL; END';
CREATE TRIGGER release AFTER INSERT OR UPDATE ON {schema}.rows FOR EACH ROW EXECUTE FUNCTION {schema}.note_row();
CREATE TRIGGER release AFTER INSERT OR UPDATE ON {vectors} FOR EACH ROW EXECUTE FUNCTION {schema}.note_vector();
ALTER TABLE {table} ADD COLUMN {successor} {column}
"""
_UNDO = """
DROP FUNCTION IF EXISTS {schema}.note_row(), {schema}.note_vector() CASCADE;
DROP TABLE {schema}.release, {schema}.release_log;
ALTER TABLE {table} DROP COLUMN IF EXISTS {successor}
"""
# One shape of plan, good for any number of rows: nested loops over indexes.
_PLANS = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off
"""
_QUIET, _LOUD = (f"SET LOCAL session_replication_role TO {role}" for role in ("replica", "DEFAULT"))
_LAST_ROW = "SELECT coalesce(max(key), 0) FROM {schema}.rows"
_NEXT = """
SELECT key FROM {schema}.rows
WHERE key > (SELECT copied_through FROM {schema}.release) AND key <= {last} ORDER BY key LIMIT {most}
"""
_COPIED = "UPDATE {schema}.release SET copied_through = {through}"
_HOLD = f"""
WITH asked AS MATERIALIZED (
    SELECT r.* FROM {{schema}}.rows AS r WHERE r.key = ANY({{keys}}::bigint[])
), held AS MATERIALIZED (
    SELECT r.key FROM asked AS r JOIN {{table}} AS t ON {{shadow_is_of_row}} ORDER BY r.key
    FOR NO KEY UPDATE OF t SKIP LOCKED
)
SELECT r.key, held.key IS NOT NULL, {{is_expected}} AND v.document_key IS NULL
FROM asked AS r JOIN {{table}} AS t ON {{shadow_is_of_row}} LEFT JOIN held ON held.key = r.key
{VECTOR} ORDER BY r.key
"""
_WRITE = f"""
WITH wanted AS MATERIALIZED (
    SELECT r.*, {{value}} AS successor FROM {{schema}}.rows AS r JOIN {{table}} AS t ON {{shadow_is_of_row}}
    {VECTOR}
    WHERE r.key = ANY({{keys}}::bigint[]) AND ROW(t.{{successor}})::record *<> ROW({{value}})::record
), written AS (
    UPDATE {{table}} AS t SET {{successor}} = r.successor FROM wanted AS r WHERE {{shadow_is_of_row}} RETURNING r.key
)
SELECT (SELECT count(*) FROM wanted) - (SELECT count(*) FROM written)
"""
_WRITE_ALL = f"""
UPDATE {{table}} AS t SET {{column}} = found.vector
FROM (
    SELECT t.tableoid AS part, t.ctid AS place, v.vector::{{type}} AS vector FROM {{table}} AS t
    LEFT JOIN {{schema}}.rows AS r ON {{shadow_is_of_row}}
    {VECTOR}
) AS found
WHERE (t.tableoid, t.ctid) = (found.part, found.place)
    AND ROW(t.{{column}})::record *<> ROW(found.vector)::record
"""
_NOTE = "INSERT INTO {schema}.release_log (document_key) SELECT unnest({keys}::bigint[])"
_LAST = "SELECT coalesce(max(id), 0) FROM {schema}.release_log"
_TAKE = """
DELETE FROM {schema}.release_log WHERE id <= {last} AND document_key IN (
    SELECT document_key FROM {schema}.release_log WHERE id <= {last} ORDER BY id LIMIT {most}
) RETURNING document_key
"""
_NOTED = "SELECT count(DISTINCT document_key) FROM {schema}.release_log"


class Begun(NamedTuple):
    """A release that was begun: of which generation, the column that is filled, and whether that is still there."""

    generation: int
    successor: str
    definition: str
    is_there: bool


def begun(connection: psycopg.Connection[Any], captured: Captured) -> Begun | None:
    """Return what an earlier attempt has left, or ``None``."""
    release = sql.Identifier(captured.collection, "release").as_string()
    asked = sql.SQL(_IS_BEGUN).format(release=sql.Literal(release))
    if not connection.cursor(row_factory=scalar_row).execute(asked).fetchone():
        return None
    name = sql.Literal(sql.Identifier(captured.schema, captured.name).as_string())
    said = sql.SQL(_BEGUN).format(schema=sql.Identifier(captured.collection), table_name=name)
    return connection.cursor(row_factory=args_row(Begun)).execute(said).fetchone()


def undo(captured: Captured, left: Begun) -> sql.Composed:
    """Return the statements that remove what an earlier attempt has left."""
    return sql.SQL(_UNDO).format(
        schema=sql.Identifier(captured.collection),
        table=sql.Identifier(captured.schema, captured.name),
        successor=sql.Identifier(left.successor),
    )


def write_in_place(
    connection: psycopg.Connection[Any], captured: Captured, serving: Serving, column: Facts, *, quiet: bool
) -> int:
    """Write the vectors that serve over those in the column, inside a transaction; return how many rows changed."""
    said = sql.SQL(_WRITE_ALL).format(
        **fragments(captured),
        column=sql.Identifier(captured.vector),
        vectors=_vectors(captured, serving.generation),
        type=_type(column, serving.dimension),
    )
    if quiet:
        connection.execute(_QUIET)
    written = connection.execute(said).rowcount
    if quiet:
        connection.execute(_LOUD)
    return written


def drop_successor(captured: Captured, left: Begun) -> sql.Composed:
    """Return the statement that removes the column alone, where the collection's schema goes anyhow."""
    table, successor = sql.Identifier(captured.schema, captured.name), sql.Identifier(left.successor)
    return sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table, successor)


class Successor:
    """The column that takes the place of the user's.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode.
    captured : Captured
        The table.
    serving : Serving
        Whose vectors it gets.
    column : Facts
        What is known of the column whose place it takes.
    quiet : bool
        Whether this role may keep the user's triggers from running when it is filled.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        captured: Captured,
        serving: Serving,
        column: Facts,
        *,
        quiet: bool,
    ) -> None:
        self._connection, self._captured, self._quiet = connection, captured, quiet
        self._same = fragments(captured)["shadow_is_of_row"]
        self._generation, self._batch = serving.generation, _FIRST_BATCH
        self.given_up = 0
        self.name = free_name(captured.vector, column.names)
        type_ = _type(column, serving.dimension)
        zeros = sql.SQL("{}::{}").format(sql.Literal(f"[{','.join('0' * serving.dimension)}]"), type_)
        value = sql.SQL("v.vector::{}").format(type_)
        # A column gets a constant at no cost, however many rows there are. None has it any more at the end.
        self._column = sql.SQL("{} NOT NULL DEFAULT {}").format(type_, zeros) if column.is_required else type_
        self._value = sql.SQL("coalesce({}, {})").format(value, zeros) if column.is_required else value
        self._is_expected = sql.SQL("true" if column.is_required else "r.has_text")

    def begin(self, attempt: Attempt) -> None:
        """Make the column, or go on with the one that is there; inside a transaction."""
        left, definition = begun(self._connection, self._captured), self._column.as_string()
        if left == (self._generation, left and left.successor, definition, True):
            self.name = left.successor
            return
        attempt.lock("ACCESS EXCLUSIVE", [sql.Identifier(self._captured.schema, self._captured.name)])
        if left:
            self._connection.execute(undo(self._captured, left))
        literals = {"generation": self._generation, "name": self.name, "definition": definition}
        self._execute(_BEGIN, column=self._column, **{name: sql.Literal(value) for name, value in literals.items()})
        for statement in stored_as(self._connection, self._captured, self.name):
            self._connection.execute(sql.SQL(statement))

    def copy(self, *, note_missing: bool, on_batch: Callable[[int], None]) -> None:
        """Write the vectors of all rows, in short transactions; `on_batch` is told how many rows each had.

        Rows that come meanwhile are noted.
        """
        (last,) = self._numbers(_LAST_ROW)
        while True:
            began = time.perf_counter()
            with self._connection.transaction():
                keys = self._numbers(_NEXT, last=sql.Literal(last), most=sql.Literal(self._batch))
                if not keys:
                    return
                self._note(self._write(keys, note_missing=note_missing))
                self._execute(_COPIED, through=sql.Literal(keys[-1]))
            self._adapt(time.perf_counter() - began)
            on_batch(len(keys))

    def catch_up(self, seconds: float, *, note_missing: bool = True) -> int:
        """Write the vectors of the rows that have changed, for so long; return how many are noted, and not done.

        Those are locked by others, or lack the vector that they must have, or came only just now. Without
        `note_missing`, rows without a vector are done: `given_up` says how many.
        """
        (last,), end, self.given_up = self._numbers(_LAST), time.monotonic() + seconds, 0
        while time.monotonic() < end:
            with self._connection.transaction():
                taken = self._numbers(_TAKE, last=sql.Literal(last), most=sql.Literal(self._batch))
                if not taken:
                    break
                self._note(self._write(sorted(set(taken)), note_missing=note_missing))
        (noted,) = self._numbers(_NOTED)
        return noted

    def _write(self, keys: Sequence[int], *, note_missing: bool) -> list[int]:
        """Write the vectors of some rows; return those to which it must come back."""
        self._connection.execute(_PLANS)
        rows = self._execute(_HOLD, keys=sql.Literal(list(keys))).fetchall()
        held = [key for key, is_held, _ in rows if is_held]
        missing = [key for key, is_held, is_missing in rows if is_held and is_missing]
        if self._quiet:
            self._connection.execute(_QUIET)
        (prevented,) = self._numbers(_WRITE, keys=sql.Literal(held))
        if self._quiet:
            self._connection.execute(_LOUD)
        if prevented:
            raise GateRefusedError("release", (f"{prevented:,} rows cannot be written: a trigger keeps us from it",))
        busy = [key for key, is_held, _ in rows if not is_held]
        if note_missing:
            return busy + missing
        self.given_up += len(missing)
        return busy

    def _note(self, keys: list[int]) -> None:
        if keys:
            self._execute(_NOTE, keys=sql.Literal(keys))

    def _adapt(self, seconds: float) -> None:
        wanted = int(self._batch * _BATCH_SECONDS / max(seconds, 1e-3))
        self._batch = max(1, min(wanted, 2 * self._batch, _LARGEST_BATCH))

    def _numbers(self, statement: str, **others: sql.Composable) -> list[int]:
        return [number for (number,) in self._execute(statement, **others)]

    def _execute(self, statement: str, **others: sql.Composable) -> psycopg.Cursor[Any]:
        said = sql.SQL(statement).format(
            schema=sql.Identifier(self._captured.collection),
            table=sql.Identifier(self._captured.schema, self._captured.name),
            vectors=_vectors(self._captured, self._generation),
            successor=sql.Identifier(self.name),
            value=self._value,
            is_expected=self._is_expected,
            shadow_is_of_row=self._same,
            **others,
        )
        return self._connection.execute(said)


def _vectors(captured: Captured, generation: int) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(captured.collection), vectors_table(generation))


def _type(column: Facts, dimension: int) -> sql.Composed:
    """Return the type of the user's column, of another dimension where that says one."""
    name = sql.Identifier(column.extension, column.kind)
    return sql.SQL("{}" if column.dimension is None else "{}({})").format(name, sql.Literal(dimension))
