"""Keeping both generations: ranking by the weighted mean of both models' standardised scores, where it is measured.

Two like models err on different documents, so that their mean often finds more than either; between unlike ones it
finds less. Only judged queries tell. A weight is judged on queries that it was not chosen on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.evaluation.exact import Keys, Matrix, topk
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

WEIGHTS = tuple(step / 10 for step in range(10))
"""Of the old model's scores; the new model alone (0) is always among them."""
FOLDS = 5
CANDIDATES = 50
"""Documents of each generation that compete, as in a search."""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """A collection under one model.

    Parameters
    ----------
    space : EmbeddingSpace
    queries : ndarray of float32, shape (n_queries, d)
    documents : ndarray of float32, shape (n_documents, d)
    """

    space: EmbeddingSpace
    queries: Matrix
    documents: Matrix

    def unit(self) -> Side:
        """Return the same with rows whose inner products are the scores."""
        if self.space.metric != "cosine":
            return self
        return Side(self.space, normalize(self.queries), normalize(self.documents))


@dataclass(frozen=True)
class KeptBoth:
    """What both generations together reach.

    Parameters
    ----------
    rankings : list of ndarray of int64
        Rows of documents for each query, under the weight that was chosen on other queries.
    old_weight : float
        The weight of the old model's scores that is best on all queries.
    """

    rankings: list[Keys]
    old_weight: float


def keep_both(old: Side, new: Side, score: Callable[[list[Keys]], Scores], depth: int, *, seed: int = 0) -> KeptBoth:
    """Measure the weighted mean of both standardised scores, over the best documents of either model.

    Parameters
    ----------
    old, new : Side
        The same queries and documents.
    score : callable
        Takes the ranking of each query, rows of documents with the best one first; returns the metric of each.
    depth : int
        Documents a ranking.
    seed : int
        Of the folds.
    """
    pools = _pools(old.unit(), new.unit(), max(depth, CANDIDATES))
    values = np.stack([score([_ranked(pool, weight)[:depth] for pool in pools]) for weight in WEIGHTS])
    fold_of = np.random.default_rng(seed).permutation(len(pools)) % FOLDS
    chosen = [int(values[:, fold_of != fold].mean(axis=1).argmax()) for fold in range(FOLDS)]
    rankings = [
        _ranked(pool, WEIGHTS[chosen[fold]])[:depth] for pool, fold in zip(pools, fold_of.tolist(), strict=True)
    ]
    return KeptBoth(rankings, WEIGHTS[int(values.mean(axis=1).argmax())])


_Pool = tuple[Keys, Scores, Scores]
"""Candidates of a query, and their standardised scores by the old and the new model."""


def _pools(old: Side, new: Side, depth: int) -> list[_Pool]:
    found = np.concatenate([topk(side.space, side.queries, side.documents, depth)[1] for side in (old, new)], axis=1)
    pools = []
    for query, rows in enumerate(found):
        keys = np.unique(rows)
        by_old, by_new = (_standardised(side.documents[keys] @ side.queries[query]) for side in (old, new))
        pools.append((keys, by_old, by_new))
    return pools


def _standardised(scores: Matrix) -> Scores:
    spread = float(scores.std())
    return (scores.astype(np.float64) - float(scores.mean())) / (spread or 1.0)


def _ranked(pool: _Pool, weight: float) -> Keys:
    keys, by_old, by_new = pool
    return keys[np.argsort(-(weight * by_old + (1 - weight) * by_new), kind="stable")]
