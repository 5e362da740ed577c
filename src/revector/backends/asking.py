"""The default rule of priorities as a database decides by it, one document at a time."""

from __future__ import annotations

from revector.backends.contracts.order import (
    PLACES,
    PRIORITY_QUERIED,
    PRIORITY_REST,
    PRIORITY_SAMPLE,
    PRIORITY_UPDATED,
    PRIORITY_VALUED,
)

_PLACE = f"((documents.key % {PLACES} * :factor + :shift) % {PLACES})"


def priority_by(has_high_value: str) -> str:
    """Return the SQL of what `Order.priority` says of a row of `documents` and its `access`.

    Parameters
    ----------
    has_high_value : str
        SQL of whether its metadata say so, which each database reads in its own way.
    """
    return f"""
    CASE
        WHEN {_PLACE} * {_PLACE} % {PLACES} < :sampled_below THEN {PRIORITY_SAMPLE}
        WHEN hits >= :queried_from THEN {PRIORITY_QUERIED}
        WHEN updated_at >= :changed_from THEN {PRIORITY_UPDATED}
        WHEN failures > 0 OR {has_high_value} THEN {PRIORITY_VALUED}
        ELSE {PRIORITY_REST}
    END
    """
