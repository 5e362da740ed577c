"""Measuring a live collection: the quality of its state, and the searches it answers meanwhile."""

from __future__ import annotations

import itertools
import time

import numpy as np
from numpy.typing import NDArray

from revector.collection import Collection
from revector.demo.reference import DEPTH, METRIC
from revector.demo.report import Example, Sample, Traffic
from revector.errors import RevectorError
from revector.evaluation.metrics import as_array, per_query
from revector.evaluation.significance import paired_lift
from revector.formats.judgements import Corpus

Rankings = dict[str, list[str]]


class QualitySampler:
    """Asks all judged queries, and compares the answers with those of the old model.

    Parameters
    ----------
    collection : Collection
        A handle of its own: what it computes is not written (``write_through=False``), so that measuring a state does
        not change it.
    corpus : Corpus
        Its queries and judgements.
    """

    def __init__(self, collection: Collection, corpus: Corpus) -> None:
        self._collection = collection
        self._corpus = corpus
        self.before = self.rankings()
        self.old_scores = self._scores(self.before)
        self.samples: list[Sample] = []

    def rankings(self) -> Rankings:
        """Return the ids that each query finds, best first; asked one by one, as users ask.

        Queries that are asked together share what is re-scored, and would show more than a single one gets.
        """
        return {query: self._ids(text) for query, text in self._corpus.queries.items()}

    def _ids(self, text: str) -> list[str]:
        return [hit.id for hit in self._collection.search(text, k=DEPTH, write_through=False)]

    def sample(self, state: str, migrated: float) -> Sample:
        """Measure the present state, and keep the sample."""
        scores = self._scores(self.rankings())
        difference = paired_lift(self.old_scores, scores)
        self.samples.append(Sample(state, migrated, float(scores.mean()), difference))
        return self.samples[-1]

    def unchanged(self) -> int:
        """Return how many queries find the same documents in the same order as with the old model alone."""
        return sum(self.before[query] == found for query, found in self.rankings().items())

    def example(self) -> Example:
        """Return the query that has gained most by now, and what was first for it then and is now."""
        now = self.rankings()
        judged = list(per_query(now, self._corpus.qrels, METRIC))
        query = judged[int(np.argmax(self._scores(now) - self.old_scores))]
        return Example(self._corpus.queries[query], self.before[query][0], now[query][0])

    def _scores(self, rankings: Rankings) -> NDArray[np.float64]:
        return as_array(per_query(rankings, self._corpus.qrels, METRIC))


class LiveTraffic:
    """Sends one search after another to a collection that is being migrated, as its users would."""

    def __init__(self, collection: Collection, corpus: Corpus) -> None:
        self._collection = collection
        self._queries = itertools.cycle(corpus.queries.values())
        self._milliseconds: list[float] = []
        self.errors: list[RevectorError] = []

    def search_once(self) -> None:
        """Send the next query; an error is kept for the report."""
        began = time.perf_counter()
        try:
            self._collection.search(next(self._queries), k=DEPTH)
        except RevectorError as error:
            self.errors.append(error)
        else:
            self._milliseconds.append((time.perf_counter() - began) * 1e3)

    def summary(self) -> Traffic:
        """Return how many were answered, and how fast."""
        taken = self._milliseconds or [0.0]
        return Traffic(len(self._milliseconds), len(self.errors), float(np.median(taken)), max(taken))
