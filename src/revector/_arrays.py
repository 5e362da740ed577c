"""Arrays of any library as the matrices that the core takes."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown
from revector.errors import InvalidArgumentError, NumericalError, ShapeError

_FLOAT32 = np.dtype(np.float32)
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
    array = _as_array(x, name)
    if array.dtype != _FLOAT32:
        array = _floats(array, name)
    if array.dtype != _FLOAT32:
        array = _copied(array, np.float32, name)
    return _with_contiguous_rows(array, name)


def as_numbers(x: Any, name: str) -> NDArray[np.float64]:
    """Return real numbers of any type and shape in float64; raise `InvalidArgumentError` for anything else."""
    array = _as_array(x, name)
    if _is_bfloat16(array):
        array = _copied(array, np.float32, name)
    if array.size and array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # of long doubles: infinite, which whoever asked refuses
        return np.asarray(array, np.float64)


def as_queries(x: Any, name: str = "queries") -> NDArray[np.float32]:
    """Like `as_float32`; a single vector may stand alone."""
    if type(x) is not np.ndarray:
        x = _as_array(x, name)
    return as_float32(x[None] if x.ndim == 1 else x, name)


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
    ids : int, or array_like of int of shape (n,)
        Any integer type; empty sequences of any type.
    name : str
        What to call it in an error.

    Raises
    ------
    ShapeError
        `ids` has more than one dimension.
    InvalidArgumentError
        `ids` does not hold integers, or holds some above 2**63 - 1.
    """
    array = _as_array(ids, name)
    if array.size and array.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected integers of at most 2**63 - 1")
    if array.ndim > 1:
        raise ShapeError(f"{name} has {array.ndim} dimension(s), expected 1")
    if array.size and array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{name} holds {array.max()}, expected at most 2**63 - 1")
    return np.ascontiguousarray(np.atleast_1d(array), dtype=np.int64)


def writable_rows(out: Any, shape: tuple[int, int], name: str = "out") -> NDArray[np.float32]:
    """Return an array of float32 that rows can be written to in place: `out`, or a new one for None.

    Raises
    ------
    InvalidArgumentError
        It is not an array of float32, or read-only.
    ShapeError
        It has another shape, or rows that are not contiguous.
    """
    if out is None:
        return np.empty(shape, np.float32)
    is_array = isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray)
    if not is_array or out.dtype != np.float32:
        found = f"an array of {out.dtype}" if is_array else type(out).__name__
        raise InvalidArgumentError(f"{name} is {found}, expected a numpy array of float32")
    if out.shape != shape:
        raise ShapeError(f"{name} has shape {out.shape}, expected {shape}")
    if not out.flags.writeable:
        raise InvalidArgumentError(f"{name} is read-only, expected an array that can be written")
    if not _has_contiguous_rows(out):
        raise ShapeError(f"{name} has rows that are not contiguous; pass a C-contiguous array or a slice of its rows")
    rows: NDArray[np.float32] = out
    return rows


def _as_array(x: Any, name: str) -> NDArray[Any]:
    """Read what may be an array. Whatever another library raises about it is an error in the argument."""
    if type(x) is np.ndarray:
        return x
    if hasattr(x, "toarray") and not hasattr(x, "__array__"):
        raise InvalidArgumentError(f"{name} is sparse, expected a dense array; pass {name}.toarray()")
    try:
        array = _from_dlpack(x) if _has_dlpack(x) else np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:
        how = "through DLPack" if _has_dlpack(x) else "as an array"
        raise InvalidArgumentError(
            f"{name} ({type(x).__name__}) cannot be read {how}: {error}; pass a dense array on the CPU"
        ) from error
    if array.dtype == object and array.ndim == 0:
        raise InvalidArgumentError(f"{name} is {shown(x)}, expected an array")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise InvalidArgumentError(f"{name} has masked elements, expected none; fill them or drop the rows")
    return array


def _has_dlpack(x: Any) -> bool:
    return not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")


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
    if array.dtype.kind not in "fV" or array.dtype.fields is not None or array.dtype.itemsize == 0:
        raise InvalidArgumentError(
            f"{name} has dtype {array.dtype}, expected floats; use numpy.asarray({name}, 'float32')"
        )
    native = array.dtype.newbyteorder("=")
    return _copied(array, native if native in (np.float16, np.float32, np.float64) else np.float32, name)


def _with_contiguous_rows(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.ndim != 2:
        raise ShapeError(f"{name} has {array.ndim} dimension(s), expected 2; write a single vector as {name}[None]")
    return array if _has_contiguous_rows(array) else _copied(array, array.dtype, name)


def _has_contiguous_rows(array: NDArray[Any]) -> bool:
    """Whether the core can read a matrix where it lies."""
    if array.flags.c_contiguous:
        return True
    item = array.itemsize
    rows_fit = array.size == 0 or array.shape[1] <= 1 or array.strides[1] == item
    stride_fits = array.shape[0] <= 1 or (array.strides[0] % item == 0 and array.strides[0] >= array.shape[1] * item)
    return bool(rows_fit and stride_fits)


def _copied(array: NDArray[Any], dtype: Any, name: str) -> NDArray[Any]:
    _log.info("%s is copied (%s of shape %s to %s)", name, array.dtype, array.shape, np.dtype(dtype))
    if dtype == np.float32 and _is_bfloat16(array):  # numpy itself cannot convert it
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    try:
        with np.errstate(over="raise"):
            return np.asarray(array, dtype, order="C")
    except FloatingPointError as error:
        raise NumericalError(f"{name} holds a number that is too large for float32; scale the rows down") from error
    except (TypeError, ValueError) as error:  # 'V' of some other library
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected floats") from error
