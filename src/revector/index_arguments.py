"""What the faces of an index ask of their arguments, and the names of the core's constants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arrays import as_labels
from revector.errors import InvalidArgumentError

__all__ = [
    "DTYPE_NAMES",
    "METRIC_NAMES",
    "DtypeName",
    "MetricName",
    "allowed_ids",
    "breadth",
    "count",
    "dtype_of",
    "metric_of",
]

MetricName = Literal["cosine", "ip", "l2"]
DtypeName = Literal["float32", "float16", "bfloat16", "int8"]

METRIC_NAMES: dict[_core.Metric, MetricName] = {
    _core.Metric.cosine: "cosine",
    _core.Metric.inner_product: "ip",
    _core.Metric.l2: "l2",
}
DTYPE_NAMES: dict[_core.ElementType, DtypeName] = {
    _core.ElementType.float32: "float32",
    _core.ElementType.float16: "float16",
    _core.ElementType.bfloat16: "bfloat16",
    _core.ElementType.int8: "int8",
}
_METRICS = {name: metric for metric, name in METRIC_NAMES.items()}
_DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}

_DEFAULT_EF = 128


def metric_of(name: MetricName) -> _core.Metric:
    """Return the metric of a name, or raise `InvalidArgumentError`."""
    if name not in _METRICS:
        raise InvalidArgumentError(f"metric is {name!r}, expected one of {', '.join(map(repr, _METRICS))}")
    return _METRICS[name]


def dtype_of(name: DtypeName) -> _core.ElementType:
    """Return the element type of a name, or raise `InvalidArgumentError`."""
    if name not in _DTYPES:
        raise InvalidArgumentError(f"dtype is {name!r}, expected one of {', '.join(map(repr, _DTYPES))}")
    return _DTYPES[name]


def breadth(ef: int | None) -> int:
    """Return how many candidates a search keeps."""
    return _DEFAULT_EF if ef is None else count(ef, "ef")


def allowed_ids(ids: Any) -> NDArray[np.int64] | None:
    """View the ids that may be found; None stays None."""
    return None if ids is None else as_labels(ids, "allowed")


def count(value: int, name: str) -> int:
    """Return a number that is not negative, or raise `InvalidArgumentError`."""
    if value < 0:
        raise InvalidArgumentError(f"{name} is {value}, expected 0 or more")
    return value
