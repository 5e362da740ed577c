"""Procrustes against scipy's solution in float64, on pairs that are hard to be exact on."""

import numpy as np
import pytest

from revector import Procrustes

linalg = pytest.importorskip("scipy.linalg")

D = 96


def well(rng):
    return rng.standard_normal((2000, D))


def ill(rng):
    return rng.standard_normal((2000, D)) * np.logspace(0, -6, D)


def duplicated(rng):
    return np.repeat(rng.standard_normal((50, D)), 40, axis=0)


def rank_deficient(rng):
    return rng.standard_normal((2000, 10)) @ rng.standard_normal((10, D))


def few(rng):
    return rng.standard_normal((20, D))


def constant_columns(rng):
    rows = rng.standard_normal((2000, D))
    rows[:, :30] = 1
    return rows


def far_from_zero(rng):
    return rng.standard_normal((2000, D)) + 50


KINDS = [well, ill, duplicated, rank_deficient, few, constant_columns, far_from_zero]


def pairs(kind, d_new):
    rng = np.random.default_rng(11)
    x = kind(rng)
    y = x @ rng.standard_normal((D, d_new)) / np.sqrt(D) + 0.1 * rng.standard_normal((len(x), d_new))
    return x.astype(np.float32), y.astype(np.float32)


def centred(rows):
    rows = rows.astype(np.float64)
    return rows - rows.mean(axis=0)


def objective(x, y, w):
    return np.linalg.norm(x @ w - y)


@pytest.mark.parametrize("weighted", [False, True], ids=["core", "weighted"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_objective_is_scipys_and_the_map_orthogonal(kind, weighted):
    x, y = pairs(kind, D)
    fitted = Procrustes().fit(x, y, weights=np.ones(len(x)) if weighted else None)
    w = fitted.rotation.astype(np.float64)
    assert np.abs(w.T @ w - np.eye(D)).max() <= 1e-5
    expected = objective(centred(x), centred(y), linalg.orthogonal_procrustes(centred(x), centred(y))[0])
    assert objective(centred(x), centred(y), w) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("d_new", [40, 150])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_between_unequal_dimensions_the_trace_is_the_largest(kind, d_new):
    x, y = pairs(kind, d_new)
    w = Procrustes().fit(x, y).rotation.astype(np.float64)
    short = w.T @ w if d_new < D else w @ w.T
    assert np.abs(short - np.eye(min(D, d_new))).max() <= 1e-5
    # the sum of the singular values bounds tr(W^T X^T Y) over all W with orthonormal columns or rows
    cross = centred(x).T @ centred(y)
    assert np.sum(w * cross) == pytest.approx(linalg.svdvals(cross).sum(), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_stream_of_hard_pairs_reaches_the_same_objective(kind):
    x, y = pairs(kind, D)
    streamed = Procrustes()
    for start in range(0, len(x), 77):
        streamed.partial_fit(x[start : start + 77], y[start : start + 77])
    whole = objective(centred(x), centred(y), Procrustes().fit(x, y).rotation.astype(np.float64))
    assert objective(centred(x), centred(y), streamed.rotation.astype(np.float64)) == pytest.approx(whole, rel=1e-6)
