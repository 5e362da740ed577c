"""What there is to know of a user's table before it is adopted, and why it cannot be, if so. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from psycopg import sql

from revector._arguments import shown, strings
from revector.backends.postgres.adoption import queries
from revector.backends.postgres.adoption.names import TableName, listed, nearest
from revector.backends.postgres.adoption.queries import Connection, Relation, UniqueKey
from revector.backends.postgres.adoption.tables import AdoptedTable, Column
from revector.errors import InvalidArgumentError

__all__ = ["look"]

_MOST_SHOWN = 5
_NOT_A_TABLE = {
    "v": "is a view, whose rows are written elsewhere; give the table behind it",
    "m": "is a materialised view, whose rows are made anew by every REFRESH; give the table behind it",
    "f": "is a foreign table, whose rows can be written without this server; adopt it in its own database",
    "i": "is an index; give its table",
    "I": "is an index; give its table",
    "S": "is a sequence; give a table",
    "c": "is a composite type; give a table",
    "t": "belongs to PostgreSQL itself; give a table of your own",
}
_KINDS = {
    "text": (("text",), "text, varchar, char or citext"),
    "vector": (
        ("vector", "halfvec"),
        "vector or halfvec of pgvector; convert it first, with ALTER TABLE … ALTER COLUMN … TYPE vector(…)",
    ),
    "updated": (("time",), "a timestamp or date; leave it out if there is none"),
}
_FROM_JSON = (
    "; make a text column of what is embedded (ADD COLUMN … text GENERATED ALWAYS AS ({} ->> '…') STORED), "
    "and give that"
)


def look(
    connection: Connection,
    table: TableName,
    *,
    id: Sequence[str],  # noqa: A002
    text: Sequence[str],
    vector: str,
    updated: str | None = None,
) -> AdoptedTable:
    """Return what is known of a table that is to be adopted.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, outside of a transaction. How long another one's lock is waited for is what its
        ``lock_timeout`` says.
    table : TableName
        As `revector.backends.postgres.adoption.names.table_of` returns it.
    id : sequence of str
        The columns that name a row.
    text : sequence of str
        The columns that are embedded.
    vector : str
        The column that holds the vectors.
    updated : str, optional
        The column that holds when a row was changed.

    Raises
    ------
    InvalidArgumentError
        There is no such table, or it is not one that can be adopted so.
    psycopg.Error
        The server refuses to answer, or the rows may not be read that say what dimension the vectors have.
    """
    with queries.reading(connection) as path:
        found = _table(connection, table, path)
        extension = _extension(connection)
        columns = queries.columns(connection, found.oid)
        roles = _roles(_named(found), columns, id, text, vector, updated)
        key = _key(_named(found), roles.keys, queries.unique_keys(connection, found.oid))
        return AdoptedTable(
            oid=found.oid,
            schema=found.schema,
            name=found.name,
            kind="partitioned table" if found.kind == "p" else "table",
            columns=columns,
            keys=roles.keys,
            key_order=tuple(key.columns),
            texts=roles.texts,
            vector=roles.vector,
            updated=roles.updated,
            dimension=roles.vector.dimension or _dimension(connection, found, roles.vector.name, extension),
            extension_schema=extension,
            indexes=queries.vector_indexes(connection, found.oid, roles.vector.name),
            partitions=queries.partitions(connection, found.oid),
            triggers=queries.triggers(connection, found.oid),
            missing_grants=queries.missing_grants(connection, found.oid, roles.vector.name, extension),
            **queries.traits(connection, found.oid),
        )


def _table(connection: Connection, table: TableName, path: Sequence[str]) -> Relation:
    """Return the table that a name means, if one like it can be adopted."""
    found = queries.relation(connection, table.name, path if table.schema is None else [table.schema])
    if found is None:
        raise InvalidArgumentError(_no_table(table, path, queries.tables(connection)))
    if reason := _why_not(found):
        raise InvalidArgumentError(f"{_named(found)} {reason}")
    return found


def _no_table(table: TableName, path: Sequence[str], there: Iterable[TableName]) -> str:
    by_name = {str(each if table.schema is not None else TableName(None, each.name)): str(each) for each in there}
    like = [by_name[name] for name in nearest(str(table), by_name)]
    where = f" along the search_path ({', '.join(path)})" if table.schema is None else ""
    remedy = f"it may be {_one_of(like)} that is meant" if like else "give it as SCHEMA.TABLE, with the case it has"
    return f"there is no table {shown(str(table))}{where}; {remedy}"


def _why_not(found: Relation) -> str:
    if found.is_system:
        return "belongs to PostgreSQL itself; give a table of your own"
    if found.kind not in ("r", "p"):
        return _NOT_A_TABLE.get(found.kind, "is not a table; give a table")
    if found.is_temporary:
        return "is a temporary table, which no other connection can see; give a permanent one"
    if found.parent:
        return f"holds rows of {shown(found.parent)}, and is written through that, too; give that"
    if found.has_heirs:
        return (
            "is inherited by other tables, whose rows are among its own and in none of its keys; give a table without "
            "heirs, or a partitioned one"
        )
    return ""


def _extension(connection: Connection) -> str:
    extension = queries.extension_schema(connection)
    if extension is None:
        raise InvalidArgumentError(
            "pgvector is not installed in this database; let an administrator CREATE EXTENSION vector"
        )
    return extension


class _Roles(NamedTuple):
    """What the columns mean."""

    keys: tuple[Column, ...]
    texts: tuple[Column, ...]
    vector: Column
    updated: Column | None


def _roles(
    table: str, columns: Iterable[Column], id_: Sequence[str], text: Sequence[str], vector: str, updated: str | None
) -> _Roles:
    """Return the columns that each option names, if they can serve as that."""
    by_name = {column.name: column for column in columns}
    names = {"id": id_, "text": text, "vector": [vector], "updated": [updated] if updated else []}
    chosen = {
        option: tuple(_column(table, by_name, name, option) for name in strings(given, option))
        for option, given in names.items()
    }
    for option in ("id", "text"):
        if not chosen[option]:
            raise InvalidArgumentError(f"{option} names no column, expected at least one of {_listed(by_name)}")
    _require_distinct(chain.from_iterable(chosen.values()))
    return _Roles(chosen["id"], chosen["text"], *chosen["vector"], *(chosen["updated"] or [None]))


def _column(table: str, by_name: Mapping[str, Column], name: str, option: str) -> Column:
    column = by_name.get(name)
    if column is None:
        like = nearest(name, by_name)
        remedy = f"it may be {_one_of(like)} that is meant" if like else f"its columns are {_listed(by_name)}"
        raise InvalidArgumentError(f"{option}: {table} has no column {shown(name)}; {remedy}")
    kinds, expected = _KINDS.get(option, ((column.kind,), ""))
    if column.kind not in kinds:
        hint = _FROM_JSON.format(sql.Identifier(name).as_string()) if (option, column.kind) == ("text", "json") else ""
        raise InvalidArgumentError(
            f"{option}: the column {shown(name)} is of type {column.type}, expected {expected}{hint}"
        )
    if column.is_generated and not (option == "text" and column.is_stored):
        remedy = "; give those that it is made from, or make it STORED" if option == "text" else ""
        raise InvalidArgumentError(
            f"{option}: the column {shown(name)} is generated from others, expected one that is written{remedy}"
        )
    return column


def _require_distinct(columns: Iterable[Column]) -> None:
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise InvalidArgumentError(f"the column {shown(column.name)} is given twice; give each column once")
        seen.add(column.name)


def _key(table: str, keys: Sequence[Column], there: Sequence[UniqueKey]) -> UniqueKey:
    """Return the unique index over some columns; refuse those that do not tell each row from all others at any time."""
    names = [column.name for column in keys]
    if nullable := [column.name for column in keys if column.is_nullable]:
        raise InvalidArgumentError(
            f"id: {_one_of(nullable, 'and')} can be null in {table}, expected columns that every row has; "
            "ALTER TABLE … ALTER COLUMN … SET NOT NULL first, or give another key"
        )
    found = next((key for key in there if set(key.columns) == set(names) and not key.flaw), None)
    if found is None:
        others = ", ".join(f"{_listed(key.columns)}{f' ({key.flaw})' if key.flaw else ''}" for key in there)
        raise InvalidArgumentError(
            f"id: {_listed(names)} is not a unique key of {table}, expected a valid unique index over exactly these "
            f"columns, not partial, not deferrable; it has {others or 'none'}; give such a key, or CREATE UNIQUE INDEX "
            "CONCURRENTLY first"
        )
    return found


def _dimension(connection: Connection, table: Relation, vector: str, extension: str) -> int:
    """Return the dimension that all vectors of a column have which declares none."""
    found = queries.dimensions(connection, sql.Identifier(table.schema, table.name), vector, extension)
    if len(found) == 1:
        return found[0][0]
    declare = "; declare it, with ALTER TABLE … ALTER COLUMN … TYPE vector(…)"
    if not found:
        raise InvalidArgumentError(f"vector: {shown(vector)} declares no dimension, and no row has a vector{declare}")
    counts = [f"{dimension} in {rows:,} row{'s' * (rows > 1)}" for dimension, rows in found[:_MOST_SHOWN]]
    more = ", …" if len(found) > _MOST_SHOWN else ""
    raise InvalidArgumentError(
        f"vector: {shown(vector)} has vectors of {len(found)} dimensions ({', '.join(counts)}{more}), expected one; "
        f"embed the others again, or set them to null{declare}"
    )


def _named(table: Relation) -> str:
    return shown(str(TableName(table.schema, table.name)))


def _listed(columns: Iterable[str]) -> str:
    return shown(listed(columns))


def _one_of(names: Sequence[str], word: str = "or") -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} {word} {last}" if others else last
