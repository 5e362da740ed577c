"""One ranking out of the candidates of two generations.

While documents move, every candidate has a score by the old model, and those that have moved (or have just been
embedded) one by the new model. The two scales have nothing to do with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector import fusion

Scores = NDArray[np.float64]
Keys = NDArray[np.int64]
LEAST_PAIRS = 4
"""On 3,000 docstrings and 500 queries, nDCG@10 of a static model, .433, became .422 with one pair, .442 with two."""

Ranking = tuple[Keys, Scores]
"""Keys and scores, best first."""


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
        order = np.argsort(-self.old[rows], kind="stable")[:limit]
        return self.keys[rows[order]]

    @property
    def carry_the_new_space(self) -> bool:
        """Whether enough candidates have both scores to tell what an old score stands for.

        With a pair or two, the ranking can be worse than that of either model; with `LEAST_PAIRS` it was not, at any
        share and with any number of candidates embedded on the spot.
        """
        known = ~np.isnan(self.new)
        return bool(known.all()) or int((known & ~np.isnan(self.old)).sum()) >= LEAST_PAIRS

    def unmigrated_among_best(self, limit: int) -> Keys:
        """Return those of the best `limit` candidates, by the old model, that have no new score."""
        order = np.argsort(-np.where(np.isnan(self.old), -np.inf, self.old), kind="stable")[:limit]
        return self.keys[order[np.isnan(self.new[order])]]


def in_new_space(candidates: Candidates, limit: int) -> Ranking:
    """Rank by the new model; candidates without a new score get the one that their old score stands for.

    Old scores are brought to the new scale by mean and deviation of both over the candidates that have both.
    """
    known = ~np.isnan(candidates.new)
    both = known & ~np.isnan(candidates.old)
    ranked = (candidates.keys[known], candidates.new[known])
    if known.all():
        return fusion.merge([ranked], limit=limit)
    guessed = _carry_over(candidates.old[~known], candidates.old[both], candidates.new[both])
    return fusion.merge([ranked, (candidates.keys[~known], guessed)], limit=limit)


def in_old_space(candidates: Candidates, limit: int) -> Ranking:
    """Rank by the old model; candidates without an old score get the one that their new score stands for."""
    return in_new_space(Candidates(candidates.keys, candidates.new, candidates.old), limit)


def _carry_over(scores: Scores, old: Scores, new: Scores) -> Scores:
    """Return where `scores` would stand among `new`, going by the pairs (old, new); as they are without pairs."""
    spread = float(old.std()) if len(old) else 0.0
    if spread == 0.0:
        return scores
    knots = [float(old.mean()), float(old.mean()) + spread]
    values = [float(new.mean()), float(new.mean()) + float(new.std())]
    return fusion.calibrated(scores, knots, values, extrapolate=True)
