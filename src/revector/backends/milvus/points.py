"""Points as rows of Milvus, and the expressions that name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from revector.backends.beside.store import Matrix, Page
from revector.backends.milvus.collections import Collection
from revector.errors import StoreError

__all__ = ["after", "among", "key_of", "page_of", "rows_of", "slices"]

_MOST_ROWS, _MOST_BYTES = 1_000, 16 << 20  # a server takes 64 MiB at once
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})
_LARGEST = 2**63


def key_of(collection: Collection, id_: str) -> str | int | None:
    """Return the primary key of an id, or ``None`` if there can be no such point."""
    if not collection.has_numbers:
        return id_
    try:
        number = int(id_)
    except ValueError:
        return None
    return number if str(number) == id_ and -_LARGEST <= number < _LARGEST else None


def among(collection: Collection, ids: Iterable[str]) -> str:
    """Return the expression that holds of points with certain ids."""
    keys = [key_of(collection, id_) for id_ in ids]
    return f"{collection.key} in [{', '.join(_literal(key) for key in keys if key is not None)}]"


def after(collection: Collection, place: str | int) -> str:
    """Return the expression that holds of points whose ids come after one."""
    return f"{collection.key} > {_literal(place)}"


def rows_of(
    collection: Collection,
    ids: Sequence[str],
    vectors: Matrix,
    payloads: Sequence[Mapping[str, Any]],
    url: str,
) -> list[dict[str, Any]]:
    """Return points as rows.

    Raises
    ------
    StoreError
        An id is not a number where numbers are expected, or a payload has a field of a name that is taken.
    """
    rows = []
    for id_, vector, payload in zip(ids, vectors, payloads, strict=True):
        key = key_of(collection, id_)
        if key is None:
            raise StoreError(f"{url}: the ids of {collection.name!r} are whole numbers of 64 bits, got {id_!r}")
        own = {collection.key: key, collection.vector: np.array(vector, np.float32)}
        if taken := own.keys() & payload.keys():
            raise StoreError(f"{url}: the payload of a point has a field {min(taken)!r}, which is taken; rename it")
        rows.append({**payload, **own})
    return rows


def slices(rows: Sequence[Mapping[str, Any]], dimension: int) -> Iterator[list[Mapping[str, Any]]]:
    """Yield rows in batches that a server takes at once."""
    batch: list[Mapping[str, Any]] = []
    n_bytes = 0
    for row in rows:
        size = 4 * dimension + sum(4 * len(value) for value in row.values() if isinstance(value, str))
        if batch and (len(batch) == _MOST_ROWS or n_bytes + size > _MOST_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(row)
        n_bytes += size
    if batch:
        yield batch


def page_of(collection: Collection, rows: Iterable[Mapping[str, Any]], vectors: bool) -> Page:
    """Return rows as points."""
    found = [dict(row) for row in rows]
    ids = [str(row.pop(collection.key)) for row in found]
    matrix = None
    if vectors:
        blocks = [row.pop(collection.vector) for row in found]
        matrix = np.array(blocks, np.float32).reshape(len(blocks), collection.dimension)
    return Page(ids, found, matrix)


def _literal(key: str | int) -> str:
    """Return a key as expressions write it; whatever is not escaped stands for itself there."""
    return str(key) if isinstance(key, int) else f'"{key.translate(_ESCAPED)}"'
