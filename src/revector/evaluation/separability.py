"""What a threshold on scores does: which hits it lets through, and whether any number tells good ones from the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.evaluation.both import Side
from revector.evaluation.exact import topk
from revector.evaluation.holdout import Holdout

__all__ = ["Separability", "let_through", "separability", "threshold_of"]

HITS = 10
"""Of each query, which a threshold may cut."""
_GAIN = 0.02
"""A threshold that adds less to F1 than this tells nothing."""

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Separability:
    """How well a threshold on one model's scores tells relevant hits from others.

    Documents that nobody has judged count as not relevant, as everywhere here.

    Parameters
    ----------
    threshold : float
        The application's, on this model's scale.
    precision, recall : float
        Relevant among those at or above it; those at or above it among the relevant hits.
    best_threshold, best_f1 : float
        The number that tells them apart best, and how well (harmonic mean of precision and recall).
    f1_of_all : float
        Without any threshold.
    """

    threshold: float
    precision: float
    recall: float
    best_threshold: float
    best_f1: float
    f1_of_all: float

    @property
    def separates(self) -> bool:
        """Whether some threshold is better than none."""
        return self.best_f1 - self.f1_of_all >= _GAIN

    def __str__(self) -> str:
        """Return what the threshold does, and whether another one would do better."""
        found = f"{self.threshold:.3f}: precision {self.precision:.2f}, recall {self.recall:.2f}"
        if not self.separates:
            return f"{found}; no threshold separates relevant hits from others"
        return f"{found}; best at {self.best_threshold:.3f} (F1 {self.best_f1:.2f}, {self.f1_of_all:.2f} without any)"


def separability(drawn: Holdout, side: Side, threshold: float) -> Separability:
    """Measure a threshold on the hits of judged queries.

    Parameters
    ----------
    drawn : Holdout
    side : Side
        Its queries and documents by one model.
    threshold : float
        On that model's scale.
    """
    scores, relevant = _hits(drawn, side)
    order = np.argsort(-scores, kind="stable")
    ranked, right = scores[order], np.cumsum(relevant[order])
    total = int(right[-1]) if len(right) else 0
    passed = int((scores >= threshold).sum())
    hit = int(right[passed - 1]) if passed else 0
    f1 = 2 * right / (np.arange(1, len(right) + 1) + max(total, 1))
    last_of_equal = np.append(np.diff(ranked) < 0, [True] * (len(ranked) > 0))
    best = int(np.argmax(np.where(last_of_equal, f1, -1.0))) if total else 0
    return Separability(
        threshold=threshold,
        precision=hit / passed if passed else 0.0,
        recall=hit / total if total else 0.0,
        best_threshold=float(ranked[best]) if total else 0.0,
        best_f1=float(f1[best]) if total else 0.0,
        f1_of_all=float(f1[-1]) if total else 0.0,
    )


def let_through(side: Side, threshold: float) -> float:
    """Return how many of the best hits of a query a threshold lets through, in the mean."""
    return float((_best(side)[0] >= threshold).sum(axis=1).mean())


def threshold_of(side: Side, hits: float) -> float:
    """Return the threshold that lets so many of the best hits of a query through, in the mean."""
    scores = np.sort(_best(side)[0].ravel())[::-1]
    place = round(hits * len(side.queries))
    if place <= 0:
        return float(np.nextafter(scores[0], np.inf))
    return float(scores[min(place, len(scores)) - 1])


def _best(side: Side) -> tuple[Scores, NDArray[np.int64]]:
    scores, rows = topk(side.space, side.queries, side.documents, HITS)
    return scores.astype(np.float64), rows


def _hits(drawn: Holdout, side: Side) -> tuple[Scores, Flags]:
    """Return the score of every hit, and whether it is relevant."""
    scores, rows = _best(side)
    ids = [document.id for document in drawn.documents]
    relevant = [
        [drawn.qrels[query].get(ids[row], 0) > 0 for row in found]
        for query, found in zip(drawn.queries, rows.tolist(), strict=True)
    ]
    return scores.ravel(), np.array(relevant, dtype=bool).ravel()
