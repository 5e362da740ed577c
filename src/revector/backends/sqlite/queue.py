"""What the ledger says to SQLite."""

from __future__ import annotations

import sqlalchemy as sa

from revector.ledger.dialect import NEXT, Condition, Dialect

_KEYS = "document_key IN (SELECT value FROM json_each(:keys))"


def _as_it_is(condition: Condition) -> Condition:
    """Return a condition: in SQLite nobody else writes meanwhile."""
    return condition


DIALECT = Dialect(
    next=sa.text(f"SELECT json_group_array(document_key) FROM ({NEXT})"),
    leased=sa.text(
        f"""
        SELECT json_group_array(json_array(document_key, content_hash, priority, attempts, unfinished - 1)) FROM (
            SELECT * FROM jobs WHERE generation = :of_generation AND {_KEYS} ORDER BY priority, document_key
        )
        """
    ),
    keys=sa.text(_KEYS),
    hashes=sa.text("(document_key, content_hash) IN (SELECT CAST(key AS INTEGER), value FROM json_each(:hashes))"),
    in_order=_as_it_is,
    unlocked=_as_it_is,
)
