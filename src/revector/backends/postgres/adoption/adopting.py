"""Adopting a user's table: what is looked at, what is refused, and the statements in their order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import errors, sql

from revector.backends.contracts.adoption import Adopted, TableToAdopt, Tell
from revector.backends.identified import SAMPLE, identified, require_possible
from revector.backends.postgres.adoption.backend import is_adopted
from revector.backends.postgres.adoption.capture import Statement, analyze, fill, install, uninstall
from revector.backends.postgres.adoption.catalogue import look
from revector.backends.postgres.adoption.contents import count
from revector.backends.postgres.adoption.fragments import Captured, Column
from revector.backends.postgres.adoption.locks import insist
from revector.backends.postgres.adoption.making import ROWS_A_SLICE, announced, let_it_be_found, make_tables
from revector.backends.postgres.adoption.names import columns_of, table_of
from revector.backends.postgres.adoption.tables import AdoptedTable
from revector.backends.postgres.binary import matrix_of
from revector.backends.postgres.database import PostgresDatabase
from revector.backends.postgres.database.connecting import new_connection
from revector.backends.postgres.database.places import Place, place_of
from revector.backends.postgres.database.postgres_errors import named
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, StoreError

LOCK_SECONDS = 0.5
"""So long filling rests where somebody else was in its way."""
PATIENCE_SECONDS = 120.0
_SAMPLE = """
SELECT text, {send}(vector) FROM (
    SELECT {text} AS text, {vector}::{type} AS vector FROM {table} TABLESAMPLE BERNOULLI ({percent}) REPEATABLE (1)
) AS drawn WHERE vector IS NOT NULL AND text <> '' LIMIT {most}
"""
_BREATH_SECONDS = 0.01  # between two slices, for other writers
_LEFT = """
SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind IN ('r', 'v') AND relname NOT IN ('meta', 'moment')
"""


def adopt(
    place: str,
    table: TableToAdopt,
    candidates: Sequence[TextEncoder],
    *,
    dry_run: bool,
    accept_unidentified: bool,
    tell: Tell,
) -> Adopted:
    """Make a collection of a user's table. See `revector.backends.contracts.adoption.AdoptingKind.adopt`.

    Raises
    ------
    InvalidArgumentError
        The table cannot be adopted so, or its vectors are not those of a model that was given.
    StoreError
        There is a collection of that name, or the server refuses.
    """
    began, where = time.perf_counter(), _place(place, table)
    if table.vector is None:
        raise InvalidArgumentError("the column of the vectors is not named; say it with --vector")
    try:
        with closing(new_connection(where.connection)) as driver:
            found = look(
                driver,
                table_of(table.table),
                id=columns_of(table.id, "id"),
                text=[column for each in table.text for column in columns_of(each, "text")],
                vector=table.vector,
                updated=table.updated,
            )
            _require_adoptable(found)
            require_possible(candidates, found.dimension, f"{found.schema}.{found.name}")
            contents = count(driver, found)
            captured = _captured(found, where)
            sample = _sample(driver, found, contents.rows)
            encoder, told = identified(*sample, candidates, found.dimension, accept_unidentified=accept_unidentified)
    except psycopg.Error as error:
        raise named(where.url, error) from error
    statements = announced(captured, encoder, found.extension_schema)
    if not dry_run:
        _adopt(where, captured, encoder, tell)
    took = time.perf_counter() - began
    identification = None if told is None else asdict(told)
    return Adopted(where.url, asdict(found), asdict(contents), identification, statements, took)


def _place(place: str, table: TableToAdopt) -> Place:
    """Return the place of the new collection, whose name may be in the URL, or said, or that of the table."""
    url, _, fragment = place.partition("#")
    if fragment and table.name is not None:
        raise InvalidArgumentError("the collection is named twice, in the URL and by its own option; name it once")
    return place_of(f"{url}#{fragment or quote(table.name or table_of(table.table).name)}")


def _require_adoptable(table: AdoptedTable) -> None:
    if table.row_security_applies:
        raise InvalidArgumentError(
            f"row-level security hides rows of {table.schema}.{table.name} from this role; adopt it as its owner, or "
            "as a role with BYPASSRLS"
        )
    if table.missing_grants:
        raise InvalidArgumentError(
            f"this role lacks rights; let an administrator say: {'; '.join(table.missing_grants)}"
        )


def _captured(table: AdoptedTable, place: Place) -> Captured:
    taken = {table.vector.name, *(column.name for column in (*table.keys, *table.texts))}
    return Captured(
        collection=place.schema,
        schema=table.schema,
        name=table.name,
        key=tuple(Column(column.name, column.type) for column in table.keys),
        text=tuple(column.name for column in table.texts),
        vector=table.vector.name,
        updated=None if table.updated is None else table.updated.name,
        others=tuple(
            column.name
            for column in table.columns
            if column.name not in taken and column.kind not in ("vector", "halfvec", "sparsevec")
        ),
        order=table.key_order,
        partitions=tuple((str(part.schema), part.name) for part in table.partitions),
        type_schemas=(table.extension_schema,),
    )


def _sample(driver: psycopg.Connection[Any], table: AdoptedTable, rows: int) -> tuple[list[str], NDArray[np.float32]]:
    """Return the texts and vectors of some rows that have both."""
    vector = sql.Identifier(table.vector.name)
    statement = sql.SQL(_SAMPLE).format(
        text=table.text_expression,
        vector=vector,
        type=sql.Identifier(table.extension_schema, "vector"),
        send=sql.Identifier(table.extension_schema, "vector_send"),
        table=table.identifier,
        percent=sql.Literal(min(100.0, 150.0 * SAMPLE / max(rows, 1))),
        most=sql.Literal(SAMPLE),
    )
    found = driver.cursor(binary=True).execute(statement).fetchall()
    return [text for text, _ in found], matrix_of([sent for _, sent in found], table.dimension)


def _adopt(place: Place, captured: Captured, encoder: TextEncoder, tell: Tell) -> None:
    database = PostgresDatabase(place)
    try:
        if is_adopted(database) or database.note("schema_version:store") is not None:
            raise StoreError(f"{place.url} is a collection already; choose another name, or release it first")
        _clear(database, captured)
        generation = make_tables(database, encoder)
        with database.outside() as driver:
            for statement in install(captured, {generation: True}, []):
                tell(statement.purpose)
                _run(driver, captured, statement)
            _fill(driver, captured, tell)
        let_it_be_found(database, captured, generation)
    finally:
        database.close()


def _clear(database: PostgresDatabase, captured: Captured) -> None:
    """Remove what an adoption that was cut off has left; the schema, and what every transaction reads, stay."""
    with database.outside() as driver:
        for statement in uninstall(captured):
            _run(driver, captured, statement)
        for kind, name in driver.execute(_LEFT, (captured.collection,)).fetchall():
            drop = sql.SQL("DROP {} IF EXISTS {} CASCADE")
            driver.execute(drop.format(sql.SQL(kind), sql.Identifier(captured.collection, name)))
        driver.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(captured.collection, "meta")))


def _run(driver: psycopg.Connection[Any], captured: Captured, statement: Statement) -> None:
    """Run a statement in a transaction of its own; again, where it would have to wait for the user's table."""
    table = sql.Identifier(captured.schema, captured.name)
    insist(driver, table, PATIENCE_SECONDS, lambda _: driver.execute(statement.sql))


def _fill(driver: psycopg.Connection[Any], captured: Captured, tell: Tell) -> None:
    """Give a shadow to every row that was there before."""
    tell("shadows of the rows that are there")
    statement, state = fill(captured, ROWS_A_SLICE), ""
    while state != "done":
        try:
            (state,) = driver.execute(statement).fetchone() or ("done",)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            state = "busy"
        time.sleep(LOCK_SECONDS if state in ("wait", "busy") else _BREATH_SECONDS)
    driver.execute(analyze(captured).sql)
