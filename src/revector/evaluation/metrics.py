"""Retrieval metrics for each judged query, computed by ir-measures (trec_eval underneath).

A run is what a search returned: for each query the document ids, best first, or the documents' scores. The order of a
list is taken as it is. Documents with scores are ordered as trec_eval orders them: the highest score first, equal ones
by document id from the last to the first. trec_eval itself is given ranks, never scores.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown, strings, valid_unicode, whole_number
from revector._optional import require
from revector.errors import InvalidArgumentError

Run = Mapping[str, "Sequence[str] | Mapping[str, float]"]
"""Query id -> document ids, best first; or document id -> score."""

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> grade; above 0 is relevant. A negative grade (spam, in TREC's files) counts as 0."""

DEFAULT_METRICS = ("nDCG@10", "MRR@10", "recall@10", "precision@10", "success@10")
TABLE_DEPTH = 10
TABLE = tuple(f"{name}@{TABLE_DEPTH}" for name in ("precision", "recall", "MRR", "nDCG", "success"))
"""What the table of an assessment holds beside the metric that decides."""

FULL_DEPTH = 1000
"""How deep a run has to be for a metric without a cut-off."""

MAX_GRADE = 32_768
"""trec_eval holds a number for every grade up to the highest one."""

_NAMES = {"ndcg": "nDCG", "mrr": "RR", "recall": "R", "precision": "P", "success": "Success"}
_PATTERN = re.compile(r"(ndcg|mrr|recall|precision|success)(?:@([1-9][0-9]{0,5}))?", re.IGNORECASE)


def depth(metric: str) -> int:
    """Return how many documents a query the metric looks at.

    Parameters
    ----------
    metric : str
        ``"nDCG@k"``, ``"MRR"``, ``"MRR@k"``, ``"recall@k"``, ``"precision@k"`` or ``"success@k"`` (whether a
        relevant document is among the first k), in any case; k below a million.
    """
    return _parse(metric)[1] or FULL_DEPTH


def require_library() -> None:
    """Raise `MissingExtraError` unless the metrics can be computed."""
    require("ir_measures", extra="eval", purpose="evaluation")


def checked_qrels(qrels: Qrels) -> dict[str, dict[str, int]]:
    """Return judgements with grades from 0 to `MAX_GRADE`.

    Raises
    ------
    InvalidArgumentError
        Something else than query ids, document ids and integers; the message names query and document.
    """
    return {
        query: {document: checked_grade(grade, f"qrels[{query!r}][{document!r}]") for document, grade in grades.items()}
        for query, grades in _by_id(qrels, "qrels", "grades by document id")
    }


def checked_queries(queries: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of queries; raise `InvalidArgumentError` unless they are valid strings by id."""
    if not isinstance(queries, Mapping):
        raise InvalidArgumentError(f"queries is {shown(queries)}, expected a mapping from query id to text")
    ids = strings(queries.keys(), "the keys of queries")
    for query, text in zip(ids, queries.values(), strict=True):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"queries[{query!r}] is {shown(text)}, expected its text")
        valid_unicode(text, f"queries[{query!r}]")
    return dict(zip(ids, queries.values(), strict=True))


def judged_queries(qrels: Qrels) -> list[str]:
    """Return the ids of the queries with at least one relevant document; the others cannot tell models apart."""
    return [query for query, grades in checked_qrels(qrels).items() if any(grades.values())]


def per_query(run: Run, qrels: Qrels, metric: str) -> dict[str, float]:
    """Score each judged query.

    Parameters
    ----------
    run : mapping of str to sequence of str, or of str to mapping of str to float
        Ranked document ids, or scores by document id; a query that is missing or has none scores 0.
    qrels : mapping of str to mapping of str to int
        Grades up to `MAX_GRADE`. Queries without a relevant document are left out.
    metric : str
        See `depth`.

    Returns
    -------
    dict of str to float
        One value for each of `judged_queries`, in that order.

    Raises
    ------
    InvalidArgumentError
        The metric is unknown, a ranking holds a document twice, a score is NaN, or run or qrels are something else.
    """
    measure, known = _measure(metric), checked_qrels(qrels)
    if not isinstance(run, Mapping):
        raise InvalidArgumentError(f"run is {shown(run)}, expected a mapping from query id to ranked document ids")
    judged = judged_queries(known)
    ranked = {query: _scores_from_ranks(query, _ranking(query, run.get(query, ()))) for query in judged}
    grades = {query: known[query] for query in judged}
    values = dict.fromkeys(judged, 0.0)
    library = require("ir_measures", extra="eval", purpose="evaluation")
    for found in library.iter_calc([measure], grades, ranked):
        values[found.query_id] = float(found.value)
    return values


def as_array(values: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the values of `per_query` as an array, in the order of its queries."""
    return np.fromiter(values.values(), dtype=np.float64, count=len(values))


def _ranking(query: str, found: Any) -> list[str]:
    """Return the documents found for a query, best first."""
    if not isinstance(found, Mapping):
        return strings(found, f"run[{query!r}]")
    ids = strings(found.keys(), f"the keys of run[{query!r}]")
    scores = dict(zip(ids, (_score(score, query, id_) for id_, score in found.items()), strict=True))
    return sorted(sorted(ids, reverse=True), key=scores.__getitem__, reverse=True)


def _score(score: Any, query: str, document: str) -> float:
    try:
        value = math.nan if isinstance(score, (str, bytes)) else float(score)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if math.isnan(value):
        raise InvalidArgumentError(f"run[{query!r}][{document!r}] is {shown(score)}, expected a score")
    return value


def _by_id(mapping: Any, name: str, inner: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what a mapping of mappings holds; raise `InvalidArgumentError` unless the keys of both are str."""
    if not isinstance(mapping, Mapping):
        raise InvalidArgumentError(f"{name} is {shown(mapping)}, expected a mapping from query id to {inner}")
    for query, values in zip(strings(mapping.keys(), f"the keys of {name}"), mapping.values(), strict=True):
        if not isinstance(values, Mapping):
            raise InvalidArgumentError(f"{name}[{query!r}] is {shown(values)}, expected {inner}")
        ids = strings(values.keys(), f"the keys of {name}[{query!r}]")
        yield query, dict(zip(ids, values.values(), strict=True))


def checked_grade(grade: Any, name: str) -> int:
    """Return a grade from 0 to `MAX_GRADE`; raise `InvalidArgumentError` for what is not an integer, or above."""
    whole = whole_number(grade, name)
    if whole > MAX_GRADE:
        raise InvalidArgumentError(f"{name} is {shown(grade)}, expected at most {MAX_GRADE}; scale the grades down")
    return max(0, whole)


def _scores_from_ranks(query: str, documents: Sequence[str]) -> dict[str, float]:
    scores = {document: float(-rank) for rank, document in enumerate(documents)}
    if len(scores) != len(documents):
        raise InvalidArgumentError(f"the ranking of query {query!r} holds a document twice; merge its hits first")
    return scores


def _parse(metric: str) -> tuple[str, int | None]:
    match = _PATTERN.fullmatch(metric.strip()) if isinstance(metric, str) else None
    name, cutoff = match.groups() if match else (None, None)
    if name is None or (cutoff is None and name.lower() != "mrr"):
        raise InvalidArgumentError(
            f"metric is {shown(metric)}, expected nDCG@k, MRR, MRR@k, recall@k, precision@k or success@k, "
            "for example nDCG@10"
        )
    return _NAMES[name.lower()], int(cutoff) if cutoff else None


def _measure(metric: str) -> object:
    name, cutoff = _parse(metric)
    measure = getattr(require("ir_measures", extra="eval", purpose="evaluation"), name)
    return measure @ cutoff if cutoff else measure
