"""Metrics of judged queries: the values of the formulas, and what trec_eval must not decide by itself."""

from __future__ import annotations

import math

import ir_measures
import pytest

from revector.errors import InvalidArgumentError
from revector.evaluation.metrics import DEFAULT_METRICS, MAX_GRADE, as_array, depth, judged_queries, per_query

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


def test_scores_order_documents_whatever_the_order_of_the_mapping() -> None:
    run = {"q": {"bad": 0.1, "fair": 0.2, "good": 0.9}}
    assert per_query(run, {"q": QRELS["q"]}, "MRR")["q"] == 1.0
    assert per_query(run, QRELS, "nDCG@10")["q"] == _value(["good", "fair", "bad"], "nDCG@10")


def test_equal_scores_come_as_in_trec_eval_the_last_id_first() -> None:
    tied = {"q": {"a": 1.0, "c": 1.0, "b": 1.0}}
    values = [per_query(tied, {"q": {document: 1}}, "MRR")["q"] for document in "cba"]
    assert values == pytest.approx([1, 1 / 2, 1 / 3])


def test_trec_eval_itself_breaks_ties_so() -> None:
    scores = {"a": 1.0, "c": 1.0, "b": 1.0, "d": 0.5}
    found = ir_measures.iter_calc([ir_measures.RR], {"q": {"b": 1}}, {"q": scores})
    assert [each.value for each in found] == list(per_query({"q": scores}, {"q": {"b": 1}}, "MRR").values())


def test_infinite_scores_have_their_place() -> None:
    run = {"q": {"bad": float("-inf"), "good": float("inf"), "fair": 0.0}}
    assert per_query(run, {"q": QRELS["q"]}, "nDCG@10")["q"] == 1.0


def test_a_score_that_is_nan_is_refused_with_query_and_document() -> None:
    with pytest.raises(InvalidArgumentError, match=r"run\['q'\]\['bad'\] is nan"):
        per_query({"q": {"bad": float("nan")}}, QRELS, "MRR")


def test_a_negative_grade_counts_as_not_relevant() -> None:
    spam = {"q": {"good": 2, "fair": 1, "bad": -2}}
    ranking = {"q": ["bad", "fair", "good"]}
    for metric in DEFAULT_METRICS:
        assert per_query(ranking, spam, metric) == per_query(ranking, {"q": QRELS["q"]}, metric)
    assert judged_queries({"spam": {"bad": -2}}) == []


def test_the_highest_grade_is_still_a_grade_and_one_more_is_refused_by_name() -> None:
    assert per_query({"q": ["good"]}, {"q": {"good": MAX_GRADE, "fair": 1}}, "nDCG@1")["q"] == 1.0
    for grade in (MAX_GRADE + 1, 10**8, 2**31, 2**64):
        with pytest.raises(InvalidArgumentError, match=r"qrels\['q'\]\['good'\].*(32768|in size)"):
            per_query({"q": ["good"]}, {"q": {"good": grade}}, "nDCG@10")
