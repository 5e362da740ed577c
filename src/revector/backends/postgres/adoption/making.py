"""The tables and views of a collection whose documents are a user's rows, and the SQL of an adoption as it is reviewed.

`announced` is made of what the other functions here execute, in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb

from revector.backends.contracts import ALIAS
from revector.backends.postgres import schema
from revector.backends.postgres.adoption.backend import ADOPTED, as_note, follow_generations
from revector.backends.postgres.adoption.capture import Statement, analyze, fill, follow, install, uninstall
from revector.backends.postgres.adoption.fragments import Captured
from revector.backends.postgres.adoption.parts import AdoptedGenerations, column_view, row_names
from revector.backends.postgres.database import PostgresDatabase, driver_of
from revector.backends.postgres.database.opening import TABLES, new_moment
from revector.backends.postgres.database.places import SCHEMA
from revector.backends.postgres.serving import ensure_functions, functions, view
from revector.encoders.base import TextEncoder
from revector.ledger import schema as ledger
from revector.ledger.records import Ledger

FIRST = 1
"""The generation of the user's column, in a schema that is new."""
ROWS_A_SLICE = 5_000

_ACCESS = "CREATE TABLE access (document_key bigint PRIMARY KEY, hits bigint NOT NULL, failures bigint NOT NULL)"
_GENERATION = """
INSERT INTO generations (space, encoder_source, created_at, in_column) VALUES ({row}, true) RETURNING id
"""
_STORE = [schema.METADATA.tables[name] for name in ("generations", "aliases", "maps")]


def make_tables(database: PostgresDatabase, encoder: TextEncoder) -> int:
    """Make the tables of a collection without documents; return the generation of the user's column."""
    with database.exclusive() as connection:
        schema.METADATA.create_all(connection, tables=_STORE, checkfirst=False)
        driver = driver_of(connection)
        driver.execute(_ACCESS)
        (generation,) = driver.execute(_generation(encoder)).fetchone()
    Ledger(database)
    return int(generation)


def let_it_be_found(database: PostgresDatabase, captured: Captured, generation: int) -> None:
    """Let readers find the collection, from one moment to the next."""
    generations = AdoptedGenerations(database, captured)
    with database.exclusive() as connection:
        driver = driver_of(connection)
        driver.execute(column_view(captured, generation))
        generations.create_alias(ALIAS, generation)
        follow_generations(database, driver, captured)
        ensure_functions(database)
        database.keep_note("schema_version:store", str(schema.VERSION))
        database.keep_note(ADOPTED, as_note(captured))


def announced(captured: Captured, encoder: TextEncoder, extension: str) -> tuple[str, ...]:
    """Return all that an adoption executes which makes or changes anything, each with what it is for.

    Parameters
    ----------
    captured : Captured
    encoder : TextEncoder
        That made the vectors.
    extension : str
        The schema of pgvector.
    """
    said = [
        ("the schemas, of all collections and of this one", _schemas(captured, extension)),
        ("what every transaction of the collection reads", TABLES + new_moment().as_string()),
        *_of(uninstall(captured), "left by an adoption that was cut off, if there is any: "),
        ("generations of vectors, and who serves", ";\n".join([*_created(schema.METADATA, _STORE), _ACCESS])),
        ("the generation of the vectors that are there", _generation(encoder).as_string()),
        ("the ledger: migrations, and what is to be embedded", ";\n".join(_created(ledger.METADATA))),
        *_of(install(captured, {FIRST: True}, [])),
        (
            f"shadows of the rows that are there, in slices of {ROWS_A_SLICE:,}: again and again until it says done",
            fill(captured, ROWS_A_SLICE).as_string(),
        ),
        *_of([analyze(captured)]),
        *_of(_found(captured, extension)),
    ]
    return tuple(f"-- {purpose}\n{statement.strip()}" for purpose, statement in said)


def _found(captured: Captured, extension: str) -> list[Statement]:
    """Return what `let_it_be_found` executes."""
    alias = sql.SQL("INSERT INTO aliases VALUES ({}, {}, 1)").format(sql.Literal(ALIAS), sql.Literal(FIRST))
    return [
        Statement(column_view(captured, FIRST), "the vectors of the column"),
        Statement(alias, "they serve"),
        Statement(view(FIRST, row_names(captured), AdoptedGenerations.named_by), "what serves, for readers in SQL"),
        *follow(captured, {FIRST: True}, []),
        Statement(functions(extension), "functions of all collections, unless they are there"),
        Statement(_notes(captured), "the adoption is complete"),
    ]


def _schemas(captured: Captured, extension: str) -> str:
    path = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys([captured.collection, "pg_catalog", extension])))
    said = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}; CREATE SCHEMA {}; SET search_path = {}")
    return said.format(sql.Identifier(SCHEMA), sql.Identifier(captured.collection), path).as_string()


def _notes(captured: Captured) -> sql.Composed:
    kept = {
        "schema_version:ledger": str(ledger.VERSION),
        "schema_version:store": str(schema.VERSION),
        ADOPTED: as_note(captured),
    }
    rows = [sql.SQL("({}, {})").format(sql.Literal(name), sql.Literal(value)) for name, value in kept.items()]
    return sql.SQL("INSERT INTO meta VALUES {}").format(sql.SQL(", ").join(rows))


def _generation(encoder: TextEncoder) -> sql.Composed:
    """Return the statement that writes down the generation of the user's column."""
    row = (Jsonb(encoder.space.to_json()), encoder.source, time.time())
    return sql.SQL(_GENERATION).format(row=sql.SQL(", ").join(map(sql.Literal, row)))


def _created(metadata: sa.MetaData, tables: list[sa.Table] | None = None) -> list[str]:
    """Return the statements by which SQLAlchemy makes tables and their indexes."""
    said: list[sa.sql.ClauseElement] = []
    engine = sa.create_mock_engine("postgresql+psycopg://", lambda made, *_, **__: said.append(made))
    metadata.create_all(engine, tables=tables, checkfirst=False)
    return [str(made.compile(dialect=engine.dialect)).strip() for made in said]


def _of(statements: Iterable[Statement], before: str = "") -> list[tuple[str, str]]:
    return [(before + statement.purpose, statement.sql.as_string()) for statement in statements]
