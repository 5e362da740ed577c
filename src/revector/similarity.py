"""Cosine similarity: unit rows, exact search, and everything above a threshold, on the kernels of the native core."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arrays import as_flags, as_float32, as_matrix, as_rows
from revector.errors import InvalidArgumentError, ShapeError

__all__ = ["ExactIndex", "cosine_range", "cosine_topk", "normalize"]

SearchPrecision = Literal["float32", "bfloat16", "int8"]

_PRECISIONS = ("float32", "bfloat16", "int8")


def normalize(x: Any, *, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Scale every row to unit L2 norm.

    Parameters
    ----------
    x : array_like of float, shape (n, d)
        Rows of float16, bfloat16, float32 and float64 are read in place; norms outside float32's range are computed in
        float64.
    out : ndarray of float32, shape (n, d), optional
        Where to write; may be `x` itself.

    Returns
    -------
    ndarray of float32, shape (n, d)
        ``x / ||x||`` row by row; zero rows stay zero.

    Raises
    ------
    ShapeError
        `x` is not a matrix, or `out` has another shape.
    NumericalError
        A row holds NaN or infinity; the message names the first one seen.
    """
    rows = as_matrix(x, "x")
    if out is None:
        out = np.empty(rows.shape, np.float32)
    elif out.dtype != np.float32:
        raise InvalidArgumentError(f"out has dtype {out.dtype}, expected float32")
    _core.normalize(rows, out)
    return out


def cosine_topk(
    queries: Any,
    documents: Any,
    k: int,
    *,
    precision: SearchPrecision = "float32",
    allowed: Any = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the `k` documents of highest cosine similarity for every query.

    In float32 the results are exact: scores are cosines of the rows as given, computed in float64 and rounded once, and
    no document with a higher one is missing. (Candidates come from int8 products with a bound on their error; whatever
    the bound leaves undecided is scored.)

    Parameters
    ----------
    queries : array_like of float, shape (q, d)
    documents : array_like of float or int8, shape (n, d)
        Neither needs unit rows. float32, float16, bfloat16 and int8 are read in place.
    k : int
        Results a query; at most as many as there are documents (that are allowed) are returned.
    precision : {"float32", "bfloat16", "int8"}
        The lower ones return the scores that products of that format give.
    allowed : array_like of bool, shape (n,), optional
        Which documents may be found.
    device : {"cpu", "cuda"}
        Where to compute. The GPU knows float32 and no `allowed`.

    Returns
    -------
    scores : ndarray of float32, shape (q, min(k, n))
        Best first; ties by lower index.
    indices : ndarray of int64, shape (q, min(k, n))
        Row numbers of `documents`.

    Raises
    ------
    ShapeError
        The dimensions differ, or an input is not a matrix, or `allowed` is of another length.
    InvalidArgumentError
        `k` is below 1, or the precision or the device is unknown.
    NumericalError
        A row holds NaN or infinity.
    DeviceUnavailableError
        There is no CUDA plugin or no GPU.
    """
    _check_precision(precision)
    if device not in ("cpu", "cuda"):
        raise InvalidArgumentError(f"device is {device!r}, expected 'cpu' or 'cuda'")
    q, n = as_float32(queries, "queries"), as_rows(documents, "documents")
    if q.shape[1] != n.shape[1]:
        raise ShapeError(f"queries have {q.shape[1]} columns and documents {n.shape[1]}, expected the same")
    flags = as_flags(allowed, n.shape[0], "allowed")
    k = _most_results(k, n.shape[0], flags)
    if k == 0:
        return _no_results(len(q))
    return _core.cosine_topk(q, n, k, precision, flags, device)


def cosine_range(
    queries: Any, documents: Any, threshold: float, *, allowed: Any = None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Find all documents whose cosine similarity is at least `threshold`, exactly as `cosine_topk` computes it.

    Parameters
    ----------
    queries, documents, allowed
        As for `cosine_topk`.
    threshold : float
        From -1 (everything) to 1.

    Returns
    -------
    scores : ndarray of float32, shape (found,)
        Of all queries, one after the other; of each, best first.
    indices : ndarray of int64, shape (found,)
        Row numbers of `documents`.
    offsets : ndarray of int64, shape (q + 1,)
        Query i has the entries ``offsets[i]:offsets[i + 1]``.

    Raises
    ------
    ShapeError, NumericalError
        As for `cosine_topk`.
    InvalidArgumentError
        The threshold is NaN.
    """
    q, n = as_float32(queries, "queries"), as_rows(documents, "documents")
    return _core.cosine_range(q, n, threshold, as_flags(allowed, n.shape[0], "allowed"))


class ExactIndex:
    """Exact cosine search over documents that are packed once. Safe to search from several threads.

    Results are those of `cosine_topk`; packing is paid for once, and search runs at the rate of the integer units.

    Parameters
    ----------
    documents : array_like of float or int8, shape (n, d)
        For "float32" the index keeps the array (not a copy, where dtype and layout fit) and reads it in every search:
        it must not change.
    precision : {"float32", "bfloat16", "int8"}
        As for `cosine_topk`. The lower ones keep no reference to the rows; 2 d or d bytes a document are all they hold.

    Raises
    ------
    ShapeError, InvalidArgumentError, NumericalError
        As for `cosine_topk`.
    """

    def __init__(self, documents: Any, *, precision: SearchPrecision = "float32") -> None:
        _check_precision(precision)
        self.precision = precision
        self._index = _core.ExactIndex(as_rows(documents, "documents"), precision)

    def __len__(self) -> int:
        return self._index.size

    @property
    def dimension(self) -> int:
        """Columns of the documents."""
        return self._index.dimension

    def search(self, queries: Any, k: int, *, allowed: Any = None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best documents of every query; see `cosine_topk`."""
        q, flags = self._checked(queries, allowed)
        k = _most_results(k, len(self), flags)
        return self._index.search(q, k, flags) if k > 0 else _no_results(len(q))

    def range(
        self, queries: Any, threshold: float, *, allowed: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Find all documents from a similarity up; see `cosine_range`."""
        q, flags = self._checked(queries, allowed)
        return self._index.range(q, threshold, flags)

    def _checked(self, queries: Any, allowed: Any) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        q = as_float32(queries, "queries")
        if q.shape[1] != self.dimension:
            raise ShapeError(f"queries have {q.shape[1]} columns and documents {self.dimension}, expected the same")
        return q, as_flags(allowed, len(self), "allowed")


def _check_precision(precision: str) -> None:
    if precision not in _PRECISIONS:
        raise InvalidArgumentError(f"precision is {precision!r}, expected one of {', '.join(map(repr, _PRECISIONS))}")


def _most_results(k: int, n: int, flags: NDArray[np.uint8] | None) -> int:
    if k < 1:
        raise InvalidArgumentError(f"k is {k}, expected at least 1")
    return min(k, n if flags is None else int(np.count_nonzero(flags)))


def _no_results(queries: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)
