"""One search over two generations, while documents move from the old one to the new one.

The old generation is complete, so its hits by the old model's own query miss nothing that the old model would have
found. What has moved already is found by the new model's query as well. The best hits that have not moved are embedded
with the new model on the spot, which closes the dip that no calibration of scores closes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.backends.filters import Where
from revector.migration.landing import Rows
from revector.search import ranking
from revector.search.ranking import Candidates, Ranking
from revector.search.recall import Recall, similarities
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]


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
        self._found: list[NDArray[np.int64]] = []
        self._old_vectors: dict[int, NDArray[np.float32]] = {}
        self._new_vectors: dict[int, NDArray[np.float32]] = {}

    def recall(self, depth: int, where: Where | None = None) -> None:
        """Search both generations for `depth` hits a query that match a filter, and read the candidates' vectors.

        A vector of the new generation that is not of the present text counts as missing.
        """
        recall, generations = Recall(self._backend, where), self._backend.generations
        _, by_old = recall.search(self._old, self._old_queries, depth)
        _, by_new = recall.search(self._new, self._new_queries, depth)
        self._found = [np.unique(keys[keys >= 0]) for keys in np.concatenate([by_old, by_new], axis=1)]
        keys = np.unique(np.concatenate(self._found))
        with self._backend.snapshot():
            current = np.setdiff1d(keys, generations.stale_keys(self._new.id, keys))
            self._old_vectors = _by_key(*generations.vectors(self._old.id, keys))
            self._new_vectors = _by_key(*generations.vectors(self._new.id, current))

    def unmigrated(self, limit: int) -> list[int]:
        """Return the documents among the best `limit` of each query that the new model has not seen, best first."""
        best = [self._candidates(query).unmigrated(limit).tolist() for query in range(len(self._found))]
        in_turn = (keys[place] for place in range(limit) for keys in best if place < len(keys))
        return list(dict.fromkeys(in_turn))

    def add(self, rows: Rows) -> None:
        """Take vectors of the new generation that were just made."""
        self._new_vectors.update(_by_key(rows.keys, rows.vectors))

    def rank(self, query: int, limit: int) -> Ranking:
        """Rank the candidates of a query: by the new model, unless it knows too few of them and the old one some."""
        candidates = self._candidates(query)
        by_new = candidates.carry_the_new_space or not self._old_queries[query].any()
        return (ranking.in_new_space if by_new else ranking.in_old_space)(candidates, limit)

    def knows_best(self, query: int, limit: int) -> bool:
        """Tell whether the new model has seen the best candidates of a query, by the old model."""
        return not len(self._candidates(query).unmigrated_among_best(limit))

    def generation_of(self, key: int) -> int:
        """Return the newest generation that has a vector of a candidate."""
        return self._new.id if key in self._new_vectors else self._old.id

    def _candidates(self, query: int) -> Candidates:
        keys = self._found[query]
        old = _scores(self._old.space, self._old_queries[query], keys, self._old_vectors)
        new = _scores(self._new.space, self._new_queries[query], keys, self._new_vectors)
        scored = ~(np.isnan(old) & np.isnan(new))
        return Candidates(keys[scored], old[scored], new[scored])


def _by_key(keys: NDArray[np.int64], vectors: Matrix) -> dict[int, NDArray[np.float32]]:
    return dict(zip(keys.tolist(), vectors, strict=True))


def _scores(
    space: EmbeddingSpace,
    query: NDArray[np.float32],
    keys: NDArray[np.int64],
    vectors: dict[int, NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Score the keys that have a vector by the metric of the space; the others get NaN."""
    scores = np.full(len(keys), np.nan)
    known = [i for i, key in enumerate(keys.tolist()) if key in vectors]
    if known:
        matrix = np.stack([vectors[int(keys[i])] for i in known])
        scores[known] = similarities(space, query[None], matrix)[0]
    return scores
