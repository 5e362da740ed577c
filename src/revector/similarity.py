"""Cosine similarity: unit rows and exact top-k, on the kernels of the native core."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arrays import as_float32, as_matrix
from revector.errors import InvalidArgumentError, ShapeError

__all__ = ["cosine_topk", "normalize"]


def normalize(x: Any, *, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Scale every row to unit L2 norm.

    Parameters
    ----------
    x : array_like of float, shape (n, d)
        float32 and float64 rows are read in place; norms outside float32's range are computed in float64.
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
    precision: Literal["float32"] = "float32",
    device: Literal["cpu", "cuda"] = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the `k` documents of highest cosine similarity for every query, exactly.

    Parameters
    ----------
    queries : array_like of float, shape (q, d)
    documents : array_like of float, shape (n, d)
        Neither needs unit rows.
    k : int
        Results a query; at most `n` are returned.
    precision : {"float32"}
        Arithmetic of the products.
    device : {"cpu", "cuda"}
        Where to compute.

    Returns
    -------
    scores : ndarray of float32, shape (q, min(k, n))
        Best first; ties by lower index.
    indices : ndarray of int64, shape (q, min(k, n))
        Row numbers of `documents`.

    Raises
    ------
    ShapeError
        The dimensions differ, or an input is not a matrix.
    InvalidArgumentError
        `k` is below 1, or the precision or the device is unknown.
    NumericalError
        A row holds NaN or infinity.
    DeviceUnavailableError
        There is no CUDA plugin or no GPU.
    """
    if precision != "float32":
        raise InvalidArgumentError(f"precision is {precision!r}, expected 'float32'")
    if device not in ("cpu", "cuda"):
        raise InvalidArgumentError(f"device is {device!r}, expected 'cpu' or 'cuda'")
    if k < 1:
        raise InvalidArgumentError(f"k is {k}, expected at least 1")
    q, n = as_float32(queries, "queries"), as_float32(documents, "documents")
    if q.shape[1] != n.shape[1]:
        raise ShapeError(f"queries have {q.shape[1]} columns and documents {n.shape[1]}, expected the same")
    k = min(k, n.shape[0])
    if k == 0:
        return np.empty((q.shape[0], 0), np.float32), np.empty((q.shape[0], 0), np.int64)
    return _core.cosine_topk(q, n, k, device)
