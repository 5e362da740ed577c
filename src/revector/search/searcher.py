"""Search that is right in every phase of a migration: it executes what the strategies say is to be read."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import StoreError
from revector.migration.canaries import is_same_model
from revector.migration.landing import Rows
from revector.migration.serving import Serving, ServingReader
from revector.migration.strategies.base import Reading
from revector.search.answers import Answer, Answers, Found
from revector.search.arms import Arms
from revector.search.behind import WriteBehind
from revector.search.blend import Blend
from revector.search.calibration import Calibration
from revector.search.capture import Capture, key_of
from revector.search.hits import Arm, Explanation, Hit
from revector.search.on_read import OnReadPool
from revector.search.queries import QueryEncoder
from revector.search.ranking import Ranked
from revector.search.recall import Recall
from revector.search.request import Request
from revector.search.reranking import Reranking
from revector.search.rescoring import Rescoring
from revector.search.shadowing import Shadowing
from revector.search.thresholds import Thresholds
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]
# What a query finds that is zero (empty, or of unknown words, under a static model): all documents are equally far.
_NOTHING = Ranked(np.empty(0, np.int64), np.empty(0, np.float64))
ONE_DEPTH = 4
"""So much deeper one generation is searched for both. With three quarters moved from a static model to MiniLM, nDCG@10
was .688 instead of .681 on Debian's descriptions, and .232 instead of .223 on WordNet (700 queries, ten re-scored)."""
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
    on_seen : callable, optional
        Called when what was seen of a rollout's searches is written.
    """

    def __init__(
        self,
        backend: Backend,
        encoders: EncoderSet,
        serving: ServingReader,
        on_seen: Callable[[], object] | None = None,
    ) -> None:
        self._backend, self._encoders, self._serving = backend, encoders, serving
        self.queries = QueryEncoder(backend, encoders)
        self._rescoring = Rescoring()
        self._ranked: Counter[str] = Counter()
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self.behind = WriteBehind(backend, on_seen)
        self.on_read = OnReadPool(backend, encoders, self.behind)
        self.thresholds, self._calibration = Thresholds(backend, encoders), Calibration()
        self._answers, self._reranking = Answers(backend, serving), Reranking()
        self.capture = Capture()
        self._shadowing = Shadowing(backend, self.queries, self.behind)
        self._arms = Arms(backend, serving, self.queries, self._answers, self.behind, self.thresholds)

    def close(self) -> None:
        """End the threads that work behind searches, and write what they have left."""
        self.on_read.close()
        self._shadowing.close()
        self.behind.close()

    def _renew_lock(self) -> None:
        self._counting = threading.Lock()

    @property
    def rescored(self) -> Rescored:
        """How the answers of this process were ranked while documents moved."""
        with self._counting:
            return Rescored(**self._ranked)

    def search(self, queries: Sequence[str], request: Request) -> list[list[Hit]]:
        """Search texts.

        Parameters
        ----------
        queries : sequence of str
        request : Request
            What is asked about each of them.

        Returns
        -------
        list of list of Hit
            For each query, best first; none for a query of which the model knows no word.

        Raises
        ------
        EncoderError
            The model of the serving generation is not at hand, nor another one that could answer anything.
        """
        if not queries:
            return []
        kept = self.capture.sample(queries)
        self.behind.capture([query for query in kept if query is not None])
        captured = [0 if query is None else key_of(query) for query in kept]

        def attempt(serving: Serving, covered: bool) -> list[Answer] | None:
            reading = request.applied_to(serving.reading(self._encoders, covered=covered, key=request.key))
            read = partial(self._read, serving, queries, request)
            return read(reading) if request.key is None else self._arms.watched(serving, reading, read, captured)

        return self._counted(self._steadily(attempt), request.k)

    def _read(
        self, serving: Serving, queries: Sequence[str], request: Request, reading: Reading
    ) -> list[Answer] | None:
        """Execute a reading, and re-rank what it found; ``None`` if what was to be read has changed."""
        answers, reranker = self._found(serving, queries, request, reading), request.rerank
        if answers is not None and reading.shadow:
            self._shadowing.ask(serving, queries, request, reading.shadow)
        if answers is None or reranker is None:
            return answers
        return [
            self._reranking.apply(query, answer, reranker, request.rerank_budget)
            for query, answer in zip(queries, answers, strict=True)
        ]

    def _found(
        self, serving: Serving, queries: Sequence[str], request: Request, reading: Reading
    ) -> list[Answer] | None:
        if reading.arm == "both":
            return self._arms.interleaved(serving, reading, queries, request)
        reading, degraded = self.queries.within_reach(reading, serving.live)
        if len(reading.recall) == 1:
            (alone,) = reading.recall
            vectors = self.queries.encode(queries, alone, serving.live)
            return _flagged(self._search_alone(serving, alone, vectors, request), degraded)
        return _flagged(self._search_both(serving, reading, queries, request), degraded)

    def search_vectors(self, vectors: Matrix, space: EmbeddingSpace, request: Request) -> list[list[Hit]]:
        """Search vectors, shape (q, d), in the generation of their space: the serving one, or one that has served.

        Raises
        ------
        SpaceMismatchError
            They come from another space; the message names the model that is needed.
        ShapeError, NumericalError
            They have another dimension, or hold NaN or infinity.
        """

        def attempt(serving: Serving, _covered: bool) -> list[Answer] | None:
            return self._search_alone(serving, serving.of_vectors(space), vectors, request)

        return self._counted(self._steadily(attempt), request.k)

    def _counted(self, answers: Sequence[Answer], k: int) -> list[list[Hit]]:
        """Return the best hits of each query, and count the access."""
        for answer in answers:
            self.behind.count([document.key for document in answer.documents[:k]])
        return [answer.hits[:k] for answer in answers]

    def _steadily(self, attempt: Callable[[Serving, bool], list[Answer] | None]) -> list[Answer]:
        """Try until what an attempt started with held to its end."""
        began = time.perf_counter()
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
                self.behind.took(time.perf_counter() - began)
                return found

    def _search_alone(
        self, serving: Serving, alone: Generation, vectors: Matrix, request: Request
    ) -> list[Answer] | None:
        """Search one generation; ``None`` if what was to be read has changed."""
        arm, least = _arm(serving, alone), self.thresholds.least(request.threshold, alone, serving)
        with self._backend.snapshot():
            scores, keys = Recall(self._backend, request.where).search(alone, vectors, request.depth)
            rankings = [
                Ranked(keys[place], scores[place].astype(np.float64)) if vector.any() else _NOTHING
                for place, vector in enumerate(np.atleast_2d(np.asarray(vectors)))
            ]
            if least is not None:
                rankings = [ranked.at(ranked.scores >= least) for ranked in rankings]
            found = [Found(ranked, lambda _: alone.id, partial(_explained, arm)) for ranked in rankings]
            return self._answers.read(serving, found, request)

    def _search_both(
        self, serving: Serving, reading: Reading, queries: Sequence[str], request: Request
    ) -> list[Answer] | None:
        """Search the complete generation and the one that fills; ``None`` if what was to be read has changed."""
        old, new = reading.recall
        old_vectors = self.queries.encode(queries, old, (new,))
        new_vectors = self.queries.encode(queries, new)
        blend = Blend(self._backend, old, new, old_vectors, new_vectors)
        most, least = reading.budget.texts, self.thresholds.least_of_both(request.threshold, old, new, serving)
        looks_in_both = reading.looks_in_last and (most > 0 or serving.other is not None)  # an insurance holds a few
        depth = max(request.depth, most, reading.depth if looks_in_both else ONE_DEPTH * reading.depth)
        with self._backend.snapshot():
            blend.recall(depth, request.where, fresh=serving.moved, both=looks_in_both)
            unmoved = self._unmoved(blend, new, most)
        missing = set(unmoved) - self._rescore(blend, new, reading, unmoved) if unmoved else set()
        calibrated = reading.merging == "calibrated"
        learnt = self._calibration.learnt((old.id, new.id), blend.pairs()) if calibrated else None
        found = []
        for place, (by_old, by_new) in enumerate(zip(old_vectors, new_vectors, strict=True)):
            asks = by_old.any() or by_new.any()
            ranked = blend.rank(place, request.depth, reading, least, learnt) if asks else _NOTHING
            self._count(blend.knows_best(place, min(request.k, most) or request.k), len(missing) < len(unmoved))
            left = sum(key in missing for key in blend.lacking(place, most))
            explained = partial(blend.explained, place, ranked, reading)
            found.append(Found(ranked, blend.generation_of, explained, _not_rescored(left, most)))
        answers = self._answers.read(serving, found, request)
        if answers is not None and reading.queued:
            best = [document for answer in answers for document in answer.documents[: reading.queued]]
            self.on_read.ask(new, [each for each in best if blend.generation_of(each.key) != new.id])
        return answers

    def _count(self, known: bool, embedded: bool) -> None:
        with self._counting:
            self._ranked["fully" if known else "partly" if embedded else "not_at_all"] += 1

    def _unmoved(self, blend: Blend, target: Generation, most: int) -> dict[int, tuple[str, str]]:
        """Return hash and text, if there is one, of the best candidates that the new model has not seen, best first."""
        wanted = blend.unmigrated(most)
        found = self._backend.documents.texts(wanted, target.space.template) if wanted else {}
        return {key: found[key] for key in wanted if key in found and found[key][1].strip()}

    def _rescore(
        self, blend: Blend, target: Generation, reading: Reading, documents: Mapping[int, tuple[str, str]]
    ) -> set[int]:
        """Embed documents, hash and text by key, the first ones first, within the budget; return which.

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
        if reading.write_through and is_same_model(self._encoders, target):
            self.behind.land(target, rows)
        return set(rows.keys.tolist())


def _arm(serving: Serving, alone: Generation) -> Arm:
    """Return whose model's generation answers alone."""
    if serving.other is None:
        return "alone"
    return "new" if (alone.id == serving.serving.id) == serving.moved else "old"


def _explained(arm: Arm, _key: int, score: float) -> Explanation:
    return Explanation(arm, score if arm == "old" else None, score if arm == "new" else None)


def _not_rescored(left: int, most: int) -> str | None:
    """Say that the best hits are not ranked by the new model as they should be."""
    if not left:
        return None
    return f"{left} of the {most} best documents that have not moved were not embedded within the budget"


def _flagged(found: list[Answer] | None, degraded: str | None) -> list[Answer] | None:
    """Let hits say what the answer lacks, beside what they say already."""
    if found is None or degraded is None:
        return found
    return [
        replace(
            answer,
            hits=[replace(hit, degraded="; ".join(filter(None, (degraded, hit.degraded)))) for hit in answer.hits],
        )
        for answer in found
    ]
