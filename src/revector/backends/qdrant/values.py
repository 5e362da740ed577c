"""Ids, vectors and points, as Qdrant's client takes and gives them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from revector.backends.beside.store import Page
from revector.errors import StoreError

__all__ = ["asked_vectors", "page_of", "point_id", "vectors_of"]


def point_id(id_: str) -> int | str:
    """Return an id as Qdrant takes it.

    Raises
    ------
    StoreError
        It is neither a number nor a UUID.
    """
    if id_.isascii() and id_.isdigit():
        return int(id_)
    try:
        return str(uuid.UUID(id_))
    except ValueError as error:
        raise StoreError(f"the id {id_!r} is neither a whole number nor a UUID, which points of Qdrant have") from error


def asked_vectors(searched: str) -> Any:
    """Return what asks for the searched vector: by its name, if it has one."""
    return [searched] if searched else True


def vectors_of(searched: str, row: list[float], others: Mapping[str, Any] | None) -> Any:
    """Return the vectors of a point; the only one of a collection may have no name."""
    return {searched: row, **(others or {})} if searched or others else row


def page_of(found: Sequence[Any], searched: str, dimension: int | None, place: Any = None) -> Page:
    """Return points as a page, with their vectors if a dimension is given."""
    matrix = None
    if dimension is not None:
        rows = [each.vector[searched] if isinstance(each.vector, dict) else each.vector for each in found]
        matrix = np.array(rows, np.float32).reshape(len(rows), dimension)
    return Page([str(each.id) for each in found], [dict(each.payload or {}) for each in found], matrix, place)
