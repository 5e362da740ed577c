"""Rows of a user's table that have no vector among those that serve, or not yet."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from revector.backends.postgres.adoption.fragments import Captured, fragments
from revector.backends.postgres.schema import vectors_table

__all__ = ["NOTHING", "VECTOR", "Lacking", "count_lacking", "outlast"]

_MOST_AWAITED = 1_000
_LOOK_EVERY_SECONDS = 0.1

VECTOR = """
LEFT JOIN {vectors} AS v ON v.document_key = r.key AND (v.content_hash = r.content_hash OR NOT r.has_text)
"""
"""That of a row's present text; where it has no text, the one by which it is found."""
_COUNT = f"""
SELECT count(*), count(*) FILTER (WHERE r.has_text AND v.document_key IS NULL),
    count(*) FILTER (WHERE NOT r.has_text AND v.document_key IS NULL)
FROM {{schema}}.rows AS r {VECTOR}
"""
_UNKNOWN = """
SELECT count(*) FROM {table} AS t WHERE NOT EXISTS (SELECT FROM {schema}.rows AS r WHERE {shadow_is_of_row})
"""
_WHICH = f"""
SELECT r.key, r.content_hash FROM {{schema}}.rows AS r {VECTOR}
WHERE r.has_text AND v.document_key IS NULL LIMIT {_MOST_AWAITED + 1}
"""
_STILL = f"""
SELECT r.key, r.content_hash FROM unnest({{awaited}}::bigint[], {{of_texts}}::text[]) AS given (key, hash)
JOIN {{schema}}.rows AS r ON r.key = given.key AND r.content_hash = given.hash {VECTOR}
WHERE v.document_key IS NULL
"""


class Lacking(NamedTuple):
    """Rows, and how many of them are not known to the collection, lack the vector of their text, or lack a text."""

    rows: int
    unknown: int
    missing: int
    without_text: int

    @property
    def lost(self) -> int:
        """How many would lose a vector which they should have."""
        return self.unknown + self.missing


NOTHING = Lacking(0, 0, 0, 0)
"""No rows."""


def count_lacking(connection: psycopg.Connection[Any], captured: Captured, generation: int) -> Lacking:
    """Count the rows without a vector in a generation; reads all of them."""
    ((known, missing, without_text),) = _ask(connection, _COUNT, captured, generation)
    ((unknown,),) = _ask(connection, _UNKNOWN, captured, generation)
    return Lacking(known + unknown, unknown, missing, without_text)


def outlast(
    connection: psycopg.Connection[Any], captured: Captured, generation: int, lacking: Lacking, seconds: float
) -> Lacking:
    """Return what lacks a vector even after a while, in which others may embed the texts that have just changed.

    A row whose text changes once more is not waited for: the vector that it lacks now is another one.
    """
    awaited = _ask(connection, _WHICH, captured, generation)
    if len(awaited) > _MOST_AWAITED:
        return lacking
    end = time.monotonic() + seconds
    while awaited and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_SECONDS)
        keys, hashes = (sql.Literal(list(part)) for part in zip(*awaited, strict=True))
        awaited = _ask(connection, _STILL, captured, generation, awaited=keys, of_texts=hashes)
    return lacking._replace(missing=len(awaited))


def _ask(
    connection: psycopg.Connection[Any], query: str, captured: Captured, generation: int, **others: sql.Composable
) -> list[tuple[Any, ...]]:
    vectors = sql.SQL("{}.{}").format(sql.Identifier(captured.collection), vectors_table(generation))
    return connection.execute(sql.SQL(query).format(**fragments(captured), vectors=vectors, **others)).fetchall()
