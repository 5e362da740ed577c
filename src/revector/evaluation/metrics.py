"""Retrieval metrics for each judged query, computed by ir-measures (trec_eval underneath).

A run is what a search returned: for each query the document ids, best first. Its order is taken as it is. trec_eval
itself would break ties between equal scores by document id, so it is given ranks, never scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.errors import InvalidArgumentError

Run = Mapping[str, Sequence[str]]
"""Query id -> document ids, best first."""

Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> grade; above 0 is relevant."""

DEFAULT_METRICS = ("nDCG@10", "MRR@10", "recall@10", "precision@10")
FULL_DEPTH = 1000
"""How deep a run has to be for a metric without a cut-off."""

_NAMES = {"ndcg": "nDCG", "mrr": "RR", "recall": "R", "precision": "P"}
_PATTERN = re.compile(r"(ndcg|mrr|recall|precision)(?:@([1-9]\d*))?", re.IGNORECASE)


def depth(metric: str) -> int:
    """Return how many documents a query the metric looks at.

    Parameters
    ----------
    metric : str
        ``"nDCG@k"``, ``"MRR"``, ``"MRR@k"``, ``"recall@k"`` or ``"precision@k"``, in any case.
    """
    return _parse(metric)[1] or FULL_DEPTH


def judged_queries(qrels: Qrels) -> list[str]:
    """Return the ids of the queries with at least one relevant document; the others can not tell models apart."""
    return [query for query, grades in qrels.items() if any(grade > 0 for grade in grades.values())]


def per_query(run: Run, qrels: Qrels, metric: str) -> dict[str, float]:
    """Score each judged query.

    Parameters
    ----------
    run : mapping of str to sequence of str
        Ranked document ids; a query that is missing or has none scores 0.
    qrels : mapping of str to mapping of str to int
        Grades. Queries without a relevant document are left out.
    metric : str
        See `depth`.

    Returns
    -------
    dict of str to float
        One value for each of `judged_queries`, in that order.

    Raises
    ------
    InvalidArgumentError
        The metric is unknown, or a ranking holds a document twice.
    """
    judged = judged_queries(qrels)
    ranked = {query: _scores_from_ranks(query, run.get(query, ())) for query in judged}
    grades = {query: dict(qrels[query]) for query in judged}
    values = dict.fromkeys(judged, 0.0)
    library = require("ir_measures", extra="eval", purpose="evaluation")
    for found in library.iter_calc([_measure(metric)], grades, ranked):
        values[found.query_id] = float(found.value)
    return values


def as_array(values: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the values of `per_query` as an array, in the order of its queries."""
    return np.fromiter(values.values(), dtype=np.float64, count=len(values))


def _scores_from_ranks(query: str, documents: Sequence[str]) -> dict[str, float]:
    scores = {document: float(-rank) for rank, document in enumerate(documents)}
    if len(scores) != len(documents):
        raise InvalidArgumentError(f"the ranking of query {query!r} holds a document twice; merge its hits first")
    return scores


def _parse(metric: str) -> tuple[str, int | None]:
    match = _PATTERN.fullmatch(metric.strip())
    name, cutoff = match.groups() if match else (None, None)
    if name is None or (cutoff is None and name.lower() != "mrr"):
        raise InvalidArgumentError(
            f"metric is {metric!r}, expected nDCG@k, MRR, MRR@k, recall@k or precision@k, for example nDCG@10"
        )
    return _NAMES[name.lower()], int(cutoff) if cutoff else None


def _measure(metric: str) -> object:
    name, cutoff = _parse(metric)
    measure = getattr(require("ir_measures", extra="eval", purpose="evaluation"), name)
    return measure @ cutoff if cutoff else measure
