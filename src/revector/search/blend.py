"""One search over two generations, while documents move from the old one to the new one.

The old generation is complete, so its hits by the old model's own query miss nothing that the old model would have
found. What has moved already is found by the new model's query as well. The best hits that have not moved are embedded
with the new model on the spot, which closes the dip that no calibration of scores closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.backends.filters import Where
from revector.migration.landing import Rows
from revector.migration.strategies.base import Reading
from revector.search import ranking
from revector.search.hits import Explanation
from revector.search.ranking import Candidates, Curve, Keys, Ranked, Scores
from revector.search.recall import Recall
from revector.search.thresholds import Least
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]


@dataclass
class _Query:
    """A query's candidates: their keys, ascending, and the scores by either model, NaN where there is no vector."""

    keys: Keys
    old: Scores
    new: Scores

    @property
    def candidates(self) -> Candidates:
        scored = ~(np.isnan(self.old) & np.isnan(self.new))
        return Candidates(self.keys[scored], self.old[scored], self.new[scored])


class Blend:
    """The candidates of some queries in two generations: recall, add vectors, rank, in this order.

    Parameters
    ----------
    backend : Backend
        Holds both generations.
    old, new : Generation
        The complete generation, and the one that fills.
    old_queries, new_queries : ndarray of float32, shape (q, dimension)
        The same queries in either space.
    """

    def __init__(
        self, backend: Backend, old: Generation, new: Generation, old_queries: Matrix, new_queries: Matrix
    ) -> None:
        self._backend = backend
        self._old, self._new = old, new
        self._old_queries, self._new_queries = old_queries, new_queries
        self._queries: list[_Query] = []
        self._moved: Keys = np.empty(0, np.int64)
        self._added: set[int] = set()

    def recall(self, depth: int, where: Where | None = None, *, fresh: bool = False, both: bool = True) -> None:
        """Search both generations for `depth` hits a query that match a filter, and score all candidates by either.

        Without `both`, the old one alone is searched; the new one's vectors score what it finds.

        Call it inside a snapshot. A vector of the new generation that is not of the present text counts as missing.
        Where the new generation is complete as well, it is to be `fresh`; see `Index.search`.
        """
        recall = Recall(self._backend, where)
        _, by_old = recall.search(self._old, self._old_queries, depth)
        if both:
            _, by_new = recall.search(self._new, self._new_queries, depth, fresh=fresh)
            by_old = np.concatenate([by_old, by_new], axis=1)
        found = [np.unique(keys[keys >= 0]) for keys in by_old]
        keys = np.unique(np.concatenate(found)) if len(found) > 1 else found[0]
        in_old, old_vectors = self._backend.index.vectors(self._old, keys)
        self._moved, new_vectors = self._backend.generations.vectors(self._new.id, keys, current=True)
        in_new = np.isin(keys, self._moved)
        old = _scores(self._old.space, self._old_queries, in_old, old_vectors)
        new = _scores(self._new.space, self._new_queries, in_new, self._as_searched(new_vectors))
        places = [np.searchsorted(keys, own) for own in found]
        self._queries = [
            _Query(own, old[q, at], new[q, at]) for q, (own, at) in enumerate(zip(found, places, strict=True))
        ]

    def unmigrated(self, limit: int) -> list[int]:
        """Return the documents among the best `limit` of each query that the new model has not seen, best first."""
        best = [self.lacking(place, limit) for place in range(len(self._queries))]
        in_turn = (keys[place] for place in range(limit) for keys in best if place < len(keys))
        return list(dict.fromkeys(in_turn))

    def lacking(self, query: int, limit: int) -> list[int]:
        """Return the best documents of a query that the new model has not seen, best first."""
        keys: list[int] = self._queries[query].candidates.unmigrated(limit).tolist()
        return keys

    def add(self, rows: Rows) -> None:
        """Take vectors of the new generation that were just made."""
        order = np.argsort(rows.keys)
        keys, vectors = rows.keys[order], rows.vectors[order]
        known = np.ones(len(keys), np.bool_)
        scores = _scores(self._new.space, self._new_queries, known, self._as_searched(vectors))
        for place, query in enumerate(self._queries):
            _, own, fresh = np.intersect1d(query.keys, keys, assume_unique=True, return_indices=True)
            query.new[own] = scores[place, fresh]
        self._moved = np.union1d(self._moved, keys)
        self._added.update(keys.tolist())

    def _as_searched(self, vectors: Matrix) -> Matrix:
        return normalize(vectors) if self._new.space.metric == "cosine" and len(vectors) else vectors

    def pairs(self) -> Scores:
        """Return the scores by either model of all candidates that have both, shape (n, 2)."""
        scores = np.concatenate([np.stack([query.old, query.new], axis=1) for query in self._queries])
        known: Scores = scores[~np.isnan(scores).any(axis=1)]
        return known

    def rank(
        self, query: int, limit: int, reading: Reading, least: Least | None = None, learnt: Curve | None = None
    ) -> Ranked:
        """Rank the candidates of a query: by the new model, unless it knows too few of them and the old one some.

        The old one's score counts half where both know a candidate, until the new one knows the best; see `ranking`.

        Candidates are left out whose score, or what stands for it, is below the least one.
        """
        if least is None:
            return self._ranked(query, limit, reading, learnt)
        ranked = self._ranked(query, None, reading, learnt)
        by_model = ranking.in_new_space if least.by_new else ranking.in_old_space
        keys, scores, _ = by_model(self._queries[query].candidates, None)
        places = np.flatnonzero(np.isin(ranked.keys, keys[scores >= least.score]))
        return ranked.at(places[:limit])

    def _ranked(self, query: int, limit: int | None, reading: Reading, learnt: Curve | None) -> Ranked:
        candidates = self._queries[query].candidates
        if self._by_new(query, candidates):
            weight = self._weight_of_old(query, candidates, reading)
            return ranking.in_new_space(candidates, limit, reading.merging, weight, learnt)
        return ranking.in_old_space(candidates, limit, reading.merging)

    def _weight_of_old(self, query: int, candidates: Candidates, reading: Reading) -> float:
        if candidates.are_known(ranking.BEST) or not self._old_queries[query].any():
            return reading.weight_of_old
        return max(ranking.HALF, reading.weight_of_old)

    def _by_new(self, query: int, candidates: Candidates) -> bool:
        return candidates.carry_the_new_space or not self._old_queries[query].any()

    def knows_best(self, query: int, limit: int) -> bool:
        """Tell whether the new model has seen the best candidates of a query, by the old model."""
        return self._queries[query].candidates.are_known(limit)

    def generation_of(self, key: int) -> int:
        """Return the newest generation that has a vector of a candidate."""
        place = int(np.searchsorted(self._moved, key))
        moved = place < len(self._moved) and self._moved[place] == key
        return self._new.id if moved else self._old.id

    def explained(self, query: int, ranked: Ranked, reading: Reading, key: int, _score: float) -> Explanation:
        """Return how a candidate came by its place in a ranking of this query."""
        found = self._queries[query]
        place = int(np.searchsorted(found.keys, key))
        old, new = (None if np.isnan(score) else float(score) for score in (found.old[place], found.new[place]))
        by_new = self._by_new(query, found.candidates)
        weight = self._weight_of_old(query, found.candidates, reading) if by_new else 0.0
        own = new if by_new else old
        return Explanation(
            "both",
            old,
            new,
            merging=reading.merging,
            weight_of_old=weight,
            guessed="" if own is not None or ranked.curve is None else "new" if by_new else "old",
            calibration="" if ranked.curve is None else str(ranked.curve),
            rescored=key in self._added,
        )


def _scores(space: EmbeddingSpace, queries: Matrix, known: NDArray[np.bool_], vectors: Matrix) -> Scores:
    """Score vectors, of unit length under cosine, by each query; NaN where a document has none. Shape (q, n)."""
    scores = np.full((len(queries), len(known)), np.nan)
    if len(vectors):
        scores[:, known] = (normalize(queries) if space.metric == "cosine" else queries) @ vectors.T
    return scores
