"""Cosine similarity: unit rows, exact search, and everything above a threshold, on the kernels of the native core."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import choice, most_results, score
from revector._arrays import as_flags, as_matrix, as_queries, as_rows, writable_rows
from revector.errors import InvalidArgumentError, ShapeError
from revector.threads import thread_limit

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
        `x` is not a matrix, or `out` has another shape, or rows that are not contiguous.
    InvalidArgumentError
        `x` does not hold floats, or `out` is not an array of float32 that can be written.
    NumericalError
        A row holds NaN or infinity; the message names the first one seen.
    """
    rows = as_matrix(x, "x")
    unit = writable_rows(out, rows.shape)
    _core.normalize(rows, unit)
    return unit


def cosine_topk(
    queries: Any,
    documents: Any,
    k: int,
    *,
    precision: SearchPrecision = "float32",
    allowed: Any = None,
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the `k` documents of highest cosine similarity for every query.

    In float32 the results are exact: scores are cosines of the rows as given, computed in float64 and rounded once, and
    no document with a higher one is missing. (Candidates come from int8 products with a bound on their error; whatever
    the bound leaves undecided is scored.)

    Parameters
    ----------
    queries : array_like of float, shape (q, d)
        A single vector may stand alone: it is a matrix of one row.
    documents : array_like of float or int8, shape (n, d)
        Neither needs unit rows. float32, float16, bfloat16 and int8 are read in place.
    k : int
        Results a query, however many: no more are returned, or take memory, than there are documents (that are
        allowed).
    precision : {"float32", "bfloat16", "int8"}
        The lower ones return the scores that products of that format give.
    allowed : array_like of bool, shape (n,), optional
        Which documents may be found.
    device : {"cpu", "cuda"}
        Where to compute. The GPU knows float32 and no `allowed`.
    threads : int, optional
        At most this many of the core's threads; all by default. One keeps a short scan from waiting for a thread that
        the system does not run: on a busy machine it is the quicker one.

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
        `k` or `threads` is not an integer of at least 1, the precision or the device is unknown, or an array does not
        hold what it should.
    NumericalError
        A row holds NaN or infinity.
    DeviceUnavailableError
        There is no CUDA plugin or no GPU.
    """
    choice(precision, "precision", _PRECISIONS)
    choice(device, "device", ("cpu", "cuda"))
    n = as_rows(documents, "documents")
    q, flags = _queries(queries, n.shape[1]), as_flags(allowed, len(n), "allowed")
    k = most_results(k, _findable(len(n), flags))
    limit = thread_limit(threads)
    return _core.cosine_topk(q, n, k, precision, flags, device, limit) if k > 0 else _no_results(len(q))


def cosine_range(
    queries: Any, documents: Any, threshold: float, *, allowed: Any = None, threads: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Find all documents whose cosine similarity is at least `threshold`, exactly as `cosine_topk` computes it.

    Parameters
    ----------
    queries, documents, allowed, threads
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
        The threshold is not a number, or as for `cosine_topk`.
    """
    n = as_rows(documents, "documents")
    q, flags = _queries(queries, n.shape[1]), as_flags(allowed, len(n), "allowed")
    return _core.cosine_range(q, n, score(threshold, "threshold"), flags, thread_limit(threads))


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
        choice(precision, "precision", _PRECISIONS)
        rows = as_rows(documents, "documents")
        self.precision = precision
        self._rows = rows if precision == "float32" else None
        self._index = _core.ExactIndex(rows, precision)

    def __getstate__(self) -> dict[str, Any]:
        if self._rows is None:
            raise InvalidArgumentError(
                f"an ExactIndex of {self.precision} does not keep the rows that a copy is made of; build it anew"
            )
        return {"documents": self._rows, "precision": self.precision}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ExactIndex.__init__(self, state["documents"], precision=state["precision"])

    def __len__(self) -> int:
        return self._index.size

    @property
    def dimension(self) -> int:
        """Columns of the documents."""
        return self._index.dimension

    def search(
        self, queries: Any, k: int, *, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best documents of every query; see `cosine_topk`."""
        q, flags = self._checked(queries, allowed)
        k, limit = most_results(k, _findable(len(self), flags)), thread_limit(threads)
        return self._index.search(q, k, flags, limit) if k > 0 else _no_results(len(q))

    def range(
        self, queries: Any, threshold: float, *, allowed: Any = None, threads: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Find all documents from a similarity up; see `cosine_range`."""
        q, flags = self._checked(queries, allowed)
        return self._index.range(q, score(threshold, "threshold"), flags, thread_limit(threads))

    def _checked(self, queries: Any, allowed: Any) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        q = _queries(queries, self.dimension)
        return q, as_flags(allowed, len(self), "allowed")


def _queries(queries: Any, dimension: int) -> NDArray[np.float32]:
    q = as_queries(queries)
    if q.shape[1] != dimension:
        raise ShapeError(f"queries have {q.shape[1]} columns and documents {dimension}, expected the same")
    return q


def _findable(n: int, flags: NDArray[np.uint8] | None) -> int:
    return n if flags is None else int(np.count_nonzero(flags))


def _no_results(queries: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)
