"""What the scores of one model stand for on the scale of another one, learnt from the searches of a process.

The candidates of a search that have both scores are pairs of what people really ask and find. A hundred of one query
are too few for a curve (it is level where there is no pair); those of some dozens of queries are enough.
"""

from __future__ import annotations

import threading

import numpy as np

from revector._forks import renew_in_child
from revector.mapping import ScoreMap
from revector.search.ranking import Curve, Scores

LEAST_PAIRS = 500
"""With fewer there is no curve yet."""
MOST_PAIRS = 4_096
"""The last ones count; a fit to so many takes some milliseconds."""
_FIT_AGAIN = 1.25  # after so much growth


class Calibration:
    """Non-decreasing curves of least squares, one for each pair of generations. Safe to share between threads."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], tuple[Scores, int]] = {}
        self._curves: dict[tuple[int, int], tuple[Curve, int]] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def learnt(self, generations: tuple[int, int], pairs: Scores) -> Curve | None:
        """Learn from the candidates of a search, and return what scores stand for; ``None`` if that is not known yet.

        Parameters
        ----------
        generations : tuple of int
            The old one and the new one.
        pairs : ndarray of float64, shape (n, 2)
            Scores of the same documents by either model.
        """
        with self._lock:
            kept, seen = self._pairs.get(generations, (np.empty((0, 2)), 0))
            kept, seen = np.concatenate([kept, pairs])[-MOST_PAIRS:], seen + len(pairs)
            self._pairs[generations] = kept, seen
            curve, fitted = self._curves.get(generations, (None, 0))
        if seen < max(LEAST_PAIRS, _FIT_AGAIN * fitted):
            return curve
        found = ScoreMap.isotonic(kept[:, 0], kept[:, 1])
        curve = Curve(found.old, found.new, len(kept), "calibrated")
        with self._lock:
            self._curves[generations] = curve, seen
        return curve
