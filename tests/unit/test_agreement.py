"""Agreement of two judges: known values, and an implementation by contingency table."""

from __future__ import annotations

import numpy as np
import pytest

from revector.errors import InvalidArgumentError
from revector.evaluation.agreement import agreement_of, weighted_kappa


def kappa_of_table(first: np.ndarray, second: np.ndarray, grades: int, weights: str) -> float:
    """Cohen's kappa as the textbooks have it: observed and expected disagreement, from the table of both judges."""
    observed = np.zeros((grades, grades))
    for a, b in zip(first, second, strict=True):
        observed[a, b] += 1 / len(first)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    distance = np.abs(np.subtract.outer(np.arange(grades), np.arange(grades)))
    weight = distance**2 if weights == "quadratic" else distance > 0
    return 1 - float((weight * observed).sum() / (weight * expected).sum())


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_the_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.5, first, rng.integers(0, 4, 200))
    assert weighted_kappa(first, second) == pytest.approx(kappa_of_table(first, second, 4, "quadratic"))
    binary = (first > 1).astype(int), (second > 1).astype(int)
    assert weighted_kappa(*binary) == pytest.approx(kappa_of_table(*binary, 2, "none"))


def test_kappa_of_a_published_table() -> None:
    """Two readers of fifty grant proposals, 20 times yes and 15 times no together: 0.4."""
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert weighted_kappa(first, second) == pytest.approx(0.4)


def test_kappa_has_fixed_points() -> None:
    assert weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3]) == pytest.approx(1.0)
    assert weighted_kappa([0, 3], [3, 0]) == pytest.approx(-1.0)
    assert weighted_kappa([0, 0, 3, 3], [0, 3, 0, 3]) == pytest.approx(0.0)
    assert weighted_kappa([2, 2], [2, 2]) is None


def test_a_judge_that_orders_as_people_do_agrees_in_pairs_on_another_scale() -> None:
    people = {"q": {"a": 2, "b": 1, "c": 0}, "r": {"a": 0, "b": 2}}
    found = agreement_of(people, {"q": {"a": 3, "b": 1, "c": 0}, "r": {"a": 0, "b": 3}})
    assert (found.documents, found.queries, found.same, found.pairwise) == (5, 2, 1.0, 1.0)
    assert found.kendall == pytest.approx(1.0)
    assert found.kappa is not None
    assert 0.7 < found.kappa < 1


def test_ties_of_the_judge_are_half_a_pair() -> None:
    assert agreement_of({"q": {"a": 1, "b": 0}}, {"q": {"a": 2, "b": 2}}).pairwise == 0.5
    assert agreement_of({"q": {"a": 1, "b": 0}}, {"q": {"a": 0, "b": 2}}).pairwise == 0.0


def test_where_people_say_relevant_or_not_so_is_the_judge_compared() -> None:
    found = agreement_of({"q": {"a": 1, "b": 0, "c": 1, "d": 0}}, {"q": {"a": 3, "b": 0, "c": 1, "d": 0}})
    assert found.kappa == pytest.approx(1.0)


def test_people_with_one_grade_only_leave_chance_unknown() -> None:
    found = agreement_of({"q": {"a": 1, "b": 1}}, {"q": {"a": 3, "b": 0}})
    assert (found.same, found.kappa, found.kendall, found.pairwise) == (0.5, None, None, None)
    assert "one grade only" in str(found)


def test_only_what_both_graded_counts_and_nothing_is_an_error() -> None:
    found = agreement_of({"q": {"a": 1, "x": 1}, "gone": {"a": 1}}, {"q": {"a": 0, "b": 3}})
    assert found.documents == 1
    with pytest.raises(InvalidArgumentError, match="no document of the same query"):
        agreement_of({"q": {"x": 1}}, {"q": {"a": 1}})
