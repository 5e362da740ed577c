"""``/feedback``: what readers say of the hits of a search that had a ``key``."""

from __future__ import annotations

from typing import Any

from revector.gateway.bodies import known_fields

__all__ = ["feedback_of"]

_FIELDS = ("query_id", "document_id", "kind", "value")


def feedback_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Collection.record_feedback`, which checks them."""
    return known_fields(body, *_FIELDS, needed=("query_id", "document_id"))
