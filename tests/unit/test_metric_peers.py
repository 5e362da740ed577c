"""Metrics on random runs, beside pytrec_eval and ir-measures asked directly, and intervals beside other formulas."""

from __future__ import annotations

import math
from itertools import product

import ir_measures
import numpy as np
import pytest
from scipy import stats

from revector.errors import InvalidArgumentError
from revector.evaluation import significance
from revector.evaluation.metrics import depth, per_query
from revector.evaluation.significance import mean_interval, paired_lift

pytrec_eval = pytest.importorskip("pytrec_eval", reason="pytrec_eval is not installed")

MEASURES = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG@3": "ndcg_cut_3",
    "recall@5": "recall_5",
    "precision@10": "P_10",
    "precision@30": "P_30",
    "MRR": "recip_rank",
    "success@5": "success_5",
}
"""Ours, and what trec_eval calls them."""
FAMILIES = ("ndcg_cut", "recall", "P", "recip_rank", "success")
DIRECT = {"nDCG": "nDCG", "recall": "R", "precision": "P", "MRR": "RR", "success": "Success"}
"""Ours, and what ir-measures calls them."""


def random_case(seed: int, ties: bool) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Grades from -1 to 3 of some documents, and scores of others; some queries find nothing, some have no answer."""
    rng = np.random.default_rng(seed)
    documents = [f"d{n}" for n in range(60)]
    qrels, run = {}, {}
    for query in (f"q{n}" for n in range(40)):
        judged = rng.choice(documents, rng.integers(1, 20), replace=False)
        qrels[query] = {id_: int(grade) for id_, grade in zip(judged, rng.integers(-1, 4, len(judged)), strict=True)}
        found = rng.choice(documents, rng.integers(0, 50), replace=False)
        scores = rng.integers(0, 8, len(found)).astype(float) if ties else rng.random(len(found))
        run[query] = {id_: float(score) for id_, score in zip(found, scores, strict=True)}
    return qrels, run


def ours(run: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]], metric: str) -> dict[str, float]:
    try:
        depth(metric)
    except InvalidArgumentError:
        pytest.skip(f"{metric} is no metric here yet")
    return per_query(run, qrels, metric)


@pytest.mark.parametrize(("seed", "ties"), list(product(range(4), [False, True])))
@pytest.mark.parametrize("metric", MEASURES)
def test_metrics_are_those_of_pytrec_eval(metric: str, seed: int, ties: bool) -> None:
    qrels, run = random_case(seed, ties)
    found, measure = ours(run, qrels, metric), MEASURES[metric]
    family = next(name for name in FAMILIES if measure.startswith(name))
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {measure.replace(f"{family}_", f"{family}.")}).evaluate(run)
    assert len(found) > 30
    for query, value in found.items():
        expected = theirs[query][measure] if run[query] else 0.0
        assert value == pytest.approx(expected, abs=1e-9), query


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("metric", MEASURES)
def test_metrics_are_those_of_ir_measures(metric: str, seed: int) -> None:
    qrels, run = random_case(seed, ties=True)
    found = ours(run, qrels, metric)
    name, _, cutoff = metric.partition("@")
    measure = ir_measures.parse_measure(
        {"nDCG": "nDCG", "recall": "R", "precision": "P", "MRR": "RR"}.get(name, "Success")
    )
    measure = measure @ int(cutoff) if cutoff else measure
    theirs = {each.query_id: each.value for each in ir_measures.iter_calc([measure], qrels, run)}
    assert found == pytest.approx({query: theirs.get(query, 0.0) for query in found})


def differences(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """nDCG of two models: most queries alike, the others far apart."""
    rng = np.random.default_rng(seed)
    old = rng.beta(0.6, 0.6, n)
    return old, np.clip(np.where(rng.random(n) < 0.6, old, old + rng.normal(0.05, 0.3, n)), 0, 1)


def percentile_ends(values: np.ndarray, confidence: float, seed: int) -> tuple[float, float]:
    """The expanded percentile bootstrap, written down again: resample rows, take the means, ask for wider quantiles."""
    n = len(values)
    rng = np.random.default_rng(seed + 1_000)
    means = np.array([values[rng.integers(0, n, n)].mean() for _ in range(20_000)])
    reach = stats.t.ppf((1 + confidence) / 2, n - 1) * math.sqrt(n / (n - 1))
    tail = stats.norm.sf(reach)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [25, 100, 400])
def test_intervals_are_those_of_a_bootstrap_written_down_again(n: int, confidence: float) -> None:
    old, new = differences(n, n)
    lift = paired_lift(old, new, confidence=confidence)
    width = lift.high - lift.low
    assert (lift.low, lift.high) == pytest.approx(percentile_ends(new - old, confidence, n), abs=0.04 * width)
    mean = mean_interval(old, confidence=confidence)
    assert (mean.low, mean.high) == pytest.approx(
        percentile_ends(old, confidence, n), abs=0.04 * (mean.high - mean.low)
    )


def test_a_relative_lift_has_the_interval_of_resampled_ratios() -> None:
    old, new = differences(3, 200)
    lift = paired_lift(old, new, relative=True)
    rng = np.random.default_rng(9)
    rows = rng.integers(0, 200, (20_000, 200))
    ratios = new[rows].mean(axis=1) / old[rows].mean(axis=1) - 1
    tail = stats.norm.sf(stats.t.ppf(0.975, 199) * math.sqrt(200 / 199))
    assert (lift.low, lift.high) == pytest.approx(
        np.quantile(ratios, [tail, 1 - tail]), abs=0.04 * (lift.high - lift.low)
    )


@pytest.mark.parametrize("n", [30, 300])
def test_where_the_mean_is_normal_the_interval_is_that_of_student(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 0.1, n)
    found, expected = mean_interval(values), stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.05 * (found.high - found.low))


def chance_of_lift(*arguments: object, **options: object) -> float:
    test = getattr(significance, "chance_of_lift", None)
    if test is None:
        pytest.skip("there is no randomisation test here yet")
    return float(test(*arguments, **options))


@pytest.mark.parametrize("min_lift", [0.0, 0.05])
def test_the_randomisation_test_is_that_of_all_signs(min_lift: float) -> None:
    """Twelve queries have 4,096 ways to swap the models: all of them, counted."""
    old, new = differences(5, 12)
    shifted = new - old - min_lift
    signs = np.array(list(product([1, -1], repeat=12)))
    means = (signs * shifted).mean(axis=1)
    exact = min(1.0, 2 * min(np.mean(means >= shifted.mean() - 1e-12), np.mean(means <= shifted.mean() + 1e-12)))
    assert chance_of_lift(old, new, min_lift) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_with_many_queries_the_randomisation_test_is_that_of_student(seed: int) -> None:
    old, new = differences(seed, 300)
    assert chance_of_lift(old, new) == pytest.approx(stats.ttest_rel(new, old).pvalue, abs=0.02)


def test_holm_is_the_step_down_procedure() -> None:
    holm = getattr(significance, "holm", None)
    if holm is None:
        pytest.skip("there is no correction for several tests here yet")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
