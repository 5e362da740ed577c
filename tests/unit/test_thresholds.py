"""Thresholds that survive a change of models."""

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.mapping import ScoreMap

FITS = [ScoreMap.isotonic, ScoreMap.affine]


def scores(n=4000, seed=0):
    """Scores of the same pairs by two models that agree up to noise: the new one curves, and starts at 0.4."""
    rng = np.random.default_rng(seed)
    old = rng.uniform(-0.1, 0.9, n)
    return old, 0.4 + 0.5 * np.clip(old, 0, 1) ** 2 + 0.02 * rng.standard_normal(n)


def test_a_known_curve_is_recovered():
    found = ScoreMap.isotonic(*scores())
    asked = np.linspace(0.05, 0.85, 9)
    np.testing.assert_allclose(found.translate(asked), 0.4 + 0.5 * asked**2, atol=0.02)
    assert found.threshold(0.6) == pytest.approx(0.58, abs=0.02)


def test_a_known_line_is_recovered_and_goes_on_beyond_the_scores():
    old = np.linspace(0, 1, 50)
    found = ScoreMap.affine(old, 0.3 + 0.5 * old)
    np.testing.assert_allclose(found.translate([-1.0, 0.5, 2.0]), [-0.2, 0.55, 1.3])


def test_beyond_the_scores_an_isotonic_map_says_no_more_than_it_has_seen():
    found = ScoreMap.isotonic([0.0, 1.0], [0.2, 0.7])
    np.testing.assert_allclose(found.translate([-5.0, 0.5, 5.0]), [0.2, 0.45, 0.7])


@pytest.mark.parametrize("fit", FITS)
def test_a_higher_threshold_is_never_translated_to_a_lower_one(fit):
    found = fit(*scores(300))
    assert (np.diff(found.translate(np.linspace(-1, 2, 500))) >= 0).all()


def test_a_translated_threshold_lets_through_as_many():
    old, new = scores()
    found = ScoreMap.isotonic(old, new)
    for threshold in (0.3, 0.5, 0.7):
        assert np.mean(new >= found.threshold(threshold)) == pytest.approx(np.mean(old >= threshold), abs=0.02)


def test_pools_are_those_of_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    old, new = scores(200)
    order = np.argsort(old)
    expected = optimize.isotonic_regression(new[order])
    found = ScoreMap.isotonic(old, new)
    # one pool is one run of equal levels; its knot stands at the mean of its old scores
    levels, first = np.unique(expected.x, return_index=True)
    np.testing.assert_allclose(found.new, levels, atol=1e-12)
    pools = np.split(old[order], first[1:])
    np.testing.assert_allclose(found.old, [pool.mean() for pool in pools], atol=1e-12)


def test_equal_old_scores_are_one_height():
    assert ScoreMap.isotonic([0.5, 0.5, 0.9], [0.2, 0.4, 0.8]) == ScoreMap((0.5, 0.9), (0.30000000000000004, 0.8))


@pytest.mark.parametrize("fit", FITS)
def test_a_score_map_survives_a_file(fit, tmp_path):
    found = fit(*scores(100))
    found.save(tmp_path / "scores.json")
    assert ScoreMap.load(tmp_path / "scores.json") == found


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "revector.scores.1"}', '{"format": "other"}'])
def test_a_file_that_is_no_score_map_is_refused(content, tmp_path):
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(InvalidArgumentError):
        ScoreMap.load(tmp_path / "scores.json")


@pytest.mark.parametrize("fit", FITS)
def test_scores_that_do_not_fit_are_refused(fit):
    with pytest.raises(ShapeError, match=r"expected \(n,\)"):
        fit([0.1, 0.2], [0.1])
    with pytest.raises(InvalidArgumentError, match="1 pair"):
        fit([0.1], [0.1])
    with pytest.raises(NumericalError, match="NaN or infinite"):
        fit([0.1, np.nan], [0.1, 0.2])


def test_a_line_needs_old_scores_that_vary_and_new_ones_that_rise_with_them():
    with pytest.raises(NumericalError, match="do not vary"):
        ScoreMap.affine([0.5, 0.5], [0.1, 0.2])
    with pytest.raises(InvalidArgumentError, match="fall"):
        ScoreMap.affine([0.1, 0.2], [0.2, 0.1])


def test_knots_that_fall_are_refused():
    with pytest.raises(InvalidArgumentError, match="do not rise"):
        ScoreMap((0.1, 0.2), (0.5, 0.4))


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(NumericalError, match="NaN"):
        ScoreMap((0.1,), (0.5,)).threshold(float("nan"))
