"""What every store of vectors refuses in the same words."""

from __future__ import annotations

from revector.backends.beside.store import Matrix
from revector.errors import StoreError

__all__ = ["require_fitting"]


def require_fitting(url: str, name: str, vectors: Matrix, dimension: int) -> None:
    """Raise `StoreError` if vectors, shape (n, d), have another dimension than those of a physical collection."""
    if len(vectors) and vectors.shape[1] != dimension:
        raise StoreError(
            f"{url}: the vectors have {vectors.shape[1]} dimensions, those of {name!r} {dimension}; encode with the "
            "model that made them"
        )
