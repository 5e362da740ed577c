"""Arrays of any library as the matrices that the core takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError, ShapeError


def as_matrix(x: Any, name: str) -> NDArray[np.float32] | NDArray[np.float64]:
    """View `x` as a matrix of float32 or float64 with contiguous rows.

    Arrays of numpy and tensors of any library with DLPack are not copied when dtype and layout already fit; other
    float dtypes become float32 (float16 and bfloat16 exactly).

    Parameters
    ----------
    x : array_like, shape (n, d)
        Anything numpy or DLPack can read.
    name : str
        What to call it in an error.

    Raises
    ------
    ShapeError
        `x` is not two-dimensional.
    InvalidArgumentError
        `x` does not hold floats or is not on the CPU.
    """
    array = _as_array(x, name)
    if array.ndim != 2:
        raise ShapeError(f"{name} has {array.ndim} dimension(s), expected 2; write a single vector as {name}[None]")
    if array.dtype not in (np.float32, np.float64):
        if array.dtype.kind not in "fV" or array.dtype.names is not None:
            raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected floats; use .astype('float32')")
        array = array.astype(np.float32)
    item = array.itemsize
    rows_fit = array.size == 0 or array.shape[1] <= 1 or array.strides[1] == item
    stride_fits = array.shape[0] <= 1 or (array.strides[0] % item == 0 and array.strides[0] >= array.shape[1] * item)
    return array if rows_fit and stride_fits else np.ascontiguousarray(array)


def as_float32(x: Any, name: str) -> NDArray[np.float32]:
    """Like `as_matrix`, but always float32."""
    return as_matrix(x, name).astype(np.float32, copy=False)


def as_labels(ids: Any, name: str) -> NDArray[np.int64]:
    """View `ids` as a contiguous vector of int64.

    Parameters
    ----------
    ids : array_like of int, shape (n,)
        Any integer type; empty sequences of any type.
    name : str
        What to call it in an error.

    Raises
    ------
    ShapeError
        `ids` is not one-dimensional.
    InvalidArgumentError
        `ids` does not hold integers, or holds some above 2**63 - 1.
    """
    array = _as_array(ids, name)
    if array.ndim != 1:
        raise ShapeError(f"{name} has {array.ndim} dimension(s), expected 1; a single id is written as [{name}]")
    if array.size and array.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected integers")
    if array.size and array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{name} holds {array.max()}, expected at most 2**63 - 1")
    return np.ascontiguousarray(array, dtype=np.int64)


def _as_array(x: Any, name: str) -> NDArray[Any]:
    if isinstance(x, np.ndarray):
        return x
    if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__"):
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError) as error:
            raise InvalidArgumentError(f"{name} can not be read through DLPack: {error}; pass a CPU array") from error
    return np.asarray(x)
