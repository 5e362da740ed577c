"""What the databases of a ledger say in different ways; everything else is the same SQL in all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

RUN = 64
"""Neighbouring documents that have their turn together."""
_PRIME = (1 << 31) - 1  # products of two numbers below it fit into 64 bits

NEXT = """
SELECT document_key FROM jobs
WHERE generation = :of_generation AND state = 'pending' AND not_before = 0 AND unfinished = 0
ORDER BY priority, turn, document_key LIMIT :most
"""
"""The rows of `Dialect.next`."""

Condition: TypeAlias = "sa.ColumnElement[bool]"


@dataclass(frozen=True)
class Dialect:
    """What the databases of a ledger say in different ways.

    Keys and hashes go there, and claims come back, as JSON in one row: a row of its own for each would cost the driver
    more than the statement takes (that of SQLite gives the interpreter up at each one).

    Attributes
    ----------
    next : TextClause
        Return the keys of the next jobs of ``:of_generation`` that are due and that no worker died with, at most
        ``:most``. Nobody else returns them before the transaction has ended.
    leased : TextClause
        Return the jobs of ``:of_generation`` for the documents in ``:keys`` by their priority, each as a list of
        document_key, content_hash, priority, attempts, and how often it was unfinished before.
    keys : TextClause
        A condition on jobs: they are for the documents in ``:keys``, a list of keys.
    hashes : TextClause
        A condition on jobs: they are for the documents and texts in ``:hashes``, an object of content hashes by key.
    in_order : callable
        Turn a condition on jobs into one that locks them in the order of their keys before any of them is changed.
        Two that change the same jobs then wait for one another, and never both.
    unlocked : callable
        Turn a condition on jobs into one that leaves out those which somebody else has locked: they are in good hands,
        and whoever claims waits for nobody.
    """

    next: sa.TextClause
    leased: sa.TextClause
    keys: sa.TextClause
    hashes: sa.TextClause
    in_order: Callable[[Condition], Condition]
    unlocked: Callable[[Condition], Condition]


def turn_of(key: str, generation: str) -> str:
    """Return the SQL of a document's turn among those of its priority: the lowest number comes first.

    It is a pseudo-random number below 2^31 of the *run* of 64 neighbouring keys that the document belongs to, another
    one in each generation. Random, since a generation that is half full should hold a fair share of the old and of the
    new documents; of runs, since neighbours share the pages of every table and index: a random order of documents would
    write a page a row, which at ten million documents is 100 GB of log.

    Parameters
    ----------
    key, generation : str
        SQL of the document's key (not negative) and of the generation, both of 64 bits: names of columns, or parameters
        that are cast. Every step stays below 2^63.
    """
    place = f"(({key} / {RUN} % {_PRIME} * 48271 + {generation} * 69621) % {_PRIME})"
    return f"{place} * {place} % {_PRIME}"


def enqueue_from(rows: str) -> sa.TextClause:
    """Return the statement that asks for vectors; a job for the same text that waits, runs or has failed stays.

    Parameters
    ----------
    rows : str
        SQL of generation, document_key, content_hash, priority and `turn_of` the document: ``VALUES (…)``, or a
        ``SELECT … WHERE … ORDER BY document_key`` (SQLite wants the ``WHERE``, be it ``WHERE true``; where several ask
        at once, the order keeps them from waiting for one another both).
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
