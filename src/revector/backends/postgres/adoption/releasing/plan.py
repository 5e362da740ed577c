"""What giving a user's table back would do, and why it cannot be done, if so. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from revector.backends.postgres.adoption.capture import uncovered
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.releasing.column import Facts, facts
from revector.backends.postgres.adoption.releasing.dependants import (
    disturbed,
    publications,
    users_of_column,
    users_of_schemas,
)
from revector.backends.postgres.adoption.releasing.indexes import ColumnIndex, indexes
from revector.backends.postgres.adoption.releasing.lacking import NOTHING, Lacking, count_lacking, outlast
from revector.backends.postgres.database.places import SCHEMA
from revector.ledger.state import Phase, steps_to_end

__all__ = ["Plan", "Serving", "collection_schemas", "examine", "free_name", "is_quiet", "why_not_drop"]

_LONGEST_NAME_BYTES = 63
_HIDDEN = "row-level security hides rows of the table from this role; use one that sees them all (BYPASSRLS)"

_SESSION = """
SET search_path = {path};
SET row_security = off;
SET default_transaction_isolation = 'read committed';
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_min_messages = warning
"""
_OTHERS = """
SELECT FROM pg_namespace WHERE nspname ^@ {prefix} AND nspname <> {collection}
AND EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = 'moment') LIMIT 1
"""
_TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = {schema}::regnamespace AND relkind = 'r' ORDER BY 1"
_UNFINISHED = "SELECT phase FROM {schema}.migrations WHERE phase NOT IN ('planned', 'retired')"
_SHARED = "SELECT FROM pg_namespace WHERE nspname = {shared} AND pg_has_role(nspowner, 'USAGE')"


@dataclass(frozen=True)
class Serving:
    """What serves.

    Parameters
    ----------
    generation, dimension : int
        The generation, and the dimension of its vectors.
    in_column : bool
        Whether these are in the user's column.
    """

    generation: int
    dimension: int
    in_column: bool


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Parameters
    ----------
    lacking : Lacking
        The rows that are written, and which of them would have no vector; 0 where vectors are in the column already.
    indexes : tuple of ColumnIndex
        What goes with the column; what has a flaw is left out, the others are made again.
    reasons : tuple of str
        Why it is refused.
    notices : tuple of str
        What to know before.
    """

    lacking: Lacking = NOTHING
    indexes: tuple[ColumnIndex, ...] = ()
    reasons: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def examine(
    connection: psycopg.Connection[Any],
    captured: Captured,
    serving: Serving,
    *,
    allow_missing: bool = False,
    in_place: bool = False,
    fire_triggers: bool = False,
    seconds: float = 0.0,
) -> Plan:
    """Return what `revector.backends.postgres.adoption.release.give_back` would do with the same arguments.

    Vectors of texts that have just changed are waited for, for so many seconds. The session of the connection keeps
    settings that are made here.
    """
    column = _settle(connection, captured)
    reasons = why_not_drop(connection, captured)
    if serving.in_column:
        return Plan(reasons=tuple(reasons))
    if column.is_partly_hidden:
        return Plan(reasons=(*reasons, _HIDDEN))
    lacking = count_lacking(connection, captured, serving.generation)
    if lacking.missing and not allow_missing:
        lacking = outlast(connection, captured, serving.generation, lacking, seconds)
    successor = free_name(captured.vector, column.names)
    found = () if in_place else indexes(connection, captured, successor, serving.dimension)
    reasons += _of_rows(column, captured, lacking, allow_missing=allow_missing)
    reasons += _of_table(connection, captured)
    if in_place:
        reasons += _of_place(column, serving)
    else:
        reasons += _of_column(connection, captured, column, serving, found)
    if not fire_triggers:
        reasons += _of_triggers(connection, captured, lacking.rows)
    notices = tuple(_notices(connection, captured, column, serving, in_place=in_place))
    return Plan(lacking, found, tuple(reasons), notices)


def why_not_drop(connection: psycopg.Connection[Any], captured: Captured) -> list[str]:
    """Return why the collection's schema cannot be dropped."""
    asked = sql.SQL(_UNFINISHED).format(schema=sql.Identifier(captured.collection))
    unfinished = [
        f"a migration is {phase}, and keeps other vectors than those that serve; end it first "
        f"({' and '.join(steps_to_end(Phase(phase)))})"
        for (phase,) in connection.execute(asked)
    ]
    users = users_of_schemas(connection, collection_schemas(connection, captured))
    drop_it = "uses the collection, whose schema is dropped; drop it, or let it use the table"
    return [*unfinished, *(f"{user} {drop_it}" for user in users)]


def collection_schemas(connection: psycopg.Connection[Any], captured: Captured) -> list[str]:
    """Return the schemas that go: that of the collection, and with the last one that of what collections share."""
    prefix, collection = sql.Literal(f"{SCHEMA}_"), sql.Literal(captured.collection)
    others = connection.execute(sql.SQL(_OTHERS).format(prefix=prefix, collection=collection)).fetchone()
    shared = connection.execute(sql.SQL(_SHARED).format(shared=sql.Literal(SCHEMA))).fetchone()
    return [captured.collection, SCHEMA] if shared is not None and others is None else [captured.collection]


def collection_tables(connection: psycopg.Connection[Any], captured: Captured) -> list[sql.Identifier]:
    """Return the tables of the collection, which go with its schema."""
    schema = sql.Literal(sql.Identifier(captured.collection).as_string())
    found = connection.execute(sql.SQL(_TABLES).format(schema=schema))
    return [sql.Identifier(captured.collection, name) for (name,) in found]


def free_name(vector: str, taken: Iterable[str]) -> str:
    """Return the name of a column that a table has not; PostgreSQL cuts longer ones off."""
    for ending in ("_revector", *(f"_revector{number}" for number in range(2, 2_000))):
        kept = vector.encode()[: _LONGEST_NAME_BYTES - len(ending)].decode(errors="ignore")
        if kept + ending not in taken:
            return kept + ending
    raise AssertionError("a table has at most 1,600 columns")


def is_quiet(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether this role may keep triggers from running in its own session."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL session_replication_role = replica")
    except errors.InsufficientPrivilege:
        return False
    return True


def _settle(connection: psycopg.Connection[Any], captured: Captured) -> Facts:
    """Give the session what all statements here rely on; return what is known of the column."""
    connection.execute("SET search_path = pg_catalog")
    column = facts(connection, captured)
    path = dict.fromkeys(("pg_catalog", column.extension, *captured.type_schemas, "pg_temp"))
    connection.execute(sql.SQL(_SESSION).format(path=sql.SQL(", ").join(map(sql.Identifier, path))))
    return column


def _of_rows(column: Facts, captured: Captured, lacking: Lacking, *, allow_missing: bool) -> Iterator[str]:
    if lacking.lost and not allow_missing:
        yield (
            f"{lacking.lost:,} rows have no vector of their present text; run `revector run` until all have one, or "
            "say --accept-missing, and they get none (NULL)"
        )
    if column.is_required and (without := lacking.lost + lacking.without_text):
        yield (
            f"{without:,} rows would have no vector ({lacking.without_text:,} of them have no text), and the column "
            f"{captured.vector!r} is NOT NULL; give them a text, delete them, or ALTER COLUMN … DROP NOT NULL first"
        )


def _of_table(connection: psycopg.Connection[Any], captured: Captured) -> Iterator[str]:
    for schema, name in connection.execute(uncovered(captured)):
        yield f"what is written to {schema}.{name} is not captured; adopt the table again, which covers it"


def _of_place(column: Facts, serving: Serving) -> Iterator[str]:
    if column.dimension not in (None, serving.dimension):
        yield (
            f"--in-place needs vectors of the column's dimension, {column.dimension:,}, and those that serve have "
            f"{serving.dimension:,}; leave it out"
        )


def _of_column(
    connection: psycopg.Connection[Any],
    captured: Captured,
    column: Facts,
    serving: Serving,
    found: tuple[ColumnIndex, ...],
) -> Iterator[str]:
    """Yield why the column cannot be replaced by another one."""
    if not column.is_owner:
        yield "only the owner of the table can replace its column; let the owner release it"
    users = [*users_of_column(connection, captured), *(f"unique index {i.name}" for i in found if i.is_constraint)]
    or_else = "" if list(_of_place(column, serving)) else ", or say --in-place, which keeps the column"
    for user in users:
        yield f"{user} uses the column {captured.vector!r}, which is replaced; drop it and make it again after{or_else}"


def _of_triggers(connection: psycopg.Connection[Any], captured: Captured, rows: int) -> Iterator[str]:
    if names := ", ".join(disturbed(connection, captured, quiet=is_quiet(connection))):
        yield (
            f"writing the vectors would run the triggers {names} for each of {rows:,} rows; use a role that may set "
            "session_replication_role, disable them, or say --fire-triggers"
        )


def _notices(
    connection: psycopg.Connection[Any], captured: Captured, column: Facts, serving: Serving, *, in_place: bool
) -> Iterator[str]:
    published = ", ".join(publications(connection, captured))
    if published:
        yield f"every row is written once, and published so by {published}"
    if in_place:
        yield "writers wait until all rows are written; readers do not"
        return
    if published:
        successor = free_name(captured.vector, column.names)
        yield f"subscribers need a column {successor!r} before, unless it is not among the columns that they get"
    if not column.is_last:
        yield (
            f"{captured.vector!r} becomes the last column: INSERT and COPY need lists of columns, and SELECT * has "
            "another order"
        )
    if column.default_expression and column.dimension not in (None, serving.dimension):
        yield f"the default of {captured.vector!r} is left out: {column.default_expression}"
