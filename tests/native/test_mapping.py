"""Procrustes against scipy's solution (golden file) and against its own promises."""

from pathlib import Path

import numpy as np
import pytest

from revector import Procrustes
from revector.errors import InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.spaces import EmbeddingSpace

GOLDEN = Path(__file__).parent.parent / "golden" / "procrustes.npz"
OLD = EmbeddingSpace(model="old", dimension=12, revision="a")
NEW = EmbeddingSpace(model="new", dimension=12, revision="b")


def pairs(n=200, d_old=12, d_new=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d_old)).astype(np.float32)
    mix = rng.standard_normal((d_old, d_new)).astype(np.float32)
    return x, x @ mix + 0.3 * rng.standard_normal((n, d_new)).astype(np.float32) + 0.5


def objective(x, y, w):
    return np.linalg.norm(x.astype(np.float64) @ w.astype(np.float64) - y)


@pytest.mark.parametrize("case", ["well", "ill", "duplicated", "few", "constant_column"])
def test_objective_equals_scipys(case):
    golden = np.load(GOLDEN)
    x, y = golden[f"{case}_old"], golden[f"{case}_new"]
    fitted = Procrustes(center=False).fit(x, y)
    w = fitted.rotation.astype(np.float64)
    assert np.abs(w @ w.T - np.eye(len(w))).max() <= 1e-5
    expected = float(golden[f"{case}_objective"])
    assert objective(x, y, w) == pytest.approx(expected, rel=1e-6)
    assert fitted.diagnostics.residual == pytest.approx(expected / np.linalg.norm(y), rel=1e-4)


@pytest.mark.parametrize(("d_old", "d_new"), [(12, 12), (12, 20), (20, 12), (1, 5)])
def test_centring_makes_the_map_ignore_offsets(d_old, d_new):
    x, y = pairs(d_old=d_old, d_new=d_new)
    near = Procrustes(scale=True).fit(x, y)
    far = Procrustes(scale=True).fit(x + 10, y - 5)
    np.testing.assert_allclose(
        far.transform(x + 10, renormalize=False), near.transform(x, renormalize=False) - 5, atol=2e-3
    )
    assert far.diagnostics.residual == pytest.approx(near.diagnostics.residual, abs=1e-4)


def test_transform_returns_unit_rows_and_inverse_leads_back():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 16)).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((16, 16)))[0].astype(np.float32)
    fitted = Procrustes().fit(x, x @ turn)
    np.testing.assert_allclose(np.linalg.norm(fitted.transform(x), axis=1), 1, atol=1e-6)
    there = fitted.transform(x, renormalize=False)
    np.testing.assert_allclose(there, x @ turn, atol=1e-5)
    np.testing.assert_allclose(fitted.inverse_transform(there, renormalize=False), x, atol=1e-5)


def test_streaming_equals_batch():
    x, y = pairs(n=1000)
    whole, streamed = Procrustes().fit(x, y), Procrustes()
    for begin in range(0, 1000, 130):
        streamed.partial_fit(x[begin : begin + 130], y[begin : begin + 130])
    assert streamed.diagnostics.n_pairs == 1000
    np.testing.assert_allclose(streamed.transform(x), whole.transform(x), atol=1e-5)


def test_fit_forgets_and_partial_fit_remembers():
    x, y = pairs()
    fitted = Procrustes().fit(y, x).fit(x, y)
    assert fitted.diagnostics.n_pairs == 200
    assert fitted.partial_fit(x, y).diagnostics.n_pairs == 400


def test_a_map_survives_a_file(tmp_path):
    x, y = pairs()
    fitted = Procrustes(source=OLD, target=NEW).fit(x, y)
    fitted.save(tmp_path / "map.safetensors")
    loaded = Procrustes.load(tmp_path / "map.safetensors")
    assert (loaded.source, loaded.target, loaded.diagnostics) == (OLD, NEW, fitted.diagnostics)
    np.testing.assert_array_equal(loaded.transform(x), fitted.transform(x))
    assert [p.name for p in tmp_path.iterdir()] == ["map.safetensors"]


def test_a_map_without_full_rank_survives_a_file():
    x, y = pairs(n=5)
    fitted = Procrustes().fit(x, y)
    assert fitted.diagnostics.condition == np.inf
    assert Procrustes.from_bytes(fitted.to_bytes()).diagnostics == fitted.diagnostics


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:50], lambda b: b[:-7], lambda b: b"x" * 99])
def test_a_damaged_file_is_refused(damage):
    x, y = pairs()
    blob = Procrustes().fit(x, y).to_bytes()
    with pytest.raises(InvalidArgumentError, match="not a map"):
        Procrustes.from_bytes(damage(blob))


def test_the_wrong_direction_is_refused():
    x, y = pairs()
    fitted = Procrustes(source=OLD, target=NEW).fit(x, y)
    fitted.transform(x, space=OLD)
    fitted.inverse_transform(y, space=NEW)
    with pytest.raises(SpaceMismatchError, match="other way"):
        fitted.transform(y, space=NEW)
    with pytest.raises(SpaceMismatchError, match="other way"):
        fitted.inverse_transform(x, space=OLD)


def test_pairs_that_do_not_fit_are_refused():
    x, y = pairs()
    with pytest.raises(ShapeError, match="rows of new: got 199, expected 200"):
        Procrustes().fit(x, y[:-1])
    with pytest.raises(ShapeError, match="expected 12 of the space"):
        Procrustes(source=OLD).fit(x[:, :5], y)
    with pytest.raises(InvalidArgumentError, match="never fitted"):
        Procrustes().transform(x)
    with pytest.raises(InvalidArgumentError, match="1 pair"):
        _ = Procrustes().fit(x[:1], y[:1]).diagnostics
    with pytest.raises(NumericalError, match="do not vary"):
        _ = Procrustes().fit(np.ones_like(x), y).diagnostics
    x[3, 3] = np.nan
    with pytest.raises(NumericalError, match="old: row 3"):
        Procrustes().fit(x, y)
