"""Search that is right in every phase of a migration: it executes what the strategies say is to be read."""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector._forks import renew_in_child
from revector.backends.contracts import Backend, Document, Generation
from revector.backends.filters import Where, parse_where
from revector.encoders.at_hand import EncoderSet
from revector.errors import StoreError
from revector.migration.landing import Rows
from revector.migration.serving import Serving, ServingReader
from revector.migration.strategies.base import Budget, Reading
from revector.search.behind import WriteBehind
from revector.search.blend import Blend
from revector.search.hits import Hit
from revector.search.on_read import OnReadPool
from revector.search.queries import QueryEncoder
from revector.search.ranking import Ranking
from revector.search.recall import Recall
from revector.search.rescoring import Rescoring
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]
# What a query finds that is zero (empty, or of unknown words, under a static model): all documents are equally far.
_NOTHING: Ranking = (np.empty(0, np.int64), np.empty(0, np.float64))
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rescored:
    """How many answers of a process, while documents moved, were ranked by the new model alone.

    Parameters
    ----------
    fully : int
        The best candidates all had its vector, or were given one on the spot.
    partly : int
        Some were embedded, not enough to decide.
    not_at_all : int
        The budget allowed none.
    """

    fully: int = 0
    partly: int = 0
    not_at_all: int = 0


class Searcher:
    """Executes the reading that the strategies of a migration choose. Safe to share between threads.

    A search reads who serves, encodes and searches without holding a transaction, and makes sure, when it reads the
    documents it has found, that what it began with still holds; otherwise it starts again. Documents deleted in between
    are left out. It writes nothing: counts and vectors go to the thread that writes behind it.

    Parameters
    ----------
    backend : Backend
        What to read.
    encoders : EncoderSet
        Encoders of the queries.
    serving : ServingReader
        Says who serves.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet, serving: ServingReader) -> None:
        self._backend, self._encoders, self._serving = backend, encoders, serving
        self._queries = QueryEncoder(backend, encoders)
        self._rescoring = Rescoring()
        self._answers: Counter[str] = Counter()
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self.behind = WriteBehind(backend)
        self.on_read = OnReadPool(backend, encoders, self.behind)

    def close(self) -> None:
        """End the threads that work behind searches, and write what they have left."""
        self.on_read.close()
        self.behind.close()

    def _renew_lock(self) -> None:
        self._counting = threading.Lock()

    @property
    def rescored(self) -> Rescored:
        """How the answers of this process were ranked while documents moved."""
        with self._counting:
            return Rescored(**self._answers)

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        where: Any = None,
        rescore: int | None = None,
        write_through: bool | None = None,
    ) -> list[list[Hit]]:
        """Search texts.

        Parameters
        ----------
        queries : sequence of str
        k : int
            Hits a query; fewer only where fewer documents match.
        where : mapping, optional
            What the documents' metadata must be like; see `revector.backends.filters`.
        rescore : int, optional
            How many of the best hits that have not moved are embedded with the new model while documents move, however
            long that takes. By default the migration's strategy says, within its budget.
        write_through : bool, optional
            Whether those vectors are stored; by default the strategy says.

        Returns
        -------
        list of list of Hit
            For each query, best first; none for a query of which the model knows no word.

        Raises
        ------
        EncoderError
            The model of the serving generation is not at hand, nor another one with a map to its space.
        """
        k, matched = whole_number(k, "k", least=1), parse_where(where)
        if rescore is not None:
            rescore = whole_number(rescore, "rescore", least=0)
        if not queries:
            return []

        def attempt(serving: Serving, covered: bool) -> list[list[Hit]] | None:
            reading = _as_asked(serving.reading(self._encoders, covered=covered), rescore, write_through)
            if len(reading.recall) == 1:
                (alone,) = reading.recall
                other = next((live for live in serving.live if live != alone), None)
                return self._search_alone(serving, alone, self._queries.encode(queries, alone, other), k, matched)
            return self._search_both(serving, reading, queries, k, matched)

        return self._steadily(attempt)

    def search_vectors(self, vectors: Matrix, space: EmbeddingSpace, k: int, *, where: Any = None) -> list[list[Hit]]:
        """Search vectors of the serving space, shape (q, d), among the documents that match a filter.

        Raises
        ------
        SpaceMismatchError
            They come from another space; the message names the model that is needed.
        ShapeError, NumericalError
            They have another dimension, or hold NaN or infinity.
        """
        k, matched = whole_number(k, "k", least=1), parse_where(where)

        def attempt(serving: Serving, _covered: bool) -> list[list[Hit]] | None:
            serving.serving.space.require(space, purpose="query vectors of this collection")
            return self._search_alone(serving, serving.serving, vectors, k, matched)

        return self._steadily(attempt)

    def _steadily(self, attempt: Callable[[Serving, bool], list[list[Hit]] | None]) -> list[list[Hit]]:
        """Try until what an attempt started with held to its end."""
        while True:
            with self._backend.snapshot():
                serving = self._serving.read()
                covered = serving.other is None or self._backend.index.covers(serving.other)
            try:
                found = attempt(serving, covered)
            except StoreError:
                if self._serving.read() == serving:
                    raise
                continue  # its generation was dropped
            if found is not None:
                return found

    def _search_alone(
        self, serving: Serving, alone: Generation, vectors: Matrix, k: int, where: Where | None
    ) -> list[list[Hit]] | None:
        """Search one generation; ``None`` if what was to be read has changed."""
        with self._backend.snapshot():
            scores, keys = Recall(self._backend, where).search(alone, vectors, k)
            rankings = [
                (keys[place], scores[place].astype(np.float64)) if vector.any() else _NOTHING
                for place, vector in enumerate(np.atleast_2d(np.asarray(vectors)))
            ]
            return self._answer(serving, rankings, lambda _: alone.id, where)

    def _search_both(
        self, serving: Serving, reading: Reading, queries: Sequence[str], k: int, where: Where | None
    ) -> list[list[Hit]] | None:
        """Search the complete generation and the one that fills; ``None`` if what was to be read has changed."""
        old, new = reading.recall
        old_vectors = self._queries.encode(queries, old, new)
        new_vectors = self._queries.encode(queries, new, None)
        blend = Blend(self._backend, old, new, old_vectors, new_vectors)
        with self._backend.snapshot():
            blend.recall(max(k, reading.budget.texts, reading.depth), where)
            unmoved = self._unmoved(blend, new, reading.budget.texts)
        embedded = self._rescore(blend, new, reading, unmoved) if unmoved else 0
        rankings = []
        for place, (by_old, by_new) in enumerate(zip(old_vectors, new_vectors, strict=True)):
            ranked = blend.rank(place, k)
            rankings.append(ranked if by_old.any() or by_new.any() else _NOTHING)
            known = blend.knows_best(place, min(k, reading.budget.texts) or k)
            with self._counting:
                self._answers["fully" if known else "partly" if embedded else "not_at_all"] += 1

        def leave(best: Sequence[Document]) -> None:
            unmoved = [each for each in best[: reading.queued] if blend.generation_of(each.key) != new.id]
            self.on_read.ask(new, unmoved)

        return self._answer(serving, rankings, blend.generation_of, where, leave if reading.queued else None)

    def _unmoved(self, blend: Blend, target: Generation, most: int) -> dict[int, tuple[str, str]]:
        """Return hash and text, if there is one, of the best candidates that the new model has not seen, best first."""
        wanted = blend.unmigrated(most)
        found = self._backend.documents.texts(wanted, target.space.template) if wanted else {}
        return {key: found[key] for key in wanted if key in found and found[key][1].strip()}

    def _rescore(
        self, blend: Blend, target: Generation, reading: Reading, documents: Mapping[int, tuple[str, str]]
    ) -> int:
        """Embed documents, hash and text by key, the first ones first, within the budget; return how many there were.

        The answer does not depend on it.
        """
        encoder = self._encoders.require(target, purpose="re-scoring")
        texts = dict(documents.values())
        worth = self._rescoring.worth_trying(list(texts))
        known = self.behind.waiting(target, worth)
        if not self._rescoring.is_quick(encoder):  # then it is worth a look whether another document has the same text
            known |= self._backend.generations.with_hashes(target.id, worth)
        embedded = self._rescoring.embed(encoder, {hash_: texts[hash_] for hash_ in worth}, known, reading.budget)
        if embedded.failure is not None:
            _log.warning("a search went on without re-scoring all of its hits: %s", embedded.failure)
        rows = Rows.of(list(documents), [hash_ for hash_, _ in documents.values()], embedded.vectors)
        blend.add(rows)
        if reading.write_through:
            self.behind.land(target, rows)
        return len(rows)

    def _answer(
        self,
        serving: Serving,
        rankings: Sequence[Ranking],
        generation_of: Callable[[int], int],
        where: Where | None,
        leave: Callable[[Sequence[Document]], None] | None = None,
    ) -> list[list[Hit]] | None:
        """Read what was found, and count it; ``None`` if another generation serves by now.

        What does not match by now is left out, like what was deleted. What each query found is passed to `leave`.
        """
        keys = np.unique(np.concatenate([ranked for ranked, _ in rankings]))
        with self._backend.snapshot():
            if self._serving.read() != serving:
                return None
            found = self._backend.documents.by_key(keys[keys >= 0])
        documents = {d.key: d for d in found if where is None or where.matches(d.metadata)}
        return [self._hits(ranked, documents, generation_of, leave) for ranked in rankings]

    def _hits(
        self,
        ranked: Ranking,
        documents: Mapping[int, Document],
        generation_of: Callable[[int], int],
        leave: Callable[[Sequence[Document]], None] | None,
    ) -> list[Hit]:
        """Turn keys into hits, without documents that are gone, and count the access."""
        pairs = [
            (key, score) for key, score in zip(*(part.tolist() for part in ranked), strict=True) if key in documents
        ]
        self.behind.count([key for key, _ in pairs])
        if leave is not None:
            leave([documents[key] for key, _ in pairs])
        return [_hit(documents[key], score, generation_of(key)) for key, score in pairs]


def _hit(document: Document, score: float, generation: int) -> Hit:
    gone = not document.text.strip()
    return Hit(document.id, score, document.text, document.metadata, generation, text_gone=gone)


def _as_asked(reading: Reading, rescore: int | None, write_through: bool | None) -> Reading:
    """Return a reading with what the caller of a search says otherwise."""
    if rescore is not None:
        reading = replace(reading, budget=Budget(rescore, texts_in_flight=sys.maxsize))
    return reading if write_through is None else replace(reading, write_through=write_through)
