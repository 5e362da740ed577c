"""Recall: the nearest documents of a generation, or of those of its documents that match a filter.

Under a filter the index is searched deeper than asked, and what does not match is left out. Where that is not likely to
give enough, because few documents match or none near the query does, those that match are read and all measured, which
is exact. So there are fewer hits than asked for only where fewer documents match.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.backends.filters import Where
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]
Keys = NDArray[np.int64]
Found = tuple[Matrix, Keys]
"""Scores and keys, a row for each query, best first; -inf and -1 where there are fewer."""

FIRST_DEPTH = 4
"""How much deeper than asked the first search goes."""
CHEAP_DEPTH = 4096
"""So many candidates may always be looked at: by their keys that takes a few tens of milliseconds."""
SEARCHED_SHARE = 1 / 16
"""Beyond this share of a generation, looking at candidates takes longer than looking at all documents in their order.

By its key, a document is found and its metadata are read in about 5 us; in order, in 2 us (100,000 documents)."""
MOST_MEASURED = 20_000
"""Documents that match and are all measured; where there are more, the search goes deeper instead."""
_ROWS_A_READ = 4096


class Matching:
    """Which documents match a filter; what was found out is remembered for one search.

    Parameters
    ----------
    backend : Backend
        Where the documents are.
    where : Where
        The filter.
    """

    def __init__(self, backend: Backend, where: Where) -> None:
        self._documents, self._where = backend.documents, where
        self._asked = self._matches = np.empty(0, np.int64)

    def among(self, keys: Keys) -> NDArray[np.bool_]:
        """Tell of each key whether its document matches; -1 does not."""
        new = np.setdiff1d(keys[keys >= 0], self._asked)
        if len(new):
            self._asked = np.concatenate([self._asked, new])
            self._matches = np.concatenate([self._matches, self._documents.matching(self._where, new)])
        return np.isin(keys, self._matches)

    @cached_property
    def all(self) -> Keys:
        """All keys that match, or more than can be measured."""
        return self._documents.matching_keys(self._where, MOST_MEASURED + 1)


class Recall:
    """Finds nearest documents in the generations that one search reads; made anew for each search.

    Parameters
    ----------
    backend : Backend
        Where to look.
    where : Where or None
        What documents must match.
    """

    def __init__(self, backend: Backend, where: Where | None) -> None:
        self._backend = backend
        self._matching = None if where is None else Matching(backend, where)

    def search(self, generation: Generation, queries: Matrix, depth: int, *, fresh: bool = True) -> Found:
        """Return the nearest `depth` documents of each query, as `Index.search` does.

        Parameters
        ----------
        generation : Generation
            Whose vectors.
        queries : ndarray of float32, shape (q, d)
        depth : int
            Hits a query.
        fresh : bool
            As for `Index.search`.
        """
        if self._matching is None:
            return self._backend.index.search(generation, queries, depth, fresh=fresh)
        return self._filtered(self._matching, generation, queries, depth, fresh)

    def _filtered(self, matching: Matching, generation: Generation, queries: Matrix, depth: int, fresh: bool) -> Found:
        """Search deeper until enough matches, or measure all that does."""
        wide = FIRST_DEPTH * depth
        while True:
            scores, keys = self._backend.index.search(generation, queries, wide, fresh=fresh)
            kept = matching.among(keys)
            least = int(kept.sum(axis=1).min())
            exhausted = keys.shape[1] < wide
            if least >= depth or (exhausted and bool((keys >= 0).all())):
                return _best(np.where(kept, scores, -np.inf), np.where(kept, keys, -1), depth)
            needed = int(wide * depth / max(least, 0.5))  # none so far may mean one in twice as many
            if exhausted or self._pays_to_measure(matching, generation, needed):
                return self._measured(matching.all, generation, queries, depth)
            wide = max(2 * wide, needed + needed // 4)

    def _pays_to_measure(self, matching: Matching, generation: Generation, needed: int) -> bool:
        """Tell whether to measure all that matches rather than to look at as many candidates as seem to be needed."""
        if needed <= CHEAP_DEPTH or needed <= self._backend.generations.count(generation.id) * SEARCHED_SHARE:
            return False
        return len(matching.all) <= MOST_MEASURED

    def _measured(self, wanted: Keys, generation: Generation, queries: Matrix, depth: int) -> Found:
        """Measure the vectors of some documents."""
        found, scores = [np.empty(0, np.int64)], [np.empty((len(queries), 0), np.float32)]
        for start in range(0, len(wanted), _ROWS_A_READ):
            keys, vectors = self._backend.generations.vectors(generation.id, wanted[start : start + _ROWS_A_READ])
            found.append(keys)
            scores.append(similarities(generation.space, queries, vectors))
        keys = np.concatenate(found)
        return _best(np.concatenate(scores, axis=1), np.broadcast_to(keys, (len(queries), len(keys))), depth)


def similarities(space: EmbeddingSpace, queries: Matrix, vectors: Matrix) -> Matrix:
    """Return the score of each query, shape (q, d), with each vector, shape (n, d), by the metric of their space."""
    if space.metric == "cosine":
        queries, vectors = normalize(queries), normalize(vectors)
    return queries @ vectors.T


def _best(scores: Matrix, keys: Keys, depth: int) -> Found:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(keys, order, axis=1)
