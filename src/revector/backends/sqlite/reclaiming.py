"""Giving back what dropped generations took: rows and jobs, then pages of the file, a slice a transaction.

So are the jobs that an earlier release kept when they were done, and the deletions that no index has to be told of.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from revector.backends.local_index.feed import DELETIONS_KEPT
from revector.backends.sqlite.database import Database

DROPPED = "dropped:"
"""A generation is dropped by a note of this name and its id: releases before this one had no column for it."""
IS_KEPT = f"NOT EXISTS (SELECT 1 FROM meta WHERE meta.key = '{DROPPED}' || generations.id)"
FORGOTTEN = "deletions_forgotten:"
"""Up to which point deletions of a generation were given back is kept under this name and its id."""

ROWS_A_SLICE = 2_000
PAGES_A_SLICE = 500

_NEXT_DROPPED = f"SELECT min(id) FROM generations WHERE NOT {IS_KEPT}"
_NEXT_DONE = """
SELECT min(id) FROM generations
WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.generation = generations.id AND jobs.state = 'done')
"""
_VECTORS = sa.text(
    """
    DELETE FROM vectors WHERE rowid IN (
        SELECT rowid FROM vectors WHERE generation = :generation ORDER BY seq LIMIT :most
    )
    """
)
_JOBS = sa.text(
    """
    DELETE FROM jobs WHERE generation = :generation AND document_key IN (
        SELECT document_key FROM jobs WHERE generation = :generation ORDER BY document_key LIMIT :most
    )
    """
)
_DONE = sa.text(
    """
    DELETE FROM jobs WHERE generation = :generation AND document_key IN (
        SELECT document_key FROM jobs WHERE generation = :generation AND state = 'done' LIMIT :most
    )
    """
)
_TOMBSTONES = sa.text(
    """
    DELETE FROM tombstones WHERE generation = :generation AND seq <= (
        SELECT max(seq) FROM (SELECT seq FROM tombstones WHERE generation = :generation ORDER BY seq LIMIT :most)
    )
    """
)
_REST = (
    "DELETE FROM generations WHERE id = :generation",
    f"DELETE FROM meta WHERE key IN ('{DROPPED}' || :generation, '{FORGOTTEN}' || :generation)",
    "DELETE FROM meta WHERE key = 'index:' || :generation",
)
_SETTLED = sa.text(
    """
    SELECT max(seq) FROM (
        SELECT seq FROM tombstones WHERE generation = :generation AND seq <= :upto AND seq <= (
            SELECT seq FROM tombstones WHERE generation = :generation ORDER BY seq DESC LIMIT 1 OFFSET :kept
        ) ORDER BY seq LIMIT :most
    )
    """
)
_FORGET = sa.text("DELETE FROM tombstones WHERE generation = :generation AND seq <= :point")


def reclaim(database: Database) -> bool:
    """Give back a slice; tell whether there was anything to give back."""
    with database.snapshot() as connection:
        dropped = connection.exec_driver_sql(_NEXT_DROPPED).scalar()
        done = connection.exec_driver_sql(_NEXT_DONE).scalar()
    if dropped is None and done is None:
        return database.release_pages(PAGES_A_SLICE)
    with database.transaction() as connection:
        if dropped is not None:
            _remove_some(connection, dropped)
        else:
            connection.execute(_DONE, {"generation": done, "most": ROWS_A_SLICE})
    return True


def forget_deletions(database: Database, generation: int, upto: int) -> bool:
    """Give back a slice of a generation's deletions up to a point, but for the newest; tell whether there were any.

    Up to where they are gone is written down with it: a reader that was away for longer must not miss one.
    """
    wanted = {"generation": generation, "upto": upto, "kept": DELETIONS_KEPT, "most": ROWS_A_SLICE}
    with database.snapshot() as connection:
        if connection.scalar(_SETTLED, wanted) is None:
            return False
    with database.transaction() as connection:
        point = connection.scalar(_SETTLED, wanted)  # another process may have been here since
        if point is not None:
            connection.execute(_FORGET, {"generation": generation, "point": point})
            database.keep_note(f"{FORGOTTEN}{generation}", str(point))
    return True


def _remove_some(connection: Connection, generation: int) -> None:
    for statement in (_VECTORS, _JOBS, _TOMBSTONES):
        if connection.execute(statement, {"generation": generation, "most": ROWS_A_SLICE}).rowcount:
            return
    for last in _REST:
        connection.exec_driver_sql(last, {"generation": generation})
