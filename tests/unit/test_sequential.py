"""Intervals that may be looked at after every event: they hold the truth at all times, as often as they say."""

from __future__ import annotations

import math
from functools import reduce
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revector.rollout.sequential import (
    NEAR_HALF,
    UNKNOWN,
    Counts,
    Estimate,
    Histogram,
    Moments,
    difference,
    log_evidence,
    mean_difference,
    ratio,
)

ALPHA = 0.1
TRIALS = 400
AT_MOST = ALPHA + 2.5 * math.sqrt(ALPHA * (1 - ALPHA) / TRIALS)


@pytest.mark.parametrize(("share", "prior"), [(0.5, NEAR_HALF), (0.5, UNKNOWN), (0.01, UNKNOWN), (0.9, UNKNOWN)])
def test_the_true_share_is_rarely_ever_refuted(share: float, prior: tuple[float, float]) -> None:
    paths = np.cumsum(np.random.default_rng(3).random((TRIALS, 600)) < share, axis=1)
    refuted = [
        any(log_evidence(int(hits), n, share, prior) >= -math.log(ALPHA) for n, hits in enumerate(path, 1))
        for path in paths
    ]
    assert 0 < np.mean(refuted) <= AT_MOST


@given(st.integers(0, 50), st.integers(0, 50), st.sampled_from([UNKNOWN, NEAR_HALF]))
def test_an_interval_ends_where_the_evidence_begins(hits: int, misses: int, prior: tuple[float, float]) -> None:
    found = Counts(hits, hits + misses).share(ALPHA, prior)
    for end in {found.low, found.high} - {0.0, 1.0}:
        assert log_evidence(hits, hits + misses, end, prior) == pytest.approx(-math.log(ALPHA), abs=1e-4)


@given(st.integers(0, 50), st.integers(0, 50))
def test_an_interval_holds_what_was_measured(hits: int, misses: int) -> None:
    found = Counts(hits, hits + misses).share(ALPHA)
    assert math.isnan(found.value) or found.low <= found.value <= found.high


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_the_true_quantile_is_rarely_ever_left_out(share: float) -> None:
    rng, left_out = np.random.default_rng(1), 0
    values = rng.lognormal(3, 1, (TRIALS, 1_000))
    truth = float(np.exp(3 + {0.5: 0.0, 0.99: 2.3263479}[share]))
    for trial in values:
        looks = accumulate(Histogram.of(*slice_) for slice_ in trial.reshape(-1, 25))
        found = [look.quantile(share, ALPHA) for look in looks]
        left_out += any(not each.low <= truth <= each.high for each in found)
    assert left_out / TRIALS <= AT_MOST


def test_a_quantile_is_that_of_the_values_up_to_a_bin() -> None:
    values = np.random.default_rng(2).lognormal(2, 1, 5_000)
    assert Histogram.of(*values).quantile(0.99, ALPHA).value == pytest.approx(np.quantile(values, 0.99), rel=0.024)


@pytest.mark.parametrize("reward", [0.05, 0.5])
def test_arms_that_are_alike_are_rarely_ever_told_apart_by_their_means(reward: float) -> None:
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(TRIALS):
        rewards, arms = rng.random(3_000) < reward, rng.random(3_000) < 0.2
        looks = (_moments(rewards[:end], arms[:end]) for end in range(50, 3_001, 50))
        found = [mean_difference(old, new, ALPHA) for old, new in looks]
        wrong += any(not each.low <= 0 <= each.high for each in found)
    assert wrong / TRIALS <= AT_MOST


def _moments(rewards: np.ndarray, arms: np.ndarray) -> tuple[Moments, Moments]:
    sums = [rewards[arms == arm].sum() for arm in (False, True)]
    old, new = (Moments(int((arms == arm).sum()), sums[arm], sums[arm]) for arm in (False, True))
    return old, new


def test_a_difference_of_means_is_found() -> None:
    rng = np.random.default_rng(5)
    old, new = (Moments.of(*(rng.random(4_000) < share)) for share in (0.3, 0.4))
    assert mean_difference(old, new, 0.01).low > 0


def test_few_values_say_nothing_of_a_mean() -> None:
    few = Moments.of(*[1.0] * 49)
    assert mean_difference(Moments.of(*[0.0] * 5_000), few, ALPHA).low == -math.inf


def test_an_arm_that_saw_no_rare_reward_yet_is_not_taken_for_one_without() -> None:
    old = Moments.of(*[0.0] * 9_500, *[1.0] * 500)
    assert mean_difference(old, Moments.of(*[0.0] * 60), ALPHA).high > 0


@given(st.lists(st.floats(1e-3, 1e6), max_size=20), st.integers(0, 20))
def test_what_was_counted_apart_is_what_was_counted_together(values: list[float], cut: int) -> None:
    assert Histogram.of(*values[:cut]) + Histogram.of(*values[cut:]) == Histogram.of(*values)


def test_sums_are_added_field_by_field() -> None:
    parts = [Moments.of(1.0), Moments.of(2.0, 3.0), Moments()]
    assert reduce(lambda a, b: a + b, parts) == Moments(3, 6.0, 14.0)


def test_a_difference_and_a_ratio_are_as_unsure_as_both_parts() -> None:
    old, new = Estimate(2.0, 1.0, 4.0, 10), Estimate(3.0, 2.0, 5.0, 7)
    assert difference(old, new) == Estimate(1.0, -2.0, 4.0, 7)
    assert ratio(old, new) == Estimate(1.5, 0.5, 5.0, 7)


def test_nothing_is_known_of_nothing() -> None:
    nothing = [Counts().share(ALPHA), Histogram().quantile(0.99, ALPHA), mean_difference(Moments(), Moments(), ALPHA)]
    assert all(math.isnan(each.value) and each.low <= 0 and each.high >= 1 for each in nothing)
