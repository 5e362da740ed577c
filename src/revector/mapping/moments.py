"""Sums over weighted pairs, from which linear maps are solved: rows of any number pass through in constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError, NumericalError, ShapeError

Values = NDArray[np.float64]

_ROWS_A_BLOCK = 8192
_ROUNDING = 1e-24


@dataclass
class PairMoments:
    """Means, and products about the means, of the pairs seen so far; all in float64.

    Blocks are merged by the update of T. F. Chan, G. H. Golub and R. J. LeVeque ("Algorithms for computing the sample
    variance", The American Statistician 37(3), 1983), so an offset of the rows costs no accuracy.

    Parameters
    ----------
    mean_x, mean_y : ndarray of float64, shape (d_x,), (d_y,)
        Weighted means.
    xx, xy : ndarray of float64, shape (d_x, d_x), (d_x, d_y)
        ``sum w (x - mean_x)(x - mean_x)^T`` and the same of x and y.
    yy : float
        ``sum w |y - mean_y|^2``.
    weight : float
        Sum of the weights.
    n_pairs : int
        Pairs seen, those of weight 0 included.
    """

    mean_x: Values
    mean_y: Values
    xx: Values
    xy: Values
    yy: float = 0.0
    weight: float = 0.0
    n_pairs: int = 0

    @classmethod
    def empty(cls, d_x: int, d_y: int) -> PairMoments:
        """Return the moments of no pairs."""
        return cls(np.zeros(d_x), np.zeros(d_y), np.zeros((d_x, d_x)), np.zeros((d_x, d_y)))

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32], weights: Values | None = None) -> None:
        """Take in finite pairs.

        Parameters
        ----------
        x, y : ndarray of float32, shape (n, d_x), (n, d_y)
        weights : ndarray of float64, shape (n,), optional
            1 by default.

        Raises
        ------
        ShapeError
            Columns of another number than before.
        """
        for rows, mean, name in ((x, self.mean_x, "old"), (y, self.mean_y, "new")):
            if rows.shape[1] != len(mean):
                raise ShapeError(f"{name} has {rows.shape[1]} columns, expected {len(mean)} as before")
        w = np.ones(len(x)) if weights is None else weights
        for start in range(0, len(x), _ROWS_A_BLOCK):
            block = slice(start, start + _ROWS_A_BLOCK)
            self.merge(_of_block(x[block].astype(np.float64), y[block].astype(np.float64), w[block]))

    def merge(self, other: PairMoments) -> None:
        """Take in the pairs of other moments."""
        self.n_pairs += other.n_pairs
        total = self.weight + other.weight
        if other.weight == 0:
            return
        step_x, step_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        lever = self.weight * other.weight / total
        self.xx += other.xx + lever * np.outer(step_x, step_x)
        self.xy += other.xy + lever * np.outer(step_x, step_y)
        self.yy += other.yy + lever * float(step_y @ step_y)
        self.mean_x = self.mean_x + other.weight / total * step_x
        self.mean_y = self.mean_y + other.weight / total * step_y
        self.weight = total

    def about_zero(self) -> PairMoments:
        """Return the same moments about zero in place of the means."""
        xx = self.xx + self.weight * np.outer(self.mean_x, self.mean_x)
        xy = self.xy + self.weight * np.outer(self.mean_x, self.mean_y)
        yy = self.yy + self.weight * float(self.mean_y @ self.mean_y)
        zero_x, zero_y = np.zeros_like(self.mean_x), np.zeros_like(self.mean_y)
        return PairMoments(zero_x, zero_y, xx, xy, yy, self.weight, self.n_pairs)

    def squared_error(self, mean_x: Values, mean_y: Values, w: Values) -> float:
        """Return ``sum weight |(x - mean_x) w + mean_y - y|^2`` over the pairs seen, for any means and matrix."""
        offset = (self.mean_x - mean_x) @ w + mean_y - self.mean_y
        spread = self.yy - 2 * float(np.sum(w * self.xy)) + float(np.sum(w * (self.xx @ w)))
        return spread + self.weight * float(offset @ offset)

    def require_solvable(self, name: str, least: int) -> None:
        """Raise unless there are enough pairs, not all of weight 0, and both sides vary.

        Parameters
        ----------
        name : str
            Of the map, for the message.
        least : int
            Pairs it needs.
        """
        if self.n_pairs < least or self.weight == 0:
            raise InvalidArgumentError(
                f"{name} has {self.n_pairs} pair(s) of total weight {self.weight:g}, expected at least {least}; "
                "add pairs before solving"
            )
        for squares, mean, side in ((np.trace(self.xx), self.mean_x, "old"), (self.yy, self.mean_y, "new")):
            # the mean of equal float32 rows is rounded, so that what is left of them is not quite nothing
            if squares <= _ROUNDING * self.weight * float(mean @ mean):
                raise NumericalError(f"the {side} rows do not vary, so no map can be fitted; give different texts")


def _of_block(x: Values, y: Values, weights: Values) -> PairMoments:
    total = float(weights.sum())
    if total == 0:
        empty = PairMoments.empty(x.shape[1], y.shape[1])
        empty.n_pairs = len(x)
        return empty
    mean_x, mean_y = weights @ x / total, weights @ y / total
    x, y = x - mean_x, y - mean_y
    weighted = x * weights[:, None]
    return PairMoments(
        mean_x, mean_y, weighted.T @ x, weighted.T @ y, float(np.sum(weights[:, None] * y * y)), total, len(x)
    )
