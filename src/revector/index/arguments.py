"""What the faces of an index ask of their arguments, and the names of the core's constants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector import _core
from revector._arguments import choice, most_results, whole_number
from revector._arrays import as_labels
from revector.errors import ShapeError

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
    "no_results",
    "results",
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
_METRICS: dict[str, _core.Metric] = {name: metric for metric, name in METRIC_NAMES.items()}
_DTYPES: dict[str, _core.ElementType] = {name: dtype for dtype, name in DTYPE_NAMES.items()}

_DEFAULT_EF = 128


def metric_of(name: MetricName) -> _core.Metric:
    """Return the metric of a name, or raise `InvalidArgumentError`."""
    return _METRICS[choice(name, "metric", _METRICS)]


def dtype_of(name: DtypeName) -> _core.ElementType:
    """Return the element type of a name, or raise `InvalidArgumentError`."""
    return _DTYPES[choice(name, "dtype", _DTYPES)]


def breadth(ef: int | None) -> int:
    """Return how many candidates a search keeps."""
    return _DEFAULT_EF if ef is None else count(ef, "ef", least=1)


def allowed_ids(ids: Any) -> NDArray[np.int64] | None:
    """View the ids that may be found; None stays None."""
    return None if ids is None else as_labels(ids, "allowed")


def count(value: Any, name: str, *, least: int = 0) -> int:
    """Return an integer that is not too small, or raise `InvalidArgumentError`."""
    return whole_number(value, name, least=least)


def results(k: Any, live: int, allowed: NDArray[np.int64] | None) -> int:
    """Return how many results a query has at most."""
    return most_results(k, live if allowed is None else min(live, len(allowed)))


def no_results(rows: NDArray[np.float32], dimension: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what is found where nothing can be; raise `ShapeError` as the core does where something can."""
    if rows.shape[1] != dimension:
        raise ShapeError(f"columns of queries: got {rows.shape[1]}, expected {dimension}")
    return np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.int64)
