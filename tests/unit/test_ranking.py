"""How the scores of two generations become one ranking."""

from __future__ import annotations

import timeit
from typing import get_args

import numpy as np
import pytest

from revector.migration.strategies.base import Merging
from revector.search.calibration import LEAST_PAIRS, MOST_PAIRS, Calibration
from revector.search.ranking import Candidates, Curve, in_new_space, in_old_space

NAN = float("nan")
MERGINGS = get_args(Merging)


def candidates(old, new):
    return Candidates(np.arange(len(old)), np.array(old, np.float64), np.array(new, np.float64))


HALF_MOVED = candidates(old=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4], new=[40, NAN, 20, NAN, 10, 0])


@pytest.mark.parametrize("merging", MERGINGS)
def test_everything_is_ranked_once(merging):
    assert sorted(in_new_space(HALF_MOVED, 10, merging).keys.tolist()) == list(range(6))


@pytest.mark.parametrize(("merging", "guess"), [("zscore", 31.0), ("minmax", 32.0), ("calibrated", 31.0)])
def test_an_old_score_stands_for_a_new_one(merging, guess):
    ranked = in_new_space(HALF_MOVED, 10, merging)
    by_key = dict(zip(ranked.keys.tolist(), ranked.scores.tolist(), strict=True))
    assert by_key[1] == pytest.approx(guess, abs=0.2)


def test_a_curve_that_was_learnt_says_what_an_old_score_stands_for():
    learnt = Curve((0.0, 1.0), (0.0, 50.0), 500, "calibrated")
    ranked = in_new_space(HALF_MOVED, 10, "calibrated", learnt=learnt)
    assert dict(zip(ranked.keys.tolist(), ranked.scores.tolist(), strict=True))[1] == pytest.approx(40.0)


def test_where_a_curve_is_level_the_old_scores_decide():
    learnt = Curve((0.0, 0.6), (0.0, 3.0), 500, "calibrated")
    merged = candidates([0.95, 0.99, 0.6, 0.5, 0.4, 0.3], [NAN, NAN, 3, 2, 1, 0])
    assert in_new_space(merged, 3, "calibrated", learnt=learnt).keys.tolist() == [1, 0, 2]


def test_a_curve_is_learnt_once_there_are_enough_pairs():
    kept, rng = Calibration(), np.random.default_rng(0)
    old = rng.random(LEAST_PAIRS)
    pairs = np.stack([old, 2 * old + 1], axis=1)
    assert kept.learnt((1, 2), pairs[:-1]) is None
    assert kept.learnt((1, 2), pairs[-1:])(np.array([0.5])) == pytest.approx(2.0)
    assert kept.learnt((1, 3), pairs[:1]) is None


def test_a_curve_follows_what_searches_find_later():
    kept, rng = Calibration(), np.random.default_rng(0)
    old = rng.random(MOST_PAIRS)
    kept.learnt((1, 2), np.stack([old, old], axis=1))
    assert kept.learnt((1, 2), np.stack([old, old + 5], axis=1))(np.array([0.5])) == pytest.approx(5.5)


def test_rrf_counts_places_and_not_scores():
    ranked = in_new_space(candidates([3, 2, 1], [0.1, 0.2, NAN]), 3, "rrf")
    expected = {0: 0.5 / 61 + 0.5 / 62, 1: 0.5 / 62 + 0.5 / 61, 2: 0.5 / 63}
    assert dict(zip(ranked.keys.tolist(), ranked.scores.tolist(), strict=True)) == pytest.approx(expected)


def test_with_a_weight_both_models_rank():
    both = candidates(old=[4, 3, 2, 1], new=[0.1, 0.2, 0.3, 0.4])
    assert in_new_space(both, 1, weight_of_old=0.9).keys.tolist() == [0]
    assert in_new_space(both, 1, weight_of_old=0.1).keys.tolist() == [3]


def test_equal_weights_are_the_mean_of_standard_scores():
    rng = np.random.default_rng(0)
    old, new = rng.normal(5, 3, 50), rng.normal(-1, 0.1, 50)
    mean = (old - old.mean()) / old.std() + (new - new.mean()) / new.std()
    assert in_new_space(candidates(old, new), 50, weight_of_old=0.5).keys.tolist() == np.argsort(-mean).tolist()


def test_by_the_old_model_a_new_score_stands_for_an_old_one():
    ranked = in_old_space(candidates([0.9, 0.5, NAN], [9, 5, 7]), 3)
    assert ranked.keys.tolist() == [0, 2, 1]
    assert ranked.scores[1] == pytest.approx(0.7)


def test_no_pair_leaves_scores_as_they_are():
    assert in_new_space(candidates([0.9, NAN], [NAN, 0.5]), 2).scores.tolist() == [0.9, 0.5]


@pytest.mark.parametrize("merging", MERGINGS)
def test_old_scores_that_differ_by_rounding_tell_nothing(merging):
    pairs = candidates([0.5, np.nextafter(0.5, 1), 0.5, 0.9], [3, 2, 1, NAN])
    assert sorted(in_new_space(pairs, 4, merging).keys.tolist()) == [0, 1, 2, 3]


def test_hundreds_of_candidates_are_merged_in_microseconds():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=300), np.where(rng.random(300) < 0.5, rng.normal(size=300), np.nan)
    merged = candidates(old, new)
    seconds = min(timeit.repeat(lambda: in_new_space(merged, 10), number=100, repeat=20)) / 100
    assert seconds < 200e-6  # ten times what it takes, for the machines that tests run on


def _moved(*places: int) -> Candidates:
    """A hundred candidates, the best by the old model first, of which some have moved."""
    new = np.full(100, np.nan)
    new[list(places)] = 0.5
    return Candidates(np.arange(100), np.linspace(1.0, 0.0, 100), new)


@pytest.mark.parametrize(
    ("moved", "carries"),
    [
        (range(4, 13), False),  # nine that happen to have moved
        (range(4, 14), True),
        (range(4), True),  # the four best
        (range(3), False),
        (range(50, 100), False),  # what only the new model has found
        ((), False),
        (range(100), True),
    ],
    ids=["nine", "ten", "four best", "three best", "far ones", "none", "all"],
)
def test_the_new_space_is_carried_by_ten_of_the_best_or_by_the_first_four(moved: range, carries: bool) -> None:
    assert _moved(*moved).carry_the_new_space is carries
