"""``/feedback``: what readers say of the hits of a search that had a ``key``."""

from __future__ import annotations

from typing import Any

from revector.gateway.bodies import known_fields
from revector.gateway.failures import RequestError

__all__ = ["feedback_of"]

_FIELDS = ("query_id", "document_id", "kind", "value")


def feedback_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Collection.record_feedback`, which checks them."""
    fields = known_fields(body, *_FIELDS)
    for name in ("query_id", "document_id"):
        if name not in fields:
            raise RequestError(f"the field {name!r} is missing", param=name)
    return fields
