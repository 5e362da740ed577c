"""Where a benchmark has to reach below the public surface: the only lines of it that follow the schema.

Ten million documents are written straight into the file, and jobs of a migration are taken away by the million, since
what is measured is how the rest copes with that many, not how they came to be there. And vectors are landed by SQL
alone, which no worker can outrun.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from revector.backends.sqlite.database import Database
from revector.ledger.owners import new_owner
from revector.ledger.records import Ledger

LEASE_SECONDS = 600.0
_CACHE_KIB = 2 << 20
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'documents' AND sql IS NOT NULL"
_INSERT = "INSERT INTO documents (id, content_hash, updated_at, metadata, text) VALUES (?, ?, ?, '{}', ?)"
_SETTLE = """
DELETE FROM jobs WHERE generation = :generation AND document_key IN (
    SELECT document_key FROM jobs WHERE generation = :generation AND state = 'pending'
    ORDER BY priority, document_key LIMIT :n
)
"""
_LEASE = """
UPDATE jobs SET state = 'leased', lease_owner = :owner, lease_until = :until, unfinished = 1
WHERE generation = :generation AND document_key IN (
    SELECT document_key FROM jobs WHERE generation = :generation AND state = 'pending' AND not_before = 0
    AND unfinished = 0 ORDER BY priority, turn, document_key LIMIT :n
)
"""
_LAND = """
INSERT INTO vectors (document_key, generation, seq, embedded_at, content_hash, vector)
SELECT document_key, generation, 1, 0, content_hash, randomblob(:width) FROM jobs
WHERE generation = :generation AND lease_until > 0
"""
_END = "DELETE FROM jobs WHERE generation = :generation AND lease_until > 0"


@contextmanager
def _unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one large transaction that need not survive a crash."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        with connection:
            yield connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def insert_documents(path: Path, texts: Iterable[str]) -> None:
    """Insert documents called ``0``, ``1``, … without vectors into an empty collection; its indexes are made anew."""
    now = time.time()
    rows = ((str(i), hashlib.sha256(text.encode()).hexdigest(), now, text) for i, text in enumerate(texts))
    with _unguarded(path) as connection:
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.executemany(_INSERT, rows)
        for _, statement in indexes:
            connection.execute(statement)


def settle(path: Path, generation: int, n: int) -> None:
    """End the next `n` jobs, in the order in which they would be claimed."""
    with _unguarded(path) as connection:
        done = connection.execute(_SETTLE, {"generation": generation, "n": n}).rowcount
    assert done == n, f"{done} jobs taken away, not {n}"


def plain_seconds(path: Path, generation: int, width: int, unit: int) -> float:
    """Lease all jobs and land vectors of `width` bytes with nothing but SQL, a transaction each a unit."""
    fixed = {"generation": generation, "width": width, "n": unit, "owner": new_owner(), "until": LEASE_SECONDS}
    begin = time.perf_counter()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        left = unit
        while left:
            with connection:
                left = connection.execute(_LEASE, fixed).rowcount
            with connection:
                connection.execute(_LAND, fixed)
                connection.execute(_END, fixed)
    return time.perf_counter() - begin


def claims(path: Path, generation: int, size: int, times: int) -> list[float]:
    """Return the seconds of some claims in a row; their jobs are given back."""
    database = Database(path)
    try:
        return list(islice(_claims(Ledger(database), generation, size), times))
    finally:
        database.close()


def _claims(ledger: Ledger, generation: int, size: int) -> Iterator[float]:
    owner = new_owner()
    try:
        while True:
            begin = time.perf_counter()
            claimed = ledger.jobs.claim(generation, owner, size, LEASE_SECONDS)
            yield time.perf_counter() - begin
            assert len(claimed) == size, f"{len(claimed)} jobs claimed, not {size}"
    finally:
        ledger.jobs.release(owner)
