"""Score normalisation and merging, against plain Python oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revector import fusion
from revector.errors import InvalidArgumentError, NumericalError, RevectorError, ShapeError

SCORES = st.lists(st.floats(-1e6, 1e6), max_size=40)
RANKED = st.lists(st.tuples(st.integers(-5, 30), st.floats(-10, 10)), max_size=25)


@given(SCORES)
def test_min_max_is_the_formula(scores: list[float]) -> None:
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    expected = [(s - low) / (high - low) if high > low else 0.5 for s in scores]
    np.testing.assert_allclose(fusion.min_max(scores), expected)


@given(st.lists(st.integers(-1000, 1000), max_size=40))
def test_z_score_is_the_formula(scores: list[int]) -> None:
    spread = np.std(scores) if scores else 0.0
    expected = (np.array(scores) - np.mean(scores)) / spread if spread > 0 else np.zeros(len(scores))
    np.testing.assert_allclose(fusion.z_score(scores), expected, atol=1e-9)


def test_z_score_uses_the_reference_for_mean_and_deviation() -> None:
    np.testing.assert_allclose(fusion.z_score([4.0, 8.0], reference=[2.0, 6.0]), [0.0, 2.0])


def test_equal_scores_that_differ_by_rounding_have_no_spread() -> None:
    assert fusion.z_score([0.1 + 0.2, 0.3, 0.3]).tolist() == [0.0, 0.0, 0.0]


def test_one_list_and_an_empty_list_prefer_nobody() -> None:
    assert fusion.min_max([0.7]).tolist() == [0.5]
    assert fusion.z_score([0.7]).tolist() == [0.0]
    assert fusion.min_max([]).shape == fusion.z_score([]).shape == (0,)


@given(SCORES)
def test_isotonic_calibration_is_linear_interpolation_flat_at_the_ends(scores: list[float]) -> None:
    knots, values = [-100.0, 0.0, 0.5, 200.0], [0.0, 0.2, 0.2, 1.0]
    np.testing.assert_allclose(fusion.calibrated(scores, knots, values), np.interp(scores, knots, values))


@given(SCORES)
def test_affine_calibration_is_two_knots_extrapolated(scores: list[float]) -> None:
    got = fusion.calibrated(scores, [0.0, 1.0], [0.5, 2.5], extrapolate=True)
    np.testing.assert_allclose(got, 0.5 + 2.0 * np.array(scores), atol=1e-6)


def test_one_knot_calibrates_everything_to_its_value() -> None:
    assert fusion.calibrated([-1.0, 3.0], [0.0], [0.25]).tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("knots", "values", "extrapolate", "error"),
    [
        ([0.0, 0.0], [0.0, 1.0], False, InvalidArgumentError),
        ([0.0, 1.0], [1.0, 0.0], False, InvalidArgumentError),
        ([0.0, 1.0], [1.0], False, ShapeError),
        ([], [], False, ShapeError),
        ([0.0], [0.0], True, ShapeError),
    ],
)
def test_a_curve_that_is_not_monotone_is_refused(
    knots: list[float], values: list[float], extrapolate: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        fusion.calibrated([0.5], knots, values, extrapolate=extrapolate)


def _oracle(lists: list[list[tuple[int, float]]], how: str) -> list[tuple[int, float]]:
    """Merge with a dictionary of score lists."""
    found: dict[int, list[float]] = {}
    for ranked in lists:
        first = dict(reversed(ranked))
        for key in dict.fromkeys(key for key, _ in ranked):
            found.setdefault(key, []).append(first[key])
    combine = {"max": max, "sum": sum, "mean": lambda scores: sum(scores) / len(scores)}[how]
    return sorted(((key, float(combine(scores))) for key, scores in found.items()), key=lambda hit: -hit[1])


@pytest.mark.parametrize("how", ["max", "mean", "sum"])
@given(lists=st.lists(RANKED, max_size=4))
def test_merge_is_the_oracle(how: str, lists: list[list[tuple[int, float]]]) -> None:
    arrays = [([key for key, _ in ranked], [score for _, score in ranked]) for ranked in lists]
    ids, scores = fusion.merge(arrays, how=how)  # type: ignore[arg-type]
    expected = _oracle(lists, how)
    assert ids.tolist() == [key for key, _ in expected]
    np.testing.assert_allclose(scores, [score for _, score in expected], atol=1e-12)


def test_merge_breaks_ties_by_first_appearance_and_cuts_at_the_limit() -> None:
    ids, _ = fusion.merge([([7, 3], [1.0, 1.0]), ([5, 3], [1.0, 1.0])], limit=2)
    assert ids.tolist() == [7, 3]


def test_merge_takes_float32_and_ids_of_any_size() -> None:
    big = 2**62
    ids, scores = fusion.merge([(np.array([big]), np.array([0.5], dtype=np.float32))])
    assert (ids[0], scores[0]) == (big, 0.5)


def test_rrf_is_the_formula() -> None:
    ids, scores = fusion.rrf([[1, 2, 3], [3, 4]], k=60, weights=[1.0, 2.0])
    expected = {1: 1 / 61, 2: 1 / 62, 3: 1 / 63 + 2 / 61, 4: 2 / 62}
    assert ids.tolist() == sorted(expected, key=lambda key: -expected[key])
    np.testing.assert_allclose(scores, sorted(expected.values(), reverse=True))


def test_fusing_nothing_gives_nothing() -> None:
    assert fusion.merge([])[0].shape == fusion.rrf([])[0].shape == (0,)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    for call in (fusion.min_max, fusion.z_score, lambda s: fusion.merge([([1, 2], s)])):
        with pytest.raises(NumericalError, match=r"scores\[1\]"):
            call([0.0, bad])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fusion.min_max([[1.0]]), ShapeError),
        (lambda: fusion.merge([([1], [1.0, 2.0])]), ShapeError),
        (lambda: fusion.merge([], how="median"), InvalidArgumentError),
        (lambda: fusion.merge([], limit=-1), InvalidArgumentError),
        (lambda: fusion.rrf([[1]], k=0), InvalidArgumentError),
        (lambda: fusion.rrf([[1]], weights=[]), ShapeError),
        *((lambda k=k: fusion.rrf([[1]], k=k), InvalidArgumentError) for k in (None, "60", True, math.nan, math.inf)),
        *((lambda w=w: fusion.rrf([[1]], weights=[w]), RevectorError) for w in (None, "1", math.nan, 10**400)),
        *((lambda n=n: fusion.rrf([[1]], limit=n), InvalidArgumentError) for n in (2.0, "2", True, math.nan)),
        *(
            (lambda x=x: fusion.rrf(x), RevectorError)
            for x in ("12", b"12", 7, None, ["12"], [[1.5]], [["a"]], [[None]])
        ),
        *((lambda x=x: fusion.rrf(x), RevectorError) for x in ([7], [[2**64]], [[[1]]], [[True]], [[1, [2]]])),
        *((lambda x=x: fusion.merge(x), InvalidArgumentError) for x in ("ab", 7, None, [7], ["ab"], [([1],)])),
        *(
            (lambda x=x: fusion.min_max(x), RevectorError)
            for x in ("12", 7, None, ["a"], [None], [True], [1j], {"a": 1})
        ),
    ],
)
def test_wrong_arguments_are_refused(call: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()  # type: ignore[operator]


KNOWN = st.lists(st.tuples(*[st.one_of(st.floats(-1e3, 1e3), st.just(math.nan))] * 2), max_size=40)


@given(KNOWN)
def test_a_line_takes_mean_and_deviation_of_those_with_both_to_the_other_ones(
    scores: list[tuple[float, float]],
) -> None:
    both = np.array([pair for pair in scores if not math.isnan(sum(pair))]).reshape(-1, 2)
    pairs, knots, values = fusion.line(*np.array(scores).reshape(-1, 2).T)
    assert pairs == len(both)
    if knots:
        mean, deviation = both.mean(axis=0), both.std(axis=0)
        np.testing.assert_allclose([knots, values], np.array([mean, mean + deviation]).T, atol=1e-9)
    else:
        assert pairs == 0 or both[:, 0].std() <= 1e-12 * max(1.0, np.abs(both[:, 0]).max())


@given(KNOWN)
def test_a_line_by_the_ends_goes_through_lowest_and_highest(scores: list[tuple[float, float]]) -> None:
    both = np.array([pair for pair in scores if not math.isnan(sum(pair))]).reshape(-1, 2)
    _, knots, values = fusion.line(*np.array(scores).reshape(-1, 2).T, how="minmax")
    if knots:
        np.testing.assert_array_equal([knots, values], np.array([both.min(axis=0), both.max(axis=0)]).T)


@given(KNOWN, st.floats(0, 1))
def test_what_one_model_does_not_know_is_what_the_other_ones_score_stands_for(
    scores: list[tuple[float, float]], weight: float
) -> None:
    own, other = np.array(scores).reshape(-1, 2).T
    stands_for = 3.0 * other + 1.0
    mean = (1 - weight) * own + weight * stands_for
    expected = np.where(np.isnan(own), stands_for, np.where(np.isnan(mean), own, mean))
    got = fusion.on_scale(own, other, [0.0, 1.0], [1.0, 4.0], weight=weight, extrapolate=True)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_without_a_curve_a_score_stands_for_itself() -> None:
    assert fusion.on_scale([math.nan, 2.0], [0.5, 0.7], [], []).tolist() == [0.5, 2.0]


@given(KNOWN, st.integers(0, 50))
def test_the_best_are_those_of_a_stable_sort(scores: list[tuple[float, float]], limit: int) -> None:
    first, second = np.array(scores).reshape(-1, 2).T
    assert fusion.best(first, limit).tolist() == np.argsort(-first, kind="stable")[:limit].tolist()
    first = np.round(first / 500)  # so that there are ties
    assert fusion.best(first, ties=second).tolist() == np.lexsort((-second, -first)).tolist()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fusion.line([1.0], [1.0, 2.0]), ShapeError),
        (lambda: fusion.line([1.0], [2.0], how="rank"), InvalidArgumentError),
        (lambda: fusion.line([math.inf], [2.0]), NumericalError),
        (lambda: fusion.on_scale([1.0], [2.0], [0.0], [1.0], weight=1.5), InvalidArgumentError),
        (lambda: fusion.on_scale([1.0], [2.0], [0.0, 0.0], [1.0, 1.0]), InvalidArgumentError),
        (lambda: fusion.on_scale([1.0], [2.0], [], [1.0]), ShapeError),
        (lambda: fusion.best(["a"]), InvalidArgumentError),
        (lambda: fusion.best([1.0], -1), InvalidArgumentError),
        (lambda: fusion.best([1.0, 2.0], ties=[1.0]), ShapeError),
    ],
)
def test_what_cannot_be_combined_is_refused(call, error: type[RevectorError]) -> None:
    with pytest.raises(error):
        call()
