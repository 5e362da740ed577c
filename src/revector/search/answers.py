"""Hits out of what was found: the documents are read in the moment in which it is sure that the answer still holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from revector.backends.contracts import MAPPED, Backend, Document
from revector.migration.serving import Serving, ServingReader
from revector.search.hits import Explanation, Hit
from revector.search.ranking import Ranked
from revector.search.request import Request


@dataclass(frozen=True)
class Found:
    """What one query found.

    Parameters
    ----------
    ranked : Ranked
    generation_of : callable
        Returns the generation that a key's hit is of.
    explained : callable
        Returns how a key with its score came by its place.
    degraded : str or None
        Why this may be worse than usual.
    """

    ranked: Ranked
    generation_of: Callable[[int], int]
    explained: Callable[[int, float], Explanation]
    degraded: str | None = None


@dataclass(frozen=True)
class Answer:
    """The hits of one query, best first, and their documents; the team of each key if it is interleaved."""

    documents: list[Document]
    hits: list[Hit]
    teams: Mapping[int, int] = field(default_factory=dict)


class Answers:
    """Turns what was found into hits. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        Holds the documents.
    serving : ServingReader
        Says who serves by now.
    """

    def __init__(self, backend: Backend, serving: ServingReader) -> None:
        self._backend, self._serving = backend, serving

    def read(self, serving: Serving, found: Sequence[Found], request: Request) -> list[Answer] | None:
        """Read what was found; ``None`` if another generation serves by now.

        What does not match by now is left out, like what was deleted.
        """
        keys = np.unique(np.concatenate([one.ranked.keys for one in found]))
        with self._backend.snapshot():
            if self._serving.read() != serving:
                return None
            read = self._backend.documents.by_key(keys[keys >= 0])
            documents = {d.key: d for d in read if request.where is None or request.where.matches(d.metadata)}
            answers = [_answer(one, documents, request.explain) for one in found]
            return [self._with_carried(answer) for answer in answers] if request.explain else answers

    def _with_carried(self, answer: Answer) -> Answer:
        """Say which vectors no model has made."""
        hits, carried = answer.hits, set()
        for generation in {hit.generation for hit in hits}:
            ids = [hit.id for hit in hits if hit.generation == generation]
            known = self._backend.generations.info(generation, ids)
            carried |= {info.id for info in known if info.content_hash == MAPPED}
        return replace(answer, hits=[_carried(hit) if hit.id in carried else hit for hit in hits])


def _answer(found: Found, documents: Mapping[int, Document], explain: bool) -> Answer:
    """Turn keys into hits, without documents that are gone."""
    pairs = zip(found.ranked.keys.tolist(), found.ranked.scores.tolist(), strict=True)
    kept = [pair for pair in pairs if pair[0] in documents]
    hits = [_hit(documents[key], score, found.generation_of(key), found.degraded) for key, score in kept]
    if explain:
        hits = [replace(hit, explanation=found.explained(*pair)) for hit, pair in zip(hits, kept, strict=True)]
    return Answer([documents[key] for key, _ in kept], hits)


def _hit(document: Document, score: float, generation: int, degraded: str | None) -> Hit:
    gone = not document.text.strip()
    return Hit(document.id, score, document.text, document.metadata, generation, gone, degraded)


def _carried(hit: Hit) -> Hit:
    return replace(hit, explanation=None if hit.explanation is None else replace(hit.explanation, carried=True))
