"""The indexes of a user's vectors, made once more for another column while the table is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from revector.backends.contracts.adoption import Tell
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.locks import insist
from revector.backends.postgres.adoption.releasing.indexes import ColumnIndex, Twin, twins
from revector.backends.postgres.building import create_concurrently

__all__ = ["pairs", "rebuild"]

_CREATE = "CREATE INDEX {concurrently} {name} ON {only} {table} USING {body}"
_DROP = "DROP INDEX CONCURRENTLY {name}"
_ATTACH = "ALTER INDEX {parent} ATTACH PARTITION {name}"


def rebuild(
    connection: psycopg.Connection[Any],
    captured: Captured,
    successor: str,
    indexes: Sequence[ColumnIndex],
    *,
    needed_bytes: int,
    seconds: float,
    tell: Tell,
) -> None:
    """Make the indexes that are not there yet, under names of ours; those of partitioned tables come first.

    Parameters
    ----------
    connection : psycopg.Connection
        In autocommit mode, outside of a transaction.
    captured : Captured
        The table.
    successor : str
        The column that they are made for.
    indexes : sequence of ColumnIndex
        Those of the column whose place it takes.
    needed_bytes : int
        What the graph of all rows takes in memory.
    seconds : float
        How long locks are waited for.
    tell : callable
        Is told what is built.
    """
    for index in indexes:
        twin = pairs(connection, captured, successor, indexes).get(index.oid)
        if twin and not twin.is_valid and not index.is_partitioned:
            connection.execute(sql.SQL(_DROP).format(name=sql.Identifier(twin.schema, twin.name)))
            twin = None
        if twin is None:
            tell(f"building the index {index.schema}.{index.name}")
            _create(connection, index, needed_bytes, seconds)
    made = pairs(connection, captured, successor, indexes)
    for index in indexes:
        if index.parent in made and made[index.oid].parent is None:
            _attach(connection, index, made[index.parent], made[index.oid], seconds)


def pairs(
    connection: psycopg.Connection[Any], captured: Captured, successor: str, indexes: Iterable[ColumnIndex]
) -> dict[int, Twin]:
    """Return what was made for each index so far, by the number of that.

    Those of partitions that were made meanwhile came by themselves.
    """
    found = twins(connection, captured, successor)
    named = {(twin.schema, twin.name): twin for twin in found}
    below = {(twin.parent, twin.table_oid): twin for twin in found if twin.parent}
    made: dict[int, Twin] = {}
    for index in indexes:
        above = made.get(index.parent) if index.parent else None
        twin = named.get((index.schema, _name(index))) or (below.get((above.oid, index.table_oid)) if above else None)
        if twin:
            made[index.oid] = twin
    return made


def _name(index: ColumnIndex) -> str:
    return f"revector_{index.oid}"


def _create(connection: psycopg.Connection[Any], index: ColumnIndex, needed_bytes: int, seconds: float) -> None:
    table, name = sql.Identifier(index.schema, index.table), sql.Identifier(_name(index))
    parts = {"name": name, "table": table, "body": sql.SQL(index.body)}
    if index.is_partitioned:  # holds nothing itself
        create = sql.SQL(_CREATE).format(concurrently=sql.SQL(""), only=sql.SQL("ONLY"), **parts)
        insist(connection, table, seconds, lambda _: connection.execute(create))
    else:
        create = sql.SQL(_CREATE).format(concurrently=sql.SQL("CONCURRENTLY"), only=sql.SQL(""), **parts)
        drop = sql.SQL(_DROP).format(name=sql.Identifier(index.schema, _name(index)))
        create_concurrently(connection, create, drop, needed_bytes)


def _attach(connection: psycopg.Connection[Any], index: ColumnIndex, above: Twin, twin: Twin, seconds: float) -> None:
    names = {"parent": sql.Identifier(above.schema, above.name), "name": sql.Identifier(twin.schema, twin.name)}
    attach = sql.SQL(_ATTACH).format(**names)
    table = sql.Identifier(index.schema, index.table)
    insist(connection, table, seconds, lambda _: connection.execute(attach))
