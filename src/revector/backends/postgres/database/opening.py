"""Opening a collection: what has to be there, what is made where it is not, and who may do what."""

from __future__ import annotations

import random
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from revector.backends.postgres.database.connecting import new_connection, row_of
from revector.backends.postgres.database.places import SCHEMA, Place
from revector.backends.postgres.database.postgres_errors import named
from revector.errors import StoreError

__all__ = [
    "LOCK_CLASS",
    "LOCK_OF",
    "MADE_BY_ONE",
    "TABLES",
    "Opened",
    "is_ours",
    "new_moment",
    "opened",
    "schema_exists",
]

_OLDEST_SERVER, _OLDEST_VECTOR = 140_000, (0, 7)
LOCK_CLASS = 0x72766374
"""The first half of every advisory lock of revector; the second one is the collection's."""
MADE_BY_ONE = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 0)"
"""Lets one process at a time make what collections share, until its transaction ends."""
_EXTENSION = """
SELECT nspname, extversion FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname = 'vector'
"""
_IS_THERE = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
LOCK_OF = "SELECT (oid::bigint & 2147483647)::integer FROM pg_namespace WHERE nspname = %s"
_ONLY_READS = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'"
_MAY_WRITE = "SELECT has_schema_privilege(%s, 'USAGE'), has_table_privilege(%s, 'INSERT, UPDATE, DELETE')"
TABLES = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE moment (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    history bigint NOT NULL,
    shift bigint NOT NULL
);
COMMENT ON TABLE moment IS 'history: another number once the past was replaced, by a restored dump; '
    'shift: what is added to the number of a transaction, so that the sum grows when a dump is restored elsewhere';
"""
"""What every transaction of a collection reads."""


class Opened(NamedTuple):
    """What was found of a collection.

    Attributes
    ----------
    path : str
        The statement that lets a transaction find its tables.
    lock : int
        The second half of its advisory lock.
    extension : str
        The schema of pgvector.
    vector_version : tuple of int
        Of pgvector.
    why_read_only : str
        Why nothing can be written; empty if it can.
    """

    path: str
    lock: int
    extension: str
    vector_version: tuple[int, ...]
    why_read_only: str


def opened(driver: psycopg.Connection[Any], place: Place, why_read_only: str) -> Opened:
    """Look at a collection, and make its schema where it is new.

    Parameters
    ----------
    driver : psycopg.Connection
        In autocommit mode.
    place : Place
    why_read_only : str
        Why nothing is to be written, if so.

    Raises
    ------
    StoreError
        The server is too old, or lacks pgvector, or the schema is not one of revector, or is to be read and not there.
    """
    _require_able(driver, place)
    replica, reads = row_of(driver.execute(_ONLY_READS))
    if replica or reads:
        why_read_only = why_read_only or ("the server is a replica" if replica else "this role only reads")
    if driver.execute(_IS_THERE, (place.schema,)).fetchone() is None:
        if why_read_only:
            raise StoreError(f"{place.url} does not exist, and is only to be read; give another name")
        _make(driver, place)
    if not _may_write(driver, place):
        why_read_only = why_read_only or "this role may only read; docs/postgres.md says what a writer needs"
    extension, version = _extension(place.url, driver)
    names = [sql.Identifier(name) for name in dict.fromkeys([place.schema, "pg_catalog", extension])]
    path = sql.SQL("SET LOCAL search_path = {}").format(sql.SQL(", ").join(names)).as_string()
    (lock,) = row_of(driver.execute(LOCK_OF, (place.schema,)))
    return Opened(path, int(lock), extension, version, why_read_only)


def _require_able(driver: psycopg.Connection[Any], place: Place) -> None:
    version, encoding = driver.info.server_version, driver.info.parameter_status("server_encoding")
    if version < _OLDEST_SERVER:
        raise StoreError(f"{place.url}: PostgreSQL {version // 10_000} is too old; 14 or newer")
    if encoding != "UTF8":
        raise StoreError(f"{place.url}: the database is encoded in {encoding}, expected UTF8, which holds any text")


def _make(driver: psycopg.Connection[Any], place: Place) -> None:
    """Create the schema with what every transaction reads, and the extension where it is missing."""
    schema = sql.Identifier(place.schema)
    with driver.transaction():
        driver.execute(MADE_BY_ONE)
        driver.execute("CREATE EXTENSION IF NOT EXISTS vector")
        if driver.execute(_IS_THERE, (place.schema,)).fetchone() is not None:
            return  # another process was faster
        if driver.execute(_IS_THERE, (SCHEMA,)).fetchone() is None:
            driver.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        driver.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        driver.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
        driver.execute(TABLES)
        driver.execute(new_moment())


def _may_write(driver: psycopg.Connection[Any], place: Place) -> bool:
    """Tell whether the role may write; raise `StoreError` if it may not even read, or the schema is not ours."""
    if not is_ours(driver, place):
        raise StoreError(f"{place.url}: the schema {place.schema!r} is not one of revector; give another name")
    uses, writes = row_of(driver.execute(_MAY_WRITE, (place.schema, _meta(place))))
    if not uses:
        raise StoreError(f"{place.url}: this role may not use the schema; docs/postgres.md says what it needs")
    return bool(writes)


def is_ours(driver: psycopg.Connection[Any], place: Place) -> bool:
    """Tell whether there is a collection."""
    return row_of(driver.execute("SELECT to_regclass(%s)", (_meta(place),))) != (None,)


def _meta(place: Place) -> str:
    return sql.Identifier(place.schema, "meta").as_string()


def new_moment() -> sql.Composed:
    """Return the statement that begins the history of a collection."""
    return sql.SQL("INSERT INTO moment VALUES (1, {}, 0)").format(sql.Literal(random.getrandbits(62)))


def schema_exists(place: Place) -> bool:
    """Tell whether a database has the schema of a collection; raise `StoreError` if it cannot be reached."""
    try:
        with closing(new_connection(place.connection)) as driver:
            return driver.execute(_IS_THERE, (place.schema,)).fetchone() is not None
    except psycopg.Error as error:
        raise named(place.url, error) from error


def _extension(url: str, driver: psycopg.Connection[Any]) -> tuple[str, tuple[int, ...]]:
    """Return the schema that pgvector is in, and its version."""
    found = driver.execute(_EXTENSION).fetchone()
    if found is None:
        raise StoreError(
            f"{url}: pgvector is not installed in this database; let an administrator CREATE EXTENSION vector"
        )
    schema, version = found
    numbers = tuple(map(int, version.split(".")[:2]))
    if numbers < _OLDEST_VECTOR:
        raise StoreError(
            f"{url}: pgvector {version} is too old; install 0.7 or newer, then ALTER EXTENSION vector UPDATE"
        )
    return str(schema), numbers
