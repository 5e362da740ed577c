"""Metrics of judged queries: the values of the formulas, and what trec_eval must not decide by itself."""

from __future__ import annotations

import math

import pytest

from revector.errors import InvalidArgumentError
from revector.evaluation.metrics import DEFAULT_METRICS, as_array, depth, judged_queries, per_query

QRELS = {"q": {"good": 2, "fair": 1, "bad": 0}, "other": {"good": 1}}


def _value(ranking: list[str], metric: str) -> float:
    return per_query({"q": ranking}, {"q": QRELS["q"]}, metric)["q"]


def test_ndcg_is_the_formula() -> None:
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert _value(["x", "fair", "good"], "nDCG@10") == pytest.approx((1 / math.log2(3) + 2 / math.log2(4)) / ideal)


@pytest.mark.parametrize(
    ("metric", "expected"), [("MRR@10", 0.5), ("MRR", 0.5), ("recall@2", 0.5), ("precision@4", 0.5), ("mrr@1", 0.0)]
)
def test_the_other_metrics_are_their_formulas(metric: str, expected: float) -> None:
    assert _value(["x", "fair", "good"], metric) == pytest.approx(expected)


@pytest.mark.parametrize("metric", DEFAULT_METRICS)
def test_the_order_returned_decides_not_the_names_of_the_documents(metric: str) -> None:
    renamed = {"q": {"z": 2, "a": 0}}
    plain = per_query({"q": ["good", "bad"]}, {"q": {"good": 2, "bad": 0}}, metric)["q"]
    assert per_query({"q": ["z", "a"]}, renamed, metric)["q"] == plain


@pytest.mark.parametrize("run", [{}, {"q": []}])
def test_a_query_without_results_scores_zero(run: dict[str, list[str]]) -> None:
    assert per_query(run, QRELS, "nDCG@10") == {"q": 0.0, "other": 0.0}


def test_queries_without_a_relevant_document_and_unjudged_queries_are_left_out() -> None:
    qrels = {**QRELS, "hopeless": {"bad": 0}, "empty": {}}
    values = per_query({"unjudged": ["good"], "other": ["good"]}, qrels, "MRR")
    assert values == {"q": 0.0, "other": 1.0}
    assert judged_queries(qrels) == list(values)
    assert as_array(values).tolist() == [0.0, 1.0]


def test_nothing_judged_gives_nothing() -> None:
    assert per_query({}, {}, "nDCG@10") == {}


def test_a_ranking_with_a_document_twice_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'q' holds a document twice"):
        _value(["good", "good"], "nDCG@10")


@pytest.mark.parametrize("metric", ["nDCG", "nDCG@0", "map@10", "", "recall"])
def test_an_unknown_metric_is_refused(metric: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected nDCG@k"):
        depth(metric)


def test_depth_is_the_cutoff() -> None:
    assert (depth("nDCG@10"), depth("recall@100"), depth("MRR")) == (10, 100, 1000)
