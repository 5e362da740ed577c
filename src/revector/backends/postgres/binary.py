"""Keys and matrices in PostgreSQL's binary formats: thousands of rows at a time, without a Python object for each.

pgvector sends a vector as its dimension (int16), a zero (int16) and its values (float32), all big-endian. An array is a
header, then each element's length and bytes (``vector_send`` and ``array_send`` in their sources).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from revector.backends.contracts import Keys
from revector.errors import NumericalError

Matrix = NDArray[np.float32]

_INT8, _INT8_ARRAY = 20, 1016  # the numbers of bigint and bigint[], which are the same everywhere
_OVERFLOW, _UNDERFLOW = 65_520.0, 2.0**-25
"""What half precision rounds to infinity, and to 0: so much and more, so little and less."""
_TYPES = "SELECT 'vector'::regtype::oid::int8, 'vector[]'::regtype::oid::int8"


class _Binary:
    """A parameter that is in the binary format already."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent


class KeyArray(_Binary):
    """Keys as a parameter of type ``bigint[]``."""

    def __init__(self, keys: Keys) -> None:
        n = len(keys)
        rows = np.empty(n, [("bytes", ">i4"), ("key", ">i8")])
        rows["bytes"], rows["key"] = 8, np.asarray(keys, np.int64)
        super().__init__(_array_header(n, _INT8) + rows.tobytes())


class VectorArray(_Binary):
    """A matrix, shape (n, d), as a parameter of type ``vector[]``; `oid` from `vector_oid`."""

    def __init__(self, matrix: Matrix, oid: int) -> None:
        n, dimension = matrix.shape
        rows = np.empty(n, [("bytes", ">i4"), *_vector(dimension)])
        rows["bytes"], rows["dimension"], rows["unused"] = 4 + 4 * dimension, dimension, 0
        rows["values"] = matrix
        super().__init__(_array_header(n, oid) + rows.tobytes())


class _BinaryDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Binary) -> bytes:
        return obj.sent


class _KeyArrayDumper(_BinaryDumper):
    oid = _INT8_ARRAY


psycopg.adapters.register_dumper(KeyArray, _KeyArrayDumper)


def vector_oid(connection: psycopg.Connection[Any]) -> int:
    """Return the number of the type ``vector``, and let the connection send a `VectorArray`."""
    found = connection.execute(_TYPES).fetchone()
    assert found is not None
    element, array = found
    connection.adapters.register_dumper(VectorArray, type("VectorArrayDumper", (_BinaryDumper,), {"oid": array}))
    return int(element)


def matrix_of(sent: Sequence[bytes], dimension: int) -> Matrix:
    """Return the vectors that ``vector_send`` gave, shape (n, dimension)."""
    stored = np.frombuffer(b"".join(sent), _vector(dimension))
    return stored["values"].astype(np.float32).reshape(len(sent), dimension)


def require_half(keys: Keys, matrix: Matrix) -> None:
    """Raise `NumericalError` unless half precision can hold vectors, shape (n, d), none of them as all zeros."""
    highest = np.abs(matrix).max(axis=1, initial=0)
    broken = np.flatnonzero((highest >= _OVERFLOW) | ((highest > 0) & (highest <= _UNDERFLOW)))
    if len(broken):
        raise NumericalError(
            f"{len(broken)} of {len(matrix)} vectors do not fit into halfvec, whose numbers go from 6e-8 to 65504; the "
            f"largest of document {keys[broken[0]]} is {highest[broken[0]]:g}; nothing was written. Use a model of "
            "unit vectors, or a column of type vector"
        )


def _vector(dimension: int) -> list[Any]:
    return [("dimension", ">i2"), ("unused", ">i2"), ("values", ">f4", (dimension,))]


def _array_header(n: int, oid: int) -> bytes:
    """Say how many dimensions there are, that nothing is null, the elements' type; then length and first index."""
    return np.array([1, 0, oid, n, 1] if n else [0, 0, oid], ">u4").tobytes()
