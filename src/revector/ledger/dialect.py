"""What the databases of a ledger say in different ways, as SQLite says it."""

from __future__ import annotations

import sqlalchemy as sa

RUN = 64
"""Neighbouring documents that have their turn together."""
_PRIME = (1 << 31) - 1  # products of two numbers below it fit into 64 bits


def turn_of(key: str, generation: str) -> str:
    """Return the SQL of a document's turn among those of its priority: the lowest number comes first.

    It is a pseudo-random number below 2^31 of the *run* of 64 neighbouring keys that the document belongs to, another
    one in each generation. Random, since a generation that is half full should hold a fair share of the old and of the
    new documents; of runs, since neighbours share the pages of every table and index: a random order of documents would
    write a page a row, which at ten million documents is 100 GB of log.

    Parameters
    ----------
    key, generation : str
        SQL of the document's key (not negative) and of the generation: names of columns, or bound parameters. Every
        step stays below 2^63.
    """
    place = f"(({key} / {RUN} % {_PRIME} * 48271 + {generation} * 69621) % {_PRIME})"
    return f"{place} * {place} % {_PRIME}"


def enqueue_from(rows: str) -> sa.TextClause:
    """Return the statement that asks for vectors; a job for the same text that waits, runs or has failed stays.

    Parameters
    ----------
    rows : str
        SQL of generation, document_key, content_hash, priority and `turn_of` the document: ``VALUES (…)``, or a
        ``SELECT … WHERE …`` (SQLite wants the ``WHERE``, be it ``WHERE true``).
    """
    return sa.text(
        f"""
        INSERT INTO jobs (generation, document_key, content_hash, priority, turn) {rows}
        ON CONFLICT (generation, document_key) DO UPDATE SET
            content_hash = excluded.content_hash, priority = excluded.priority, turn = excluded.turn,
            state = 'pending', attempts = 0, unfinished = 0, not_before = 0, error = NULL,
            lease_owner = NULL, lease_until = NULL
        WHERE jobs.content_hash <> excluded.content_hash OR jobs.state = 'done'
        """
    )


NEXT = sa.text(
    """
    SELECT json_group_array(document_key) FROM (
        SELECT document_key FROM jobs
        WHERE generation = :generation AND state = 'pending' AND not_before = 0 AND unfinished = 0
        ORDER BY priority, turn, document_key LIMIT :most
    )
    """
)
"""The keys of the next jobs that are due and that no worker died with, as JSON.

What is claimed is asked for in one row, here and in `LEASED`: the driver gives the interpreter up at each one.
"""

LEASE = sa.text(
    """
    UPDATE jobs SET state = 'leased', lease_owner = :owner, lease_until = :until, unfinished = unfinished + 1
    WHERE generation = :generation AND document_key IN (SELECT value FROM json_each(:keys))
    """
)
"""Lease these jobs; `unfinished` until somebody ends the lease."""

LEASED = sa.text(
    """
    SELECT json_group_array(json_array(document_key, content_hash, priority, attempts, unfinished - 1)) FROM (
        SELECT * FROM jobs WHERE generation = :generation AND document_key IN (SELECT value FROM json_each(:keys))
        ORDER BY priority, document_key
    )
    """
)

COMPLETE = sa.text(
    """
    DELETE FROM jobs WHERE generation = :generation AND state <> 'done' AND (document_key, content_hash) IN (
        SELECT CAST(key AS INTEGER), value FROM json_each(:hashes)
    )
    """
)
"""End jobs for these texts, in one statement for the same reason; `hashes` is a JSON object, by key."""

CAP = sa.text("UPDATE jobs SET lease_until = :longest WHERE lease_until > :longest")

EXPIRE = sa.text("UPDATE jobs SET state = 'pending', lease_owner = NULL, lease_until = NULL WHERE lease_until <= :now")

RETRY_DUE = sa.text(
    """
    UPDATE jobs SET not_before = 0
    WHERE generation = :generation AND state = 'pending' AND not_before > 0 AND not_before <= :now
    """
)
"""Give those that waited for another attempt their turn."""

PRUNE = sa.text(
    """
    DELETE FROM jobs WHERE generation = :generation AND document_key IN (
        SELECT document_key FROM jobs WHERE generation = :generation AND state = 'done' LIMIT :most
    )
    """
)
"""Remove some of the jobs that an earlier release left as done."""

FORGET_SOME = sa.text(
    """
    DELETE FROM jobs WHERE generation = :generation AND document_key IN (
        SELECT document_key FROM jobs WHERE generation = :generation ORDER BY document_key LIMIT :most
    )
    """
)
"""Remove some of the jobs of a generation."""

_LEASED = "FROM jobs WHERE +generation = :generation AND lease_until >= 0"
"""The unary + keeps SQLite from looking for them among all jobs of the generation."""
_COUNT_IN = "SELECT count(*) FROM jobs WHERE generation = :generation AND state = '{}'"
COUNT = sa.text(
    f"""
    SELECT ({_COUNT_IN.format("pending")}) AS pending, (SELECT count(*) {_LEASED}) AS leased,
    ({_COUNT_IN.format("failed")}) AS failed
    """
)
"""Count the jobs of each state, in an index of its own: 40 ns each."""

NEXT_DUE = sa.text(
    f"""
    SELECT min(at) FROM (
        SELECT min(not_before) AS at FROM jobs WHERE generation = :generation AND state = 'pending'
        UNION ALL SELECT min(lease_until) {_LEASED}
    ) AS waiting
    """
)
"""When the next job can be claimed: now if 0, ``NULL`` where none is outstanding."""
