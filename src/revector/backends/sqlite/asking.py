"""Asking for the vectors of a slice of documents in one statement."""

from __future__ import annotations

from revector.backends.asking import priority_by
from revector.ledger.dialect import enqueue_from, turn_of

_HAS_HIGH_VALUE = """
metadata <> '{}' AND (json_type(metadata, '$.high_value') = 'true'
    OR json_extract(metadata, '$.value') = 'high' OR json_extract(metadata, '$.priority') = 'high')
"""
_PRIORITY, _TURN = priority_by(_HAS_HIGH_VALUE), turn_of("documents.key", ":generation")
ASK = enqueue_from(
    f"""
    SELECT :generation, documents.key, documents.content_hash, {_PRIORITY}, {_TURN}
    FROM documents
    LEFT JOIN vectors ON vectors.document_key = documents.key AND vectors.generation = :generation
    LEFT JOIN access ON access.document_key = documents.key
    WHERE documents.key > :after AND documents.key <= :until
    AND vectors.content_hash IS NOT documents.content_hash
    """
)
"""The parameters are a generation, a slice of keys, and the fields of an `Order`."""
