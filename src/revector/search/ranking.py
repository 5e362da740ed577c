"""One ranking out of the candidates of two generations.

While documents move, every candidate has a score by the old model, and those that have moved (or have just been
embedded) one by the new model. The two scales have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector import fusion
from revector.migration.strategies.base import Merging

Scores = NDArray[np.float64]
Keys = NDArray[np.int64]
LEAST_PAIRS, AMONG, LEAST_BEST = 10, 50, 4
"""With four pairs at random, nDCG@10 fell from .573 to .553 where a tenth of 29,967 descriptions had moved from a
static model to MiniLM, and from .158 to .152 of 40,000 definitions; with ten it was .573 and .159 (700 queries). With
the four best, it rose."""
BEST, HALF = 10, 0.5
"""While the new model has not seen the ten best by the old model, that one's score counts half where there are both.

Models that are alike disagree most across the two halves of a collection. With a quarter of 29,967 descriptions moved
from MiniLM to bge and nothing re-scored, nDCG@10 fell from .696 to .657 by the new scores alone, and was .697 by the
mean of both; with three quarters it was .688 and .726 (1,000 queries)."""


@dataclass(frozen=True)
class Curve:
    """What a score by one model stands for on the other one's scale: lines between knots.

    Beyond the last knots the lines go on, but not those of "calibrated", which says no more than it has seen.

    Parameters
    ----------
    knots, values : sequence of float
        A score, and what it stands for; with none, a score stands for itself.
    pairs : int
        Candidates with both scores that it was fitted on.
    merging : {"zscore", "calibrated", "minmax"}
        How.
    """

    knots: Sequence[float]
    values: Sequence[float]
    pairs: int
    merging: Merging

    @classmethod
    def through(cls, merging: Merging, old: Scores, new: Scores) -> Curve:
        """Fit a curve on the scores of the same documents by either model, as `in_new_space` says."""
        how: Literal["zscore", "minmax"] = "minmax" if merging == "minmax" else "zscore"
        pairs, knots, values = fusion.line(old, new, how=how)
        return cls(knots, values, pairs, how)

    @property
    def goes_on(self) -> bool:
        """Whether the outermost lines go on beyond the knots."""
        return self.merging != "calibrated"

    def __call__(self, scores: Scores) -> Scores:
        """Return what scores stand for."""
        if not self.knots:
            return scores
        return fusion.calibrated(scores, self.knots, self.values, extrapolate=self.goes_on)

    def __str__(self) -> str:
        """Return the arithmetic, as `Explanation.calibration` shows it."""
        if not self.knots:
            return f"as it is: {self.pairs} documents with both scores do not tell"
        if self.merging == "calibrated":
            return f"a curve of {len(self.knots)} knots, by calibrated over {self.pairs} pairs of earlier searches"
        (x, to_x), (y, to_y) = self.knots, self.values
        slope = (to_y - y) / (to_x - x)
        return f"{y:.4g} + {slope:.4g} × (score − {x:.4g}), by {self.merging} over {self.pairs} documents with both"


class Ranked(NamedTuple):
    """A ranking, best first, and what scores of the other model stood for in it, where that was asked."""

    keys: Keys
    scores: Scores
    curve: Curve | None = None

    def at(self, places: NDArray[Any]) -> Ranked:
        """Return the part of it at some places."""
        return Ranked(self.keys[places], self.scores[places], self.curve)


@dataclass(frozen=True)
class Candidates:
    """The candidates of one query.

    Parameters
    ----------
    keys : ndarray of int64, shape (n,)
        Each candidate once.
    old, new : ndarray of float64, shape (n,)
        Scores by the old and by the new model; NaN where a document has no vector of that model.
    """

    keys: Keys
    old: Scores
    new: Scores

    def unmigrated(self, limit: int) -> Keys:
        """Return the best candidates, by the old model, that have no new score."""
        rows = np.flatnonzero(np.isnan(self.new) & ~np.isnan(self.old))
        return self.keys[rows[fusion.best(self.old[rows], limit)]]

    @property
    def carry_the_new_space(self) -> bool:
        """Whether enough candidates have both scores to tell what an old score stands for.

        With a few that happen to have moved, the ranking can be worse than that of either model; with `LEAST_PAIRS`
        `AMONG` the best by the old model, or its `LEAST_BEST` first ones, it was not, at any share. What only the new
        model has found says little about them.
        """
        known = ~np.isnan(self.new)
        if known.all():
            return True
        by_old = fusion.best(self.old, AMONG)
        first_are_known = len(by_old) >= LEAST_BEST and bool(known[by_old[:LEAST_BEST]].all())
        return first_are_known or int(known[by_old].sum()) >= LEAST_PAIRS

    def are_known(self, best: int) -> bool:
        """Tell whether the best ones, by the old model, all have a new score."""
        return not np.isnan(self.new[fusion.best(self.old, best)]).any()


def in_new_space(
    candidates: Candidates,
    limit: int | None,
    merging: Merging = "zscore",
    weight_of_old: float = 0.0,
    learnt: Curve | None = None,
) -> Ranked:
    """Rank by the new model; candidates without a new score get the one that their old score stands for.

    Parameters
    ----------
    candidates : Candidates
    limit : int or None
        Return at most so many.
    merging : {"zscore", "calibrated", "minmax", "rrf"}
        How old scores are brought to the new scale: by mean and deviation of the candidates that have both, by the
        curve that was learnt, or by the lowest and the highest of the candidates that have both. With "rrf" scores do
        not count: each candidate gets ``weight / (60 + rank)`` from either list that it is in.
    weight_of_old : float
        Share of the old model's score, on the new scale, where both models know a candidate. "rrf" takes 0 for equal
        weights.
    learnt : Curve, optional
        What old scores stand for, for "calibrated"; without it, that is "zscore".
    """
    if merging == "rrf":
        return Ranked(*_by_ranks(candidates, limit, weight_of_old or 0.5))
    curve = learnt or Curve.through(merging, candidates.old, candidates.new)
    scores = fusion.on_scale(
        candidates.new, candidates.old, curve.knots, curve.values, weight=weight_of_old, extrapolate=curve.goes_on
    )
    # a curve that was learnt may have level stretches: there the old scores decide
    places = fusion.best(scores, limit, ties=None if learnt is None else candidates.old)
    guessed = weight_of_old or np.isnan(candidates.new).any()
    return Ranked(candidates.keys[places], scores[places], curve if guessed else None)


def in_old_space(candidates: Candidates, limit: int | None, merging: Merging = "zscore") -> Ranked:
    """Rank by the old model; candidates without an old score get the one that their new score stands for."""
    return in_new_space(Candidates(candidates.keys, candidates.new, candidates.old), limit, merging)


def _by_ranks(candidates: Candidates, limit: int | None, weight_of_old: float) -> tuple[Keys, Scores]:
    """Rank by the places that candidates have in either list."""
    places = [np.argsort(-scores)[: int((~np.isnan(scores)).sum())] for scores in (candidates.old, candidates.new)]
    return fusion.rrf([candidates.keys[of] for of in places], weights=[weight_of_old, 1 - weight_of_old], limit=limit)
