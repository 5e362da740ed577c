"""Re-ranking the hits of a search within a budget of documents, time and money.

An answer never depends on it: what was not scored in time, or could not be, keeps the order that it had, and says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.errors import InvalidArgumentError, RevectorError, ShapeError
from revector.rerank.base import PatientReranker, RerankBudget, Reranker
from revector.search.answers import Answer

_FIRST_TEXTS = 4  # that a model whose speed is not known is given
_MODELS = 64  # whose speed is remembered

_log = logging.getLogger(__name__)


class Reranking:
    """Re-ranks for the searches of one process. Safe to share between threads."""

    def __init__(self) -> None:
        self._seconds_a_text: dict[int, float] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def apply(self, query: str, answer: Answer, reranker: Reranker, budget: RerankBudget) -> Answer:
        """Put the hits first that the re-ranker has scored, by its scores; the others follow as they were.

        Raises
        ------
        InvalidArgumentError
            There is a budget of money, and the re-ranker has no price.
        ShapeError
            The re-ranker gives something else than one score a text.
        """
        shown = [place for place, hit in enumerate(answer.hits) if not hit.text_gone][: budget.documents]
        texts = [answer.hits[place].text for place in shown]
        scores, problem = self._scores(query, texts, reranker, budget)
        scored = {shown[of]: float(scores[of]) for of in np.argsort(-scores, kind="stable") if np.isfinite(scores[of])}
        if len(scored) < len(shown):
            problem = problem or f"{len(scored)} of {len(shown)} documents were re-ranked within the budget"
        order = [*scored, *(place for place in range(len(answer.hits)) if place not in scored)]
        hits = [replace(answer.hits[place], rerank_score=scored.get(place)) for place in order]
        documents = [answer.documents[place] for place in order]
        return replace(answer, documents=documents, hits=[hit.flagged(problem) for hit in hits])

    def _scores(
        self, query: str, texts: Sequence[str], reranker: Reranker, budget: RerankBudget
    ) -> tuple[NDArray[np.float64], str | None]:
        """Return a score for each text, NaN where there is none, and what went wrong."""
        scores = np.full(len(texts), np.nan)
        seconds = None if budget.milliseconds is None else budget.milliseconds / 1000
        affordable = texts[: _affordable(query, texts, reranker, budget.money)]
        try:
            if not affordable:
                return scores, None
            found: NDArray[Any]
            if isinstance(reranker, PatientReranker):
                found = reranker.score_within(query, affordable, seconds)
            else:
                found = self._in_pieces(query, affordable, reranker, seconds)
            scores[: len(found)] = _checked(found, len(found))
        except (InvalidArgumentError, ShapeError):
            raise
        except RevectorError as error:
            _log.warning("a search went on without re-ranking: %s", error)
            return scores, f"not re-ranked: {error}"
        return scores, None

    def _in_pieces(
        self, query: str, texts: Sequence[str], reranker: Reranker, seconds: float | None
    ) -> NDArray[np.float64]:
        """Score as many texts, the first ones first, as a model does in some time."""
        scores, began, left = np.empty(0), time.perf_counter(), seconds
        while len(scores) < len(texts) and (left is None or left > 0):
            most = len(texts) if left is None else self._in_time(reranker, left)
            part = texts[len(scores) : len(scores) + most]
            if not part:
                break
            piece_began = time.perf_counter()
            scores = np.concatenate([scores, _checked(reranker.score(query, part), len(part))])
            self._remember(reranker, (time.perf_counter() - piece_began) / len(part))
            left = None if seconds is None else seconds - (time.perf_counter() - began)
        return scores

    def _in_time(self, reranker: Reranker, seconds: float) -> int:
        with self._lock:
            speed = self._seconds_a_text.get(id(reranker))
        return _FIRST_TEXTS if speed is None else int(seconds / max(speed, 1e-9))

    def _remember(self, reranker: Reranker, seconds_a_text: float) -> None:
        with self._lock:
            if len(self._seconds_a_text) >= _MODELS:
                self._seconds_a_text.clear()
            known = self._seconds_a_text.get(id(reranker), seconds_a_text)
            self._seconds_a_text[id(reranker)] = (known + seconds_a_text) / 2


def _affordable(query: str, texts: Sequence[str], reranker: Reranker, money: float | None) -> int:
    """Return how many texts can be scored for some money; what is not a service costs none."""
    most = len(texts)
    if money is not None and isinstance(reranker, PatientReranker):
        while most and (price := reranker.cost(query, texts[:most])) > money:
            most = min(most - 1, int(most * money / price))
    return most


def _checked(scores: object, n_texts: int) -> NDArray[np.float64]:
    found = np.asarray(scores, np.float64)
    if found.shape != (n_texts,):
        raise ShapeError(f"the re-ranker gave scores of shape {found.shape} for {n_texts} texts, expected one each")
    return found
