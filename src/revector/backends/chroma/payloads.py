"""What Chroma keeps of a point beside its vector: a document, and metadata that are scalars or lists of one kind.

A field whose value Chroma would refuse, or give back as something else, is kept in the metadata all the same, as JSON
under `KEPT`: nothing is lost, but Chroma cannot filter by it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["DIMENSION", "KEPT", "Stored", "field_of", "metadata_like", "payload_of", "stored_of"]

KEPT = "revector_json"
DIMENSION = "revector_dimension"
"""Of a collection, in its metadata: an empty one knows none by itself."""
_FIELD = "revector_text"
_DOCUMENT, _TEXT = "document", "text"
_RESERVED = ("chroma:", "#")
_LARGEST = 2**63

Stored: TypeAlias = "tuple[str | None, dict[str, Any] | None]"
"""A document and its metadata, as Chroma takes them: both may be missing, and no metadata are empty."""


def field_of(metadata: Mapping[str, Any] | None) -> str:
    """Return which field of a payload is the document, by the metadata of a collection.

    It is ``text`` in those that revector made, and ``document`` in those of others.
    """
    return str((metadata or {}).get(_FIELD, _DOCUMENT))


def metadata_like(metadata: Mapping[str, Any] | None, dimension: int, *, is_adopted: bool) -> dict[str, Any]:
    """Return the metadata of a new collection, with those of the one that it is like.

    The graph's parameters are left out, which earlier releases of Chroma kept there.
    """
    kept = {name: value for name, value in (metadata or {}).items() if not name.startswith("hnsw:")}
    return {**kept, _FIELD: field_of(metadata) if is_adopted else _TEXT, DIMENSION: dimension}


def stored_of(payload: Mapping[str, Any], field: str) -> Stored:
    """Return a payload as Chroma takes it."""
    document = payload.get(field)
    rest = {name: value for name, value in payload.items() if name != field or not isinstance(document, str)}
    metadata = {name: value for name, value in rest.items() if _fits(name, value)}
    if kept := {name: value for name, value in rest.items() if name not in metadata}:
        metadata[KEPT] = json.dumps(kept, ensure_ascii=False)
    return document if isinstance(document, str) else None, metadata or None


def payload_of(document: str | None, metadata: Mapping[str, Any] | None, field: str) -> dict[str, Any]:
    """Return what `stored_of` was given."""
    payload = dict(metadata or {})
    payload |= json.loads(payload.pop(KEPT, "{}"))
    return payload if document is None else {field: document, **payload}


def _fits(name: str, value: Any) -> bool:
    if not name or name == KEPT or name.startswith(_RESERVED):
        return False
    if isinstance(value, list):
        return bool(value) and len(set(map(type, value))) == 1 and all(map(_is_scalar, value))
    return _is_scalar(value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):  # of 64 bits: Chroma makes a float of a larger one
        return -_LARGEST <= value < _LARGEST
    return isinstance(value, str)
