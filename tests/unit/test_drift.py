"""What two models, or two snapshots, have in common, and how sure a drift is."""

from __future__ import annotations

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.evaluation import drift
from revector.evaluation.drift import model_drift, snapshot_drift

N, D = 400, 24


def meanings(seed: int = 0, n: int = N, d: int = D) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.5 + rng.standard_normal((n, d)) * np.geomspace(1.0, 0.1, d)).astype(np.float32)


def rotation(d: int = D) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(7).standard_normal((d, d)))[0].astype(np.float32)


def test_a_model_has_not_drifted_from_itself() -> None:
    found = model_drift(meanings(), meanings())
    assert (found.overlap.value, found.overlap.low, found.overlap.high) == (1.0, 1.0, 1.0)
    assert found.cka == pytest.approx(1.0)
    assert found.row_cosine == pytest.approx(1.0)
    assert found.spectrum_shift == pytest.approx(0.0, abs=1e-6)


def test_a_rotation_moves_rows_but_neither_neighbours_nor_kernel_nor_spectrum() -> None:
    found = model_drift(meanings(), meanings() @ rotation())
    assert found.overlap.value > 0.999
    assert found.cka == pytest.approx(1.0, abs=1e-5)
    assert found.spectrum_shift == pytest.approx(0.0, abs=1e-5)
    assert found.row_cosine is not None
    assert found.row_cosine < 0.8


def test_models_of_unlike_texts_share_neighbours_by_chance_only() -> None:
    found = model_drift(meanings(0), meanings(1), k=10)
    assert found.overlap.value == pytest.approx(10 / (N - 1), abs=0.01)
    assert found.cka < 0.1


def test_cka_is_that_of_the_kernels() -> None:
    x, y = meanings(0, n=60), np.tanh(meanings(0, n=60)[:, :9])
    center = np.eye(60) - 1 / 60
    k, m = center @ x @ x.T @ center, center @ y @ y.T @ center
    expected = np.sum(k * m) / np.linalg.norm(k) / np.linalg.norm(m)
    assert model_drift(x, y).cka == pytest.approx(expected, rel=1e-4)


def test_models_of_other_dimensions_are_compared_without_row_cosines() -> None:
    found = model_drift(meanings(), meanings()[:, :8])
    assert found.row_cosine is None
    assert found.effective_ranks[1] < found.effective_ranks[0]
    assert 0 < found.spectrum_shift < 1


def test_the_effective_rank_of_equal_variances_is_their_number() -> None:
    rows = np.concatenate([np.eye(D), -np.eye(D)])
    assert model_drift(rows, rows).effective_ranks == pytest.approx((D, D))


def test_samples_of_one_distribution_raise_as_few_alarms_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PERMUTATIONS", 99)
    trials = 200
    alarms = [
        snapshot_drift(meanings(2 * s, 40), meanings(2 * s + 1, 60), false_alarms=0.1).drifted for s in range(trials)
    ]
    assert np.mean(alarms) <= 0.1 + 2.5 * np.sqrt(0.1 * 0.9 / trials)


def test_a_moved_mean_is_seen_and_measured() -> None:
    moved = meanings(1) + np.float32(0.3)
    found = snapshot_drift(meanings(0), moved)
    spread = np.sqrt(meanings(0).var(axis=0).sum())
    assert found.drifted
    assert found.mean_p == 1 / (drift.PERMUTATIONS + 1)
    assert found.mean_shift == pytest.approx(0.3 * np.sqrt(D) / spread, rel=0.1)


def test_turned_directions_are_seen_though_the_mean_stays() -> None:
    centred = meanings(1) - 0.5
    found = snapshot_drift(meanings(0) - 0.5, centred @ rotation())
    assert found.drifted
    assert found.spectrum_p == 1 / (drift.PERMUTATIONS + 1)
    assert found.mean_p > 0.05


def test_the_frechet_distance_of_diagonal_gaussians_is_the_known_one() -> None:
    x = np.concatenate([np.eye(D), -np.eye(D)])
    found = snapshot_drift(x, 3 * x + 1)
    one = 1 / D  # variance of each dimension of x; its deviation is a third of the other's
    assert found.frechet == pytest.approx(D * 1 + D * one * (3 - 1) ** 2, rel=1e-5)


def test_findings_are_said_in_words() -> None:
    assert "100% [100%, 100%] of the 10 nearest texts stay" in str(model_drift(meanings(), meanings()))
    assert str(snapshot_drift(meanings(0), meanings(1) + 1)).startswith("DRIFTED")
    assert str(snapshot_drift(meanings(0), meanings(0))).startswith("no drift seen")


@pytest.mark.parametrize(
    ("old", "new", "options", "error"),
    [
        (meanings(), meanings()[:-1], {}, ShapeError),
        (meanings()[:10], meanings()[:10], {}, ShapeError),
        (meanings()[0], meanings()[0], {}, ShapeError),
        (meanings(), meanings(), {"k": 0}, InvalidArgumentError),
        (meanings(), meanings(), {"k": N}, InvalidArgumentError),
        (meanings(), meanings(), {"queries": 1}, InvalidArgumentError),
        (meanings(), np.full((N, D), np.nan), {}, NumericalError),
        (meanings(), np.ones((N, D)), {}, NumericalError),
    ],
)
def test_what_is_no_pair_of_models_is_refused(
    old: np.ndarray, new: np.ndarray, options: dict[str, int], error: type[Exception]
) -> None:
    with pytest.raises(error):
        model_drift(old, new, **options)


@pytest.mark.parametrize(
    ("before", "after", "options", "error"),
    [
        (meanings(), meanings()[:, :5], {}, ShapeError),
        (meanings()[:10], meanings(), {}, ShapeError),
        (meanings(), meanings(), {"false_alarms": 0.0}, InvalidArgumentError),
        (meanings(), meanings(), {"false_alarms": 1.0}, InvalidArgumentError),
        (np.full((N, D), np.inf), meanings(), {}, NumericalError),
        (np.ones((N, D)), meanings(), {}, NumericalError),
    ],
)
def test_what_is_no_pair_of_snapshots_is_refused(
    before: np.ndarray, after: np.ndarray, options: dict[str, float], error: type[Exception]
) -> None:
    with pytest.raises(error):
        snapshot_drift(before, after, **options)
