"""What an application makes of the hits of a vector search: fused with BM25, re-ranked.

A model that is better by itself may add nothing to a pipeline that finds the same documents by their words, or whose
re-ranker puts them in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from revector import fusion
from revector._optional import require
from revector.evaluation.alternatives import Rankings
from revector.evaluation.exact import Keys
from revector.evaluation.holdout import Holdout
from revector.evaluation.question import Question
from revector.rerank.base import Reranker

__all__ = ["DENSE", "FUSED", "RerankScores", "stages"]

FUSED = 100
"""Documents of either list that are fused, and of BM25 that are found."""
DENSE = ""
"""The vector search alone."""


def stages(
    drawn: Holdout, found: Mapping[str, Rankings], question: Question, scores: RerankScores | None
) -> dict[str, Mapping[str, Rankings]]:
    """Return what each alternative finds after each stage of the pipeline that is asked for, the whole one last.

    Parameters
    ----------
    drawn : Holdout
    found : mapping of str to list of ndarray of int64
        The rankings of each alternative by its vectors alone.
    question : Question
        Says whether hits are fused with BM25.
    scores : RerankScores or None
        Of what re-ranks them, if anything does.

    Returns
    -------
    dict of str to mapping
        Name of the stage, `DENSE` first.
    """
    result: dict[str, Mapping[str, Rankings]] = {DENSE: found}
    name = DENSE
    if question.bm25:
        by_words = _bm25(drawn)
        found = {each: _fused(rankings, by_words) for each, rankings in found.items()}
        name = "fused with BM25"
        result[name] = found
    if scores is not None:
        found = {each: scores.reranked(drawn, rankings, question.rerank_documents) for each, rankings in found.items()}
        result[f"{name}, re-ranked".lstrip(", ")] = found
    return result


def _bm25(drawn: Holdout) -> Rankings:
    """Rank the documents by BM25, in the variant of Lucene (k1 1.5, b .75, no stop words and no stemming)."""
    library = require("bm25s", extra="eval", purpose="a comparison with BM25")
    silent = {"stopwords": None, "show_progress": False}
    index = library.BM25()
    index.index(library.tokenize([document.text for document in drawn.documents], **silent), show_progress=False)
    asked = library.tokenize(list(drawn.queries.values()), return_ids=False, **silent)
    rows, scores = index.retrieve(asked, k=min(FUSED, len(drawn.documents)), show_progress=False)
    return [np.asarray(row, np.int64)[score > 0] for row, score in zip(rows, scores, strict=True)]


def _fused(rankings: Rankings, by_words: Rankings) -> Rankings:
    """Fuse by reciprocal ranks."""
    return [fusion.rrf([rows[:FUSED], words])[0] for rows, words in zip(rankings, by_words, strict=True)]


class RerankScores:
    """A re-ranker's scores; a document is shown to it once for a query, whatever alternatives and candidates find it.

    Parameters
    ----------
    reranker : Reranker
    """

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self._known: dict[tuple[str, str], float] = {}

    def reranked(self, drawn: Holdout, rankings: Rankings, most: int) -> Rankings:
        """Return the best so many of each query by their scores; those without one, and the others, stay behind."""
        return [self._of(drawn, query, rows, most) for query, rows in zip(drawn.queries, rankings, strict=True)]

    def _of(self, drawn: Holdout, query: str, rows: Keys, most: int) -> Keys:
        first = [drawn.documents[row] for row in rows[:most].tolist()]
        unknown = [document for document in first if (query, document.id) not in self._known]
        if unknown:
            given: Any = self._reranker.score(drawn.queries[query], [document.text for document in unknown])
            scored = np.asarray(given, np.float64).tolist()
            self._known.update(((query, document.id), score) for document, score in zip(unknown, scored, strict=True))
        scores = np.array([self._known[query, document.id] for document in first])
        return np.concatenate([rows[:most][fusion.best(scores)], rows[most:]])
