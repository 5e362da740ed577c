"""A point as a hash: its vector is a blob, text is text, and what else JSON can hold is written as JSON.

A hash knows nothing but bytes. So the names of the fields that hold JSON are in a field of their own, and a number
stays one that a numeric index reads. Whatever is not text, as other vectors are, is none of the payload: it is carried
along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.errors import StoreError

__all__ = ["JSON_FIELDS", "VECTOR", "hash_of", "others_of", "payload_of", "vector_of"]

VECTOR = "_vector"
"""The field of the vector, in collections that were made here."""
JSON_FIELDS = "_revector_json"
_FLOAT32 = np.dtype("<f4")


def hash_of(vector: NDArray[np.float32], payload: Mapping[str, Any], vector_field: str) -> dict[str, str | bytes]:
    """Return the fields of a point.

    Raises
    ------
    StoreError
        The payload has a field of a name that is taken.
    """
    if taken := {vector_field, JSON_FIELDS} & payload.keys():
        raise StoreError(f"the payload of a point has a field {min(taken)!r}, which is taken; rename it")
    texts = {name: value for name, value in payload.items() if isinstance(value, str)}
    others = {name: json.dumps(value, ensure_ascii=False) for name, value in payload.items() if name not in texts}
    marks = {JSON_FIELDS: json.dumps(sorted(others), ensure_ascii=False)} if others else {}
    return {vector_field: vector.astype(_FLOAT32).tobytes(), **texts, **others, **marks}


def payload_of(fields: Mapping[bytes, bytes], vectors: set[str]) -> dict[str, Any]:
    """Return what of a hash is not a vector, nor bytes.

    Parameters
    ----------
    fields : mapping of bytes to bytes
    vectors : set of str
        Names of fields that hold vectors.
    """
    marked = set(json.loads(fields.get(JSON_FIELDS.encode(), b"[]")))
    payload = {}
    for name, value in fields.items():
        field, text = _text(name), _text(value)
        if field is not None and text is not None and field not in vectors and field != JSON_FIELDS:
            payload[field] = _value(text) if field in marked else text
    return payload


def others_of(fields: Mapping[bytes, bytes], vector_field: str, vectors: set[str]) -> dict[bytes, bytes]:
    """Return what of a hash is in no payload, and is not the vector that is searched either."""
    own = {vector_field.encode(), JSON_FIELDS.encode()}
    payload = {name.encode() for name in payload_of(fields, vectors)}
    return {name: value for name, value in fields.items() if name not in own | payload}


def vector_of(fields: Mapping[bytes, bytes], vector_field: str, dimension: int) -> NDArray[np.float32]:
    """Return the vector of a hash; NaN where it has none of that dimension."""
    blob = fields.get(vector_field.encode(), b"")
    if len(blob) != dimension * _FLOAT32.itemsize:
        return np.full(dimension, np.nan, np.float32)
    return np.frombuffer(blob, _FLOAT32).astype(np.float32)


def _value(text: str) -> Any:
    """Return what a marked field holds; an application may have written text there since."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
