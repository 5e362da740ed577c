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
from revector.evaluation.exact import Keys
from revector.evaluation.holdout import Holdout
from revector.evaluation.question import Question
from revector.rerank.base import Reranker

__all__ = ["DENSE", "FUSED", "stages"]

FUSED = 100
"""Documents of either list that are fused, and of BM25 that are found."""
DENSE = ""
"""The vector search alone."""

Rankings = list[Keys]


def stages(drawn: Holdout, found: Mapping[str, Rankings], question: Question) -> dict[str, Mapping[str, Rankings]]:
    """Return what each alternative finds after each stage of the pipeline that is asked for, the whole one last.

    Parameters
    ----------
    drawn : Holdout
    found : mapping of str to list of ndarray of int64
        The rankings of each alternative by its vectors alone.
    question : Question
        Says whether hits are fused with BM25, and re-ranked by what.

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
    if question.reranker is not None:
        scores = _Scores(drawn, question.reranker)
        found = {
            each: [scores.reranked(query, rows, question.rerank_documents) for query, rows in enumerate(rankings)]
            for each, rankings in found.items()
        }
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


class _Scores:
    """The re-ranker's scores; a document that several alternatives find for a query is shown to it once."""

    def __init__(self, drawn: Holdout, reranker: Reranker) -> None:
        self._texts = [document.text for document in drawn.documents]
        self._queries, self._reranker = list(drawn.queries.values()), reranker
        self._known: dict[tuple[int, int], float] = {}

    def reranked(self, query: int, rows: Keys, most: int) -> Keys:
        """Return the best so many by the re-ranker's scores; those without one, and the others, stay behind."""
        first = rows[:most]
        unknown = [row for row in first.tolist() if (query, row) not in self._known]
        if unknown:
            given: Any = self._reranker.score(self._queries[query], [self._texts[row] for row in unknown])
            scored = np.asarray(given, np.float64).tolist()
            self._known.update(((query, row), score) for row, score in zip(unknown, scored, strict=True))
        scores = np.array([self._known[query, row] for row in first.tolist()])
        return np.concatenate([first[fusion.best(scores)], rows[most:]])
