"""Search that is right in every phase of a migration: which generations to read, and how to rank what they hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector.backends.contracts import Backend, Document, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import EncoderError, StoreError
from revector.ledger.state import Phase
from revector.migration.landing import land
from revector.migration.serving import Serving, ServingReader
from revector.search.access_log import AccessLog
from revector.search.blend import Blend
from revector.search.embedding import QueryEncoder
from revector.search.ranking import Ranking
from revector.spaces import EmbeddingSpace

RESCORE = 10
"""Hits that a search embeds with the new model, at most: the ten best are what it takes to remove the dip."""
CANDIDATES = 50
"""Hits of each generation that compete for a blended ranking, at least."""

Matrix = NDArray[np.float32]
# What a query finds that is zero (empty, or of unknown words, under a static model): all documents are equally far.
_NOTHING: Ranking = (np.empty(0, np.int64), np.empty(0, np.float64))
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Parameters
    ----------
    id : str
    score : float
        Higher is better. Comparable within one search, not between phases of a migration.
    text : str
    metadata : dict
    generation : int
        The generation whose space the ranking is in.
    """

    id: str
    score: float
    text: str
    metadata: dict[str, Any]
    generation: int


class Searcher:
    """Searches one alias of a backend. Safe to share between threads.

    A search chooses its route, encodes and searches without holding a transaction, and makes sure, when it reads the
    documents it has found, that the route still holds; otherwise it starts again. Documents deleted in between are
    left out.

    Parameters
    ----------
    backend : Backend
        What to read.
    encoders : EncoderSet
        Encoders of the queries.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet) -> None:
        self._backend = backend
        self._encoders = encoders
        self._serving = ServingReader(backend)
        self._queries = QueryEncoder(backend, encoders)
        self.accesses = AccessLog(backend)

    def blends(self, route: Serving) -> bool:
        """Tell whether the hits of both generations are ranked together: documents move, and the new model is at hand.

        Once all documents have moved, the old generation serves, alone and complete, until the cut-over; but without
        its model, mapped queries would be worse than before, so that the blend goes on. A model that is not at hand yet
        is loaded, which may ask a service: not to be called inside a transaction.
        """
        if route.other is None or self._encoders.find(route.other) is None:
            return False
        return route.phase is Phase.FILLING or (
            route.phase is Phase.PROVING and self._encoders.find(route.serving) is None
        )

    def reading(self) -> Generation:
        """Return a generation whose vectors let searches find a document: the serving one, if its model is at hand."""
        route = self._serving.read()
        if route.other is not None and self._encoders.find(route.serving) is None and self.blends(route):
            return route.other
        return route.serving

    def search(
        self, queries: Sequence[str], k: int, *, rescore: int = RESCORE, write_through: bool = True
    ) -> list[list[Hit]]:
        """Search texts.

        Parameters
        ----------
        queries : sequence of str
        k : int
            Hits a query.
        rescore : int
            How many of the best hits that have not moved are embedded with the new model, while documents move.
        write_through : bool
            Store those vectors, so that each is paid for once.

        Returns
        -------
        list of list of Hit
            For each query, best first; none for a query of which the model knows no word.

        Raises
        ------
        EncoderError
            The model of the serving generation is not at hand, nor another one with a map to its space.
        """
        k, rescore = whole_number(k, "k", least=1), whole_number(rescore, "rescore", least=0)
        if not queries:
            return []
        return self._steadily(lambda route: self._search(route, queries, k, rescore, write_through))

    def search_vectors(self, vectors: Matrix, space: EmbeddingSpace, k: int) -> list[list[Hit]]:
        """Search vectors of the serving space, shape (q, d).

        Raises
        ------
        SpaceMismatchError
            They come from another space; the message names the model that is needed.
        ShapeError, NumericalError
            They have another dimension, or hold NaN or infinity.
        """
        k = whole_number(k, "k", least=1)

        def attempt(route: Serving) -> list[list[Hit]] | None:
            route.serving.space.require(space, purpose="query vectors of this collection")
            return self._search_alone(route, vectors, k)

        return self._steadily(attempt)

    def _steadily(self, attempt: Callable[[Serving], list[list[Hit]] | None]) -> list[list[Hit]]:
        """Try until the route that an attempt started with held to its end."""
        while True:
            route = self._serving.read()
            try:
                found = attempt(route)
            except StoreError:
                if self._serving.read() == route:
                    raise
                continue  # its generation was dropped
            if found is not None:
                return found

    def _search(
        self, route: Serving, queries: Sequence[str], k: int, rescore: int, write_through: bool
    ) -> list[list[Hit]] | None:
        """Search by a route; ``None`` if it no longer holds."""
        vectors = self._queries.encode(queries, route.serving, route.other)
        if route.other is None or not self.blends(route):
            return self._search_alone(route, vectors, k)
        new_vectors = self._queries.encode(queries, route.other, None)
        blend = Blend(self._backend, route.serving, route.other, vectors, new_vectors)
        blend.recall(max(k, rescore, CANDIDATES))
        with self._backend.snapshot():
            if self._serving.read() != route:
                return None
            blend.read()
        if rescore > 0:
            self._rescore(blend, route.other, rescore, write_through)
        asked = zip(blend.rank(k), vectors, new_vectors, strict=True)
        rankings = [ranked if old.any() or new.any() else _NOTHING for ranked, old, new in asked]
        return [self._hits(ranked, blend.documents, blend.generation_of) for ranked in rankings]

    def _search_alone(self, route: Serving, vectors: Matrix, k: int) -> list[list[Hit]] | None:
        """Search the serving generation; ``None`` if it no longer serves."""
        scores, keys = self._backend.index.search(route.serving, vectors, k)
        with self._backend.snapshot():
            if self._serving.read() != route:
                return None
            found = self._backend.documents.by_key(np.unique(keys[keys >= 0]))
        documents = {document.key: document for document in found}
        rankings = [
            (keys[place], scores[place].astype(np.float64)) if vector.any() else _NOTHING
            for place, vector in enumerate(np.atleast_2d(np.asarray(vectors)))
        ]
        return [self._hits(ranked, documents, lambda _: route.serving.id) for ranked in rankings]

    def _rescore(self, blend: Blend, target: Generation, budget: int, write_through: bool) -> None:
        """Rescore the best hits that have not moved; the answer does not depend on it."""
        encoder = self._encoders.require(target, purpose="re-scoring")
        try:
            rows = blend.rescore(encoder, budget)
            if write_through and len(rows) and not self._backend.read_only:
                land(self._backend, target.id, rows)
        except (EncoderError, StoreError) as error:
            _log.warning("a search went on without re-scoring or writing its vectors through: %s", error)

    def _hits(
        self, ranked: Ranking, documents: Mapping[int, Document], generation_of: Callable[[int], int]
    ) -> list[Hit]:
        """Turn keys into hits, without documents that are gone, and count the access."""
        pairs = [
            (key, score) for key, score in zip(*(part.tolist() for part in ranked), strict=True) if key in documents
        ]
        self.accesses.add([key for key, _ in pairs])
        return [
            Hit(documents[key].id, score, documents[key].text, documents[key].metadata, generation_of(key))
            for key, score in pairs
        ]
