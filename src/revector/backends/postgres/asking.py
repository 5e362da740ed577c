"""Asking for the vectors of a slice of documents in one statement."""

from __future__ import annotations

from functools import lru_cache

import sqlalchemy as sa

from revector.backends.asking import priority_by
from revector.backends.postgres.schema import vectors_table
from revector.ledger.dialect import enqueue_from, turn_of

_HAS_HIGH_VALUE = """
metadata -> 'high_value' = 'true' OR metadata -> 'value' = '"high"' OR metadata -> 'priority' = '"high"'
"""
_PRIORITY, _TURN = priority_by(_HAS_HIGH_VALUE), turn_of("documents.key", "CAST(:generation AS bigint)")


@lru_cache(maxsize=64)
def ask_in(generation: int) -> sa.TextClause:
    """Return the statement that asks for the vectors of one generation.

    The parameters are the generation, a slice of keys (``after``, ``until``), and the fields of an `Order`.
    """
    return enqueue_from(
        f"""
        SELECT :generation, documents.key, documents.content_hash, {_PRIORITY}, {_TURN}
        FROM documents
        LEFT JOIN {vectors_table(generation).as_string()} AS stored ON stored.document_key = documents.key
        LEFT JOIN access ON access.document_key = documents.key
        WHERE documents.key > :after AND documents.key <= :until
        AND stored.content_hash IS DISTINCT FROM documents.content_hash
        ORDER BY documents.key
        """
    )
