from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

def min_max(scores: ArrayLike) -> NDArray[np.float64]: ...
def z_score(scores: ArrayLike, reference: ArrayLike | None = None) -> NDArray[np.float64]: ...
def calibrated(
    scores: ArrayLike, knots: ArrayLike, values: ArrayLike, *, extrapolate: bool = False
) -> NDArray[np.float64]: ...
def line(
    scores: ArrayLike, target: ArrayLike, *, how: Literal["zscore", "minmax"] = "zscore"
) -> tuple[int, tuple[float, ...], tuple[float, ...]]: ...
def on_scale(
    scores: ArrayLike,
    others: ArrayLike,
    knots: ArrayLike,
    values: ArrayLike,
    *,
    weight: float = 0.0,
    extrapolate: bool = False,
) -> NDArray[np.float64]: ...
def best(scores: ArrayLike, limit: int | None = None, *, ties: ArrayLike | None = None) -> NDArray[np.int64]: ...
def merge(
    lists: Sequence[tuple[ArrayLike, ArrayLike]],
    *,
    how: Literal["max", "mean", "sum"] = "max",
    limit: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def rrf(
    lists: Sequence[ArrayLike], *, k: float = 60.0, weights: Sequence[float] | None = None, limit: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
