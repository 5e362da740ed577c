"""The indexes that go with the column of a user's vectors, and how the same are made for another column."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import args_row, dict_row

from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.releasing.column import MEMBERS, OF_COLUMN, Connection, facts, said, texts
from revector.backends.postgres.building import LARGEST_DIMENSION

__all__ = ["ColumnIndex", "Twin", "indexes", "twins"]

_GRAPHS = ("hnsw", "ivfflat")
_CAST = re.compile(r"\((.+)\)::(vector|halfvec)\(\d+\)")

_INDEXES = f"""{MEMBERS}
SELECT indexrelid::int8 AS oid, pg_class.relname::text AS name, schema, member.name AS table_name, is_partitioned,
    (SELECT inhparent::int8 FROM pg_inherits WHERE inhrelid = indexrelid) AS parent,
    indisvalid OR is_partitioned AS is_valid, indisunique OR indisexclusion AS is_constraint, amname::text AS method,
    attnum = ANY(indkey) AS is_key, quote_ident({{vector}}) AS quoted, indrelid::int8 AS table_oid,
    pg_get_indexdef(indexrelid) AS definition, pg_get_expr(indexprs, indrelid) AS expressions,
    pg_get_expr(indpred, indrelid) AS predicate,
    format('CREATE INDEX %I ON %s%I.%I USING ', relname, CASE WHEN is_partitioned THEN 'ONLY ' END, schema, member.name)
        AS head,
    (SELECT spcname::text FROM pg_tablespace WHERE pg_tablespace.oid = reltablespace) AS tablespace,
    obj_description(indexrelid, 'pg_class') AS comment
FROM member JOIN pg_index ON indrelid = member.oid JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_am ON pg_am.oid = relam
WHERE EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND {OF_COLUMN})
ORDER BY level, indexrelid
"""
_TWINS = f"""{MEMBERS}
SELECT indexrelid::int8, schema, pg_class.relname::text, indrelid::int8,
    (SELECT inhparent::int8 FROM pg_inherits WHERE inhrelid = indexrelid), indisvalid
FROM member JOIN pg_index ON indrelid = member.oid JOIN pg_class ON pg_class.oid = indexrelid
WHERE EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND {OF_COLUMN})
"""
_NAMES = """
SELECT CASE attname WHEN {vector} THEN {successor} WHEN {successor} THEN {vector} ELSE attname::text END
FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 ORDER BY attnum
"""
_RENAMED = """
SELECT indexrelid::int8, pg_get_expr(indexprs, {scratch}::regclass), pg_get_expr(indpred, {scratch}::regclass)
FROM pg_index WHERE indrelid = {oid}
"""


@dataclass(frozen=True)
class ColumnIndex:
    """An index that is over the column, or over rows that the column selects.

    Parameters
    ----------
    oid : int
        Its number.
    schema, name, table : str
        Its name, and that of the table or partition that it belongs to.
    table_oid : int
        The number of that.
    is_partitioned : bool
        Whether that table has partitions, and rows only there.
    parent : int or None
        The index of the table above, if it is a part of that.
    body : str
        What follows ``USING`` in the statement that makes the same index for the successor of the column.
    flaw : str
        Why it cannot be made so; empty if it can.
    is_constraint : bool
        Whether it is a promise, which nobody would keep without it.
    comment : str or None
        What is said of it.
    """

    oid: int
    schema: str
    name: str
    table: str
    table_oid: int
    is_partitioned: bool
    parent: int | None
    body: str
    flaw: str
    is_constraint: bool
    comment: str | None


class Twin(NamedTuple):
    """An index that is there: its number, its name, its table, and the index that it is a part of."""

    oid: int
    schema: str
    name: str
    table_oid: int
    parent: int | None
    is_valid: bool


def indexes(connection: Connection, captured: Captured, successor: str, dimension: int) -> tuple[ColumnIndex, ...]:
    """Return the indexes that go with the column, those of partitioned tables first.

    Parameters
    ----------
    connection : psycopg.Connection
        Any; nothing is changed.
    captured : Captured
        The table.
    successor : str
        The name of the column that follows.
    dimension : int
        Of its vectors.
    """
    rows = connection.cursor(row_factory=dict_row).execute(said(_INDEXES, captured)).fetchall()
    renamed: dict[int, tuple[str | None, str | None]] = {}
    for table in {row["table_oid"] for row in rows if row["expressions"] or row["predicate"]}:
        renamed |= _renamed(connection, captured, successor, table)
    kind = facts(connection, captured).kind
    return tuple(_index(row, successor, dimension, kind, renamed.get(row["oid"], (None, None))) for row in rows)


def twins(connection: Connection, captured: Captured, column: str) -> list[Twin]:
    """Return the indexes that go with some column now."""
    query = said(_TWINS, replace(captured, vector=column))
    return connection.cursor(row_factory=args_row(Twin)).execute(query).fetchall()


def _renamed(
    connection: Connection, captured: Captured, successor: str, table: int
) -> dict[int, tuple[str | None, str | None]]:
    """Return expressions and predicates of a table's indexes, with the successor in place of the column.

    The server spells them for a table whose columns have these names, which is taken back at once.
    """
    oid, scratch = sql.Literal(table), sql.Identifier(captured.collection, "scratch")
    names = texts(connection, said(_NAMES, captured, successor=sql.Literal(successor), oid=oid))
    columns = sql.SQL(", ").join(sql.SQL("{} integer").format(sql.Identifier(name)) for name in names)
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(scratch, columns))
        asked = sql.SQL(_RENAMED).format(scratch=sql.Literal(scratch.as_string()), oid=oid)
        return {index: (expressions, predicate) for index, expressions, predicate in connection.execute(asked)}


def _index(
    row: dict[str, Any],
    successor: str,
    dimension: int,
    kind: str,
    renamed: tuple[str | None, str | None],
) -> ColumnIndex:
    expressions, predicate = renamed
    cast = _cast(row)
    limit = LARGEST_DIMENSION.get(cast or kind, dimension) if row["method"] in _GRAPHS else dimension
    before = f" WHERE {row['predicate']}" if row["predicate"] else ""
    body = str(row["definition"]).removeprefix(row["head"]).removesuffix(before)
    key, of_others = f"{row['method']} ({row['quoted']}", row["is_key"]
    if row["is_key"] and body.startswith((f"{key} ", f"{key})")):
        body, of_others = f"{row['method']} ({sql.Identifier(successor).as_string()}{body[len(key) :]}", False
    if cast:
        successors = f"({sql.Identifier(successor).as_string()})::{cast}({dimension})"
        body = body.replace(f"({row['expressions']})", f"({successors})", 1)
    flaws = {
        "is not valid": not row["is_valid"],
        "is over an expression of the column": not cast and expressions != row["expressions"],
        "has other columns as well": of_others,
        f"holds at most {limit:,} dimensions, and the vectors have {dimension:,}": dimension > limit,
    }
    if row["tablespace"]:
        body += f" TABLESPACE {sql.Identifier(row['tablespace']).as_string()}"
    return ColumnIndex(
        oid=row["oid"],
        schema=row["schema"],
        name=row["name"],
        table=row["table_name"],
        table_oid=row["table_oid"],
        is_partitioned=row["is_partitioned"],
        parent=row["parent"],
        body=f"{body} WHERE {predicate}" if predicate else body,
        flaw=next((flaw for flaw, is_there in flaws.items() if is_there), ""),
        is_constraint=row["is_constraint"],
        comment=row["comment"],
    )


def _cast(row: dict[str, Any]) -> str | None:
    """Return the type of pgvector that an index casts the column to, with its dimension, and does nothing else."""
    found = _CAST.fullmatch(row["expressions"] or "")
    return found[2] if found and found[1] == row["quoted"] else None
