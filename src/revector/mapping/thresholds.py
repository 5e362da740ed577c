"""Thresholds of similarity, translated from the scores of one model to those of another."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import file_path, number
from revector._arrays import as_numbers
from revector._files import write_whole
from revector.errors import InvalidArgumentError, NumericalError, ShapeError

Scores = NDArray[np.float64]

_FORMAT = "revector.scores.1"
_LEAST_PAIRS = 2


@dataclass(frozen=True)
class ScoreMap:
    """A non-decreasing function from old scores to new ones: straight lines between knots, and on beyond the last ones.

    Fitted by `isotonic` or `affine` on the scores of the same (query, document) pairs under both models. Give it pairs
    of all heights, good hits as well as random ones: it knows nothing of heights that it has not seen.

    Parameters
    ----------
    old, new : tuple of float
        Coordinates of the knots; `old` increases strictly, `new` does not decrease.
    slope : float
        Of the line beyond the knots, for an affine map; 0 for an isotonic one, which says no more than it has seen.
    """

    old: tuple[float, ...]
    new: tuple[float, ...]
    slope: float = 0.0

    def __post_init__(self) -> None:
        old, new = as_numbers(self.old, "old"), as_numbers(self.new, "new")
        number(self.slope, "slope")
        if old.ndim != 1 or old.shape != new.shape or not old.size:
            raise ShapeError(f"old knots have shape {old.shape}, new ones {new.shape}, expected (n,) for both, n > 0")
        if not (np.isfinite(old).all() and np.isfinite(new).all()):
            raise NumericalError("a knot is NaN or infinite")
        if (np.diff(old) <= 0).any() or (np.diff(new) < 0).any() or self.slope < 0:
            raise InvalidArgumentError(
                "the knots do not rise, expected old ones that increase and new ones that do not fall"
            )

    @classmethod
    def affine(cls, old: Any, new: Any) -> ScoreMap:
        """Fit the line of least squares.

        Parameters
        ----------
        old, new : array_like of float, shape (n,)
            Scores of the same (query, document) pairs under the old and the new model.

        Raises
        ------
        ShapeError
            Not one score of each model for every pair.
        NumericalError
            NaN or infinity, or old scores that do not vary.
        InvalidArgumentError
            Fewer than two pairs, or new scores that fall where old ones rise.
        """
        x, y = _checked(old, new)
        centred = x - x.mean()
        if not (spread := float(centred @ centred)) > 0:
            raise NumericalError("the old scores do not vary, so no line can be fitted; give pairs of other heights")
        slope = float(centred @ y) / spread
        if slope < 0:
            raise InvalidArgumentError(f"new scores fall ({slope:.3g}) where old ones rise; are the pairs the same?")
        return cls((float(x.mean()),), (float(y.mean()),), slope)

    @classmethod
    def isotonic(cls, old: Any, new: Any) -> ScoreMap:
        """Fit the non-decreasing function of least squares, by pooling adjacent violators.

        The level of each pool stands at the mean of its old scores, so the function rises in lines, not in steps
        (R. E. Barlow et al., *Statistical Inference under Order Restrictions*, Wiley 1972). Arguments and errors as
        for `affine`, but any scores have such a function.
        """
        x, y = _checked(old, new)
        order = np.lexsort((y, x))
        heights, first = np.unique(x[order], return_index=True)
        counts = np.diff([*first.tolist(), len(x)])
        levels = np.add.reduceat(y[order], first) / counts
        return cls(*_pooled(heights, levels, counts))

    def translate(self, scores: Any) -> Scores:
        """Return the new scores that correspond to old ones.

        Parameters
        ----------
        scores : array_like of float, any shape

        Returns
        -------
        ndarray of float64, of the same shape
        """
        asked = as_numbers(scores, "scores")
        if not np.isfinite(asked).all():
            raise NumericalError("a score is NaN or infinite")
        inside = np.interp(asked, self.old, self.new)
        return np.asarray(inside + self.slope * (asked - np.clip(asked, self.old[0], self.old[-1])))

    def threshold(self, old: float) -> float:
        """Return the new threshold that lets through what an old one did."""
        if as_numbers(old, "old").ndim:
            raise ShapeError(f"old has shape {as_numbers(old, 'old').shape}, expected a single threshold")
        return float(self.translate(old))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return {"format": _FORMAT, "old": list(self.old), "new": list(self.new), "slope": self.slope}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ScoreMap:
        """Build a map from what `to_json` returned; raise `InvalidArgumentError` if it is something else."""
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise InvalidArgumentError(f"these are not the fields of a score map, expected the format {_FORMAT!r}")
        try:
            return cls(tuple(map(float, fields["old"])), tuple(map(float, fields["new"])), float(fields["slope"]))
        except (KeyError, TypeError) as error:
            raise InvalidArgumentError(f"a field of the score map is missing or of the wrong type: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map to a JSON file, whole or not at all."""
        write_whole(file_path(path), json.dumps(self.to_json()).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreMap:
        """Read a map that `save` wrote; raise `InvalidArgumentError` if it is not one."""
        content = file_path(path).read_bytes()
        try:
            fields = json.loads(content)
        except ValueError as error:
            raise InvalidArgumentError(f"{path} is not JSON: {error}") from error
        return cls.from_json(fields)


def _checked(old: Any, new: Any) -> tuple[Scores, Scores]:
    x, y = as_numbers(old, "old"), as_numbers(new, "new")
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeError(f"old scores have shape {x.shape} and new ones {y.shape}, expected (n,) for both")
    if len(x) < _LEAST_PAIRS:
        raise InvalidArgumentError(f"got {len(x)} pair(s) of scores, expected at least {_LEAST_PAIRS}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NumericalError("a score is NaN or infinite")
    return x, y


def _pooled(heights: Scores, levels: Scores, counts: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Merge neighbours while the one before is higher; return the mean height and the level of each pool."""
    pools: list[tuple[float, float, float]] = []  # count, sum of heights, sum of levels
    for count, height, level in zip(counts.tolist(), heights.tolist(), levels.tolist(), strict=True):
        pool = (count, count * height, count * level)
        while pools and pools[-1][2] / pools[-1][0] >= pool[2] / pool[0]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    return tuple(height / n for n, height, _ in pools), tuple(level / n for n, _, level in pools)
