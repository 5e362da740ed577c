"""A collection that a dump has brought to another place, where transactions have other numbers.

Rows carry the number of the transaction that wrote them, and points say which transactions had ended. Both mean nothing
in another cluster. So there is another history there, in which earlier points count as those of no time, and numbers
are shifted until all that came with the dump are in the past.
"""

from __future__ import annotations

import random
from typing import Any

import psycopg
from psycopg import sql

from revector.backends.postgres.database import PostgresDatabase, driver_of

_NOTE = "place"
_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
_TABLE = """
SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || 'moment'::regclass::oid
"""
_NUMBERED = """
SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'moment'::regclass)
AND relkind = 'r' AND attname IN ('seq', 'column_seq') AND NOT attisdropped
"""
_HIGHEST = "SELECT coalesce(max({column}), 0) FROM {table}"
_BEGIN_HISTORY = """
UPDATE moment SET history = %(history)s,
    shift = greatest(shift, %(highest)s + 1 - pg_current_xact_id()::text::bigint)
"""


def notice_restored(database: PostgresDatabase) -> None:
    """Begin another history of a collection that is not where it was when it was opened last."""
    if database.read_only or _is_known_here(database):
        return
    with database.exclusive() as connection:
        if not _is_known_here(database):
            driver = driver_of(connection)
            history = {"history": random.getrandbits(62), "highest": _highest(driver)}
            driver.execute(_BEGIN_HISTORY, history)
            database.keep_note(_NOTE, _place(driver))


def _is_known_here(database: PostgresDatabase) -> bool:
    with database.snapshot() as connection:
        return database.note(_NOTE) == _place(driver_of(connection))


def _place(driver: psycopg.Connection[Any]) -> str:
    """Return what is another text for each cluster, database and table: whatever a dump is restored to."""
    (may_ask,), (table,) = driver.execute(_MAY_ASK), driver.execute(_TABLE)
    cluster = driver.execute(_CLUSTER).fetchone() if may_ask[0] else None
    return f"{cluster[0] if cluster else 'unknown'}/{table[0]}"


def _highest(driver: psycopg.Connection[Any]) -> int:
    """Return the highest number that a row carries."""
    found = 0
    for table, column in driver.execute(_NUMBERED).fetchall():
        asked = sql.SQL(_HIGHEST).format(column=sql.Identifier(column), table=sql.Identifier(table))
        found = max(found, *(highest for (highest,) in driver.execute(asked)))
    return found
