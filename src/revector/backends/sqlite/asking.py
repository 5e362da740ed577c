"""Asking for the vectors of a slice of documents in one statement."""

from __future__ import annotations

from revector.backends.contracts.order import (
    PLACES,
    PRIORITY_QUERIED,
    PRIORITY_REST,
    PRIORITY_SAMPLE,
    PRIORITY_UPDATED,
    PRIORITY_VALUED,
)
from revector.ledger.dialect import enqueue_from, turn_of

_PLACE = f"((documents.key % {PLACES} * :factor + :shift) % {PLACES})"
_HAS_HIGH_VALUE = """
metadata <> '{}' AND (json_type(metadata, '$.high_value') = 'true'
    OR json_extract(metadata, '$.value') = 'high' OR json_extract(metadata, '$.priority') = 'high')
"""
_PRIORITY = f"""
CASE
    WHEN {_PLACE} * {_PLACE} % {PLACES} < :sampled_below THEN {PRIORITY_SAMPLE}
    WHEN hits >= :queried_from THEN {PRIORITY_QUERIED}
    WHEN updated_at >= :changed_from THEN {PRIORITY_UPDATED}
    WHEN failures > 0 OR {_HAS_HIGH_VALUE} THEN {PRIORITY_VALUED}
    ELSE {PRIORITY_REST}
END
"""  # what `Order.priority` says
ASK = enqueue_from(
    f"""
    SELECT :generation, documents.key, documents.content_hash, {_PRIORITY}, {turn_of("documents.key", ":generation")}
    FROM documents
    LEFT JOIN vectors ON vectors.document_key = documents.key AND vectors.generation = :generation
    LEFT JOIN access ON access.document_key = documents.key
    WHERE documents.key > :after AND documents.key <= :until
    AND vectors.content_hash IS NOT documents.content_hash
    """
)
"""The parameters are a generation, a slice of keys, and the fields of an `Order`."""
