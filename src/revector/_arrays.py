"""Arrays of any library as the matrices that the core takes."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError, ShapeError

_BFLOAT16 = np.dtype([("bfloat16", np.uint16)])

_log = logging.getLogger(__name__)


def as_matrix(x: Any, name: str) -> NDArray[Any]:
    """View `x` as a matrix of floats with contiguous rows.

    Arrays of numpy and tensors of any library with DLPack are not copied when dtype and layout already fit: float16,
    float32, float64, and bfloat16 (of ml_dtypes or torch). What has to be copied is logged.

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
    return _with_contiguous_rows(_floats(_as_array(x, name), name), name)


def as_rows(x: Any, name: str) -> NDArray[Any]:
    """Like `as_matrix`, for the documents of a search: int8 as well, and float64 as float32."""
    array = _as_array(x, name)
    if array.dtype != np.int8:
        array = _floats(array, name)
    return _with_contiguous_rows(_copied(array, np.float32, name) if array.dtype == np.float64 else array, name)


def as_float32(x: Any, name: str) -> NDArray[np.float32]:
    """Like `as_matrix`, but always float32."""
    array = _floats(_as_array(x, name), name)
    if array.dtype != np.float32:
        array = _copied(array, np.float32, name)
    return _with_contiguous_rows(array, name)


def as_flags(allowed: Any, n: int, name: str) -> NDArray[np.uint8] | None:
    """View `allowed` as a byte for each of `n` documents; None stays None.

    Raises
    ------
    ShapeError
        It is not of shape (n,).
    InvalidArgumentError
        It does not hold booleans.
    """
    if allowed is None:
        return None
    array = _as_array(allowed, name)
    if array.dtype != np.bool_:
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected bool, one for each document")
    if array.shape != (n,):
        raise ShapeError(f"{name} has shape {array.shape}, expected ({n},), one for each document")
    return np.ascontiguousarray(array).view(np.uint8)


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
            return _from_dlpack(x)
        except (BufferError, RuntimeError, TypeError) as error:
            raise InvalidArgumentError(f"{name} can not be read through DLPack: {error}; pass a CPU array") from error
    return np.asarray(x)


def _from_dlpack(x: Any) -> NDArray[Any]:
    """Read a tensor; numpy has no bfloat16 of its own, so torch's comes as its bits."""
    if str(getattr(x, "dtype", "")) == "torch.bfloat16":
        return np.from_dlpack(x.view(sys.modules["torch"].uint16)).view(_BFLOAT16)
    return np.from_dlpack(x)


def _is_bfloat16(array: NDArray[Any]) -> bool:
    return array.dtype == _BFLOAT16 or array.dtype.name == "bfloat16"


def _floats(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of float16, bfloat16, float32 or float64."""
    if array.dtype in (np.float16, np.float32, np.float64) or _is_bfloat16(array):
        return array
    if array.dtype.kind not in "fV" or array.dtype.names is not None:
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected floats; use .astype('float32')")
    return _copied(array, np.float32, name)


def _with_contiguous_rows(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim != 2:
        raise ShapeError(f"{name} has {array.ndim} dimension(s), expected 2; write a single vector as {name}[None]")
    item = array.itemsize
    rows_fit = array.size == 0 or array.shape[1] <= 1 or array.strides[1] == item
    stride_fits = array.shape[0] <= 1 or (array.strides[0] % item == 0 and array.strides[0] >= array.shape[1] * item)
    return array if rows_fit and stride_fits else _copied(array, array.dtype, name)


def _copied(array: NDArray[Any], dtype: Any, name: str) -> NDArray[Any]:
    _log.info("%s is copied (%s of shape %s to %s)", name, array.dtype, array.shape, np.dtype(dtype))
    if dtype == np.float32 and _is_bfloat16(array):  # numpy itself can not convert it
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.ascontiguousarray(array, dtype)
