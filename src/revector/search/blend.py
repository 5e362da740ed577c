"""One search over two generations, while documents move from the old one to the new one.

The old generation is complete, so its hits by the old model's own query miss nothing that the old model would have
found. What has moved already is found by the new model's query as well. The best hits that have not moved are embedded
with the new model on the spot, which closes the dip that no calibration of scores closes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document, Generation
from revector.encoders.base import TextEncoder
from revector.encoders.once import embed_once
from revector.migration.landing import Rows
from revector.search import ranking
from revector.search.ranking import Candidates, Ranking
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]


class Blend:
    """The candidates of some queries in two generations: recall, read, rescore, rank, in this order.

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
        self._rescored = False
        self.documents: dict[int, Document] = {}

    def recall(self, depth: int) -> None:
        """Search both indexes for `depth` hits a query."""
        _, by_old = self._backend.index.search(self._old, self._old_queries, depth)
        _, by_new = self._backend.index.search(self._new, self._new_queries, depth)
        pairs = np.concatenate([by_old, by_new], axis=1)
        self._found = [np.unique(keys[keys >= 0]) for keys in pairs]

    def read(self) -> None:
        """Read the candidates' documents and vectors; those deleted meanwhile drop out."""
        keys = np.unique(np.concatenate(self._found))
        self.documents = {document.key: document for document in self._backend.documents.by_key(keys)}
        current = np.setdiff1d(keys, self._backend.generations.stale_keys(self._new.id, keys))
        self._old_vectors = _by_key(*self._backend.generations.vectors(self._old.id, keys))
        self._new_vectors = _by_key(*self._backend.generations.vectors(self._new.id, current))
        live = np.array(list(self.documents), dtype=np.int64)
        self._found = [np.intersect1d(found, live) for found in self._found]

    def rescore(self, encoder: TextEncoder, budget: int) -> Rows:
        """Embed, for each query, the best `budget` candidates that have not moved; return their new vectors.

        Raises
        ------
        EncoderError
            The model did not embed them; the ranking does without.
        """
        wanted = {key for i in range(len(self._found)) for key in self._candidates(i).unmigrated(budget).tolist()}
        documents = [self.documents[key] for key in sorted(wanted)]
        texts = {document.content_hash: document.text for document in documents}
        embedded = embed_once(encoder, texts, self._backend.generations.with_hashes(self._new.id, list(texts)))
        if embedded.failure is not None and not embedded.vectors:
            raise embedded.failure
        rows = Rows.of(
            [found.key for found in documents], [found.content_hash for found in documents], embedded.vectors
        )
        self._new_vectors.update(_by_key(rows.keys, rows.vectors))
        self._rescored = True
        return rows

    def rank(self, limit: int) -> list[Ranking]:
        """Rank the candidates of each query: in the new space once they were rescored, by standard scores otherwise."""
        order = ranking.in_new_space if self._rescored else ranking.by_mean_z
        return [order(self._candidates(i), limit) for i in range(len(self._found))]

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
        if space.metric == "cosine":
            matrix, query = normalize(matrix), normalize(query[None])[0]
        scores[known] = matrix @ query
    return scores
