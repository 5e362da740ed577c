"""Intervals over queries: their coverage, and how many queries would settle a question."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.evaluation import significance
from revector.evaluation.significance import (
    Interval,
    chance_of_lift,
    holm,
    mean_interval,
    paired_lift,
    queries_to_settle,
    widened,
)

STEPS = np.array([-1.0, -0.5, -0.37, 0.37, 0.5, 0.63, 1.0, 1.0])


def _models(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Metrics of two models that agree on six queries in ten and differ by steps of nDCG on the rest."""
    change = np.where(rng.random(n) < 0.6, 0.0, rng.choice(STEPS, n))
    old = rng.choice([1.0, 2.0], n)
    return old, old + change


@pytest.mark.parametrize("n", [significance.ENOUGH_QUERIES, 50, 150])
@pytest.mark.parametrize("relative", [False, True])
def test_the_interval_covers_the_true_lift_as_often_as_it_says(
    n: int, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(significance, "RESAMPLES", 1_000)
    truth = 0.4 * STEPS.mean() / (1.5 if relative else 1.0)
    rng, trials = np.random.default_rng(7), 400
    lifts = [paired_lift(*_models(rng, n), relative=relative, seed=trial) for trial in range(trials)]
    covered = np.mean([lift.low <= truth <= lift.high for lift in lifts])
    standard_error = np.sqrt(0.95 * 0.05 / trials)
    assert abs(covered - 0.95) <= 0.01 + 2.5 * standard_error  # a point short at 20 queries: what the docstring says


def test_pairing_makes_the_interval_shorter_than_the_models_own() -> None:
    rng = np.random.default_rng(0)
    old = rng.random(200)
    lift = paired_lift(old, old + rng.normal(0.02, 0.01, 200))
    assert lift.high - lift.low < 0.1 * (mean_interval(old).high - mean_interval(old).low)


def test_the_same_seed_gives_the_same_interval() -> None:
    models = _models(np.random.default_rng(1), 50)
    assert paired_lift(*models, seed=3) == paired_lift(*models, seed=3) != paired_lift(*models, seed=4)


def test_models_that_agree_everywhere_have_an_interval_of_no_width() -> None:
    same = np.array([0.2, 0.5, 0.9])
    lift = paired_lift(same, same)
    assert (lift.value, lift.low, lift.high, lift.deviation) == (0.0, 0.0, 0.0, 0.0)


def test_relative_lift_is_the_ratio_of_the_means() -> None:
    lift = paired_lift(np.array([0.2, 0.4, 0.6]), np.array([0.3, 0.5, 0.7]), relative=True)
    assert lift.value == pytest.approx(0.25)


@pytest.mark.parametrize("distance", [0.01, 0.04, 0.1])
def test_the_number_of_queries_named_settles_the_question_with_the_probability_promised(distance: float) -> None:
    """Of all first queries that leave a small lift open; a large one is left open only where chance was against it."""
    rng, n, deviation = np.random.default_rng(11), 100, 0.3
    needed = queries_to_settle(Interval(0.0, -1.0, 1.0, deviation, n), distance)
    assert needed is not None
    first = rng.normal(distance, deviation / np.sqrt(n), 8000)
    if distance < 0.05:
        first = first[np.abs(first) < 1.96 * deviation / np.sqrt(n)]
    pooled = (n * first + needed * rng.normal(distance, deviation / np.sqrt(needed), len(first))) / (n + needed)
    settled = np.mean(np.abs(pooled) > 1.96 * deviation / np.sqrt(n + needed))
    assert significance.POWER <= settled < 0.95


def test_nobody_could_ask_enough_for_a_lift_that_is_next_to_the_threshold() -> None:
    assert queries_to_settle(Interval(0.0, -1.0, 1.0, 0.3, 50), 1e-9) is None


@pytest.mark.parametrize("distance", [0.0, -0.1, float("nan")])
def test_a_distance_that_is_none_is_refused(distance: float) -> None:
    with pytest.raises(InvalidArgumentError, match="distance"):
        queries_to_settle(Interval(0.02, 0.02, 0.02, 0.0, 50), distance)


@pytest.mark.parametrize(
    ("old", "new", "options", "error"),
    [
        ([0.1], [0.2], {}, ShapeError),
        ([0.1, 0.2], [0.2], {}, ShapeError),
        ([0.1, np.nan], [0.2, 0.3], {}, NumericalError),
        ([0.0, 0.0], [0.2, 0.3], {"relative": True}, NumericalError),
        ([0.0] * 19 + [0.1], [0.2] * 20, {"relative": True}, NumericalError),
        ([0.1, 0.2], [0.2, 0.3], {"confidence": 1.0}, InvalidArgumentError),
    ],
)
def test_what_can_not_be_judged_is_refused(
    old: list[float], new: list[float], options: dict[str, float], error: type[Exception]
) -> None:
    with pytest.raises(error):
        paired_lift(np.array(old), np.array(new), **options)  # type: ignore[arg-type]


def test_the_randomisation_test_is_scipys_on_few_queries_where_all_signs_are_tried() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.random(10), rng.random(10) + 0.2
    differences = new - old
    signs = np.array(list(itertools.product((1, -1), repeat=10)))
    flipped = (signs * differences).mean(axis=1)
    larger = (flipped >= differences.mean() - 1e-12).mean()
    assert chance_of_lift(old, new) == pytest.approx(min(1.0, 2 * min(larger, 1 - larger + 1 / 1024)), abs=2e-3)


def test_there_is_no_chance_of_a_lift_where_nothing_differs() -> None:
    assert chance_of_lift(np.ones(20), np.ones(20)) == 1.0
    assert chance_of_lift(np.zeros(20), np.full(20, 0.1), 0.1) == pytest.approx(1.0)


def test_a_relative_threshold_is_tested_as_a_share_of_the_old_model() -> None:
    old = np.linspace(0.2, 0.8, 50)
    assert chance_of_lift(old, 1.3 * old, 0.1, relative=True) < 0.001
    assert chance_of_lift(old, 1.1 * old + np.tile([0.01, -0.01], 25), 0.1, relative=True) > 0.5


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_an_interval_is_widened_as_variances_add() -> None:
    wide = widened(Interval(0.1, 0.06, 0.14, 0.3, 100), 0.03 / 1.959964)
    assert (wide.low, wide.high) == (pytest.approx(0.05), pytest.approx(0.15))
    assert widened(wide, 0.0) == wide
