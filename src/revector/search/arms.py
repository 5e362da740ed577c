"""Searches of a rollout: what they are answered from, what is seen of them, and what their answers are known by."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError
from revector.migration.serving import Serving, ServingReader
from revector.migration.strategies.base import Reading
from revector.rollout import team_draft
from revector.rollout.interleaving import Team
from revector.search.answered import query_id_of
from revector.search.answers import Answer, Answers, Found
from revector.search.behind import Seen, WriteBehind
from revector.search.hits import Explanation
from revector.search.queries import QueryEncoder
from revector.search.ranking import Ranked
from revector.search.recall import Found as Recalled
from revector.search.recall import Recall
from revector.search.request import Request
from revector.search.thresholds import Thresholds

Read = Callable[[Reading], "list[Answer] | None"]
TEAMS = {Team.OLD: -1, Team.BOTH: 0, Team.NEW: 1}

_log = logging.getLogger(__name__)


class Arms:
    """Executes what only rollouts read, and marks the answers of readers with a key. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        What to read.
    serving : ServingReader
        Says who serves by now.
    queries : QueryEncoder
    answers : Answers
    behind : WriteBehind
        Keeps what was seen.
    thresholds : Thresholds
    """

    def __init__(
        self,
        backend: Backend,
        serving: ServingReader,
        queries: QueryEncoder,
        answers: Answers,
        behind: WriteBehind,
        thresholds: Thresholds,
    ) -> None:
        self._backend, self._serving, self._queries = backend, serving, queries
        self._answers, self._behind, self._thresholds = answers, behind, thresholds

    def watched(self, serving: Serving, reading: Reading, read: Read, captured: Sequence[int]) -> list[Answer] | None:
        """Read what an arm is answered from, and mark the answers; ``None`` if what was to be read has changed.

        What fails in the new arm is seen, and answered by the generation that serves. `captured` is what capturing
        calls each query.
        """
        began = time.perf_counter()
        try:
            answers = read(reading)
        except InvalidArgumentError:  # the caller's mistake says nothing of an arm
            raise
        except Exception as error:
            if reading.arm not in ("new", "both") or self._serving.read() != serving:
                raise
            self._see(serving, reading, Seen("new", 1000 * (time.perf_counter() - began), failed=True))
            _log.warning("a search of the new arm was answered by the old one: %r", error)
            return self.watched(serving, Reading((serving.serving,)), read, captured)
        for answer in answers or ():
            took = 1000 * (time.perf_counter() - began) / len(answers or ())
            self._see(serving, reading, Seen(reading.arm, took, empty=not answer.hits))
        if answers is None:
            return None
        return [_marked(serving, reading, *each) for each in zip(answers, captured, strict=True)]

    def interleaved(
        self, serving: Serving, reading: Reading, texts: Sequence[str], request: Request
    ) -> list[Answer] | None:
        """Rank two generations alone, and let them pick in turn; ``None`` if what was to be read has changed."""
        old, new = reading.recall
        vectors = [self._queries.encode(texts, each) for each in reading.recall]
        least = [self._thresholds.least(request.threshold, each, serving) for each in reading.recall]
        with self._backend.snapshot():
            recall = Recall(self._backend, request.where)
            rankings = [
                _above(recall.search(generation, rows, request.k), score)
                for generation, rows, score in zip(reading.recall, vectors, least, strict=True)
            ]
            drafts = []
            for text, *ranked in zip(texts, *rankings, strict=True):
                by_old, by_new = (keys[keys >= 0].tolist() for keys in ranked)
                drafts.append(team_draft(by_old, by_new, request.k, f"{request.key} {text}"))
            teams = [dict(zip(draft.documents, draft.teams, strict=True)) for draft in drafts]
            found = [
                Found(_in_turn(draft.documents), partial(_generation_of, team, old.id, new.id), _explained)
                for draft, team in zip(drafts, teams, strict=True)
            ]
            answers = self._answers.read(serving, found, request)
        if answers is None:
            return None
        return [
            replace(answer, teams={document: TEAMS[whose] for document, whose in team.items()})
            for answer, team in zip(answers, teams, strict=True)
        ]

    def _see(self, serving: Serving, reading: Reading, seen: Seen) -> None:
        if serving.migration is not None and serving.stage is not None and seen.arm in ("old", "new"):
            self._behind.see(serving.migration, serving.stage.name_of(reading.group), seen)


def _marked(serving: Serving, reading: Reading, answer: Answer, captured: int) -> Answer:
    """Give the hits the id that feedback about them names."""
    credited = [(document.id, answer.teams.get(document.key, 0)) for document in answer.documents]
    migration = serving.migration if reading.arm and serving.migration is not None else 0
    stage = serving.stage if migration else None
    query_id = query_id_of(migration, stage, reading.arm, credited, reading.group, captured)
    return replace(answer, hits=[replace(hit, query_id=query_id) for hit in answer.hits])


def _above(found: Recalled, least: float | None) -> NDArray[np.int64]:
    """Return the keys of what was found, -1 for what is below a threshold."""
    scores, keys = found
    return keys if least is None else np.where(scores >= least, keys, -1)


def _in_turn(keys: Sequence[int]) -> Ranked:
    """Return documents with scores that say no more than their order: those of two rankings cannot be compared."""
    ordered: NDArray[np.int64] = np.array(keys, np.int64)
    return Ranked(ordered, 1.0 / np.arange(1, len(ordered) + 1))


def _generation_of(teams: dict[int, Team], old: int, new: int, key: int) -> int:
    return old if teams[key] is Team.OLD else new


def _explained(_key: int, _score: float) -> Explanation:
    return Explanation("both", merging="interleaved")
