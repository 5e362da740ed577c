"""What every map between spaces promises, whatever its kind; and what is the kind's own."""

import tracemalloc

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, RidgeMap, load_map
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

OLD = EmbeddingSpace(model="old", dimension=12, revision="a")
NEW = EmbeddingSpace(model="new", dimension=10, revision="b")

MAPS = {
    "procrustes": Procrustes(source=OLD, target=NEW),
    "ridge": RidgeMap(source=OLD, target=NEW),
    "ridge toward rotation": RidgeMap(toward_rotation=True, source=OLD, target=NEW),
    "low rank": LowRankMap(6, source=OLD, target=NEW),
    "local": LocalResidualMap(source=OLD, target=NEW),
    "local on a rotation": LocalResidualMap(Procrustes(), source=OLD, target=NEW),
}
WEIGHTED = [name for name in MAPS if not name.startswith("local")]


@pytest.fixture(params=MAPS)
def unfitted(request):
    return MAPS[request.param].unfitted()


def affine_pairs(n=400, noise=0.0, seed=0):
    """Rows, and an affine image of them at unit length."""
    rng = np.random.default_rng(seed)
    x = normalize(rng.standard_normal((n, 12)))
    matrix = np.linalg.qr(np.random.default_rng(99).standard_normal((12, 10)))[0]
    return x, (x @ matrix + 0.3 + noise * rng.standard_normal((n, 10))).astype(np.float32)


def mean_cosine(a, b):
    return float(np.mean(np.sum(normalize(a) * normalize(b), axis=1)))


def test_an_affine_map_is_recovered(unfitted):
    x, y = affine_pairs(800)
    least = 0.85 if isinstance(unfitted, LowRankMap) else 0.999  # a rank of 6 cannot hold all 10 dimensions
    assert mean_cosine(unfitted.fit(x[:700], y[:700]).transform(x[700:]), y[700:]) >= least


def test_mapped_rows_have_unit_length(unfitted):
    x, y = affine_pairs(noise=0.1)
    np.testing.assert_allclose(np.linalg.norm(unfitted.fit(x, y).transform(x), axis=1), 1, atol=1e-6)


def test_bfloat16_moves_unit_rows_by_little(unfitted):
    x, y = affine_pairs(noise=0.1)
    exact = unfitted.fit(x, y).transform(x)
    near = unfitted.transform(x, precision="bfloat16")
    np.testing.assert_allclose(near, exact, atol=0.01)
    assert np.abs(near - exact).max() > 0


@pytest.mark.parametrize("precision", ["int8", "float64", ""])
def test_a_precision_that_maps_do_not_have_is_refused(unfitted, precision):
    x, y = affine_pairs(noise=0.1)
    with pytest.raises(InvalidArgumentError, match="precision"):
        unfitted.fit(x, y).transform(x, precision=precision)


def test_a_stream_gives_what_one_call_gives(unfitted):
    x, y = affine_pairs(noise=0.1)
    streamed = unfitted.unfitted()
    for start in range(0, len(x), 90):
        streamed.partial_fit(x[start : start + 90], y[start : start + 90])
    np.testing.assert_allclose(streamed.transform(x), unfitted.fit(x, y).transform(x), atol=1e-5)


def test_pairs_after_the_first_use_still_count(unfitted):
    x, y = affine_pairs(noise=0.1)
    unfitted.fit(x[:200], y[:200]).transform(x)
    unfitted.partial_fit(x[200:], y[200:])
    np.testing.assert_allclose(unfitted.transform(x), unfitted.unfitted().fit(x, y).transform(x), atol=1e-5)


def test_fit_forgets_what_was_fitted_before(unfitted):
    x, y = affine_pairs(noise=0.1)
    expected = unfitted.unfitted().fit(x, y).transform(x)
    np.testing.assert_array_equal(unfitted.fit(x[::-1], y).fit(x, y).transform(x), expected)


def test_every_map_survives_a_file(unfitted, tmp_path):
    x, y = affine_pairs(noise=0.1)
    unfitted.fit(x, y).save(tmp_path / "map.safetensors")
    loaded = load_map(tmp_path / "map.safetensors")
    assert type(loaded) is type(unfitted)
    assert (loaded.source, loaded.target, loaded.n_parameters) == (OLD, NEW, unfitted.n_parameters)
    np.testing.assert_allclose(loaded.transform(x), unfitted.transform(x), atol=1e-6)
    np.testing.assert_array_equal(load_map(loaded.to_bytes()).transform(x), loaded.transform(x))


def test_the_wrong_direction_is_refused(unfitted):
    x, y = affine_pairs()
    unfitted.fit(x, y).transform(x, space=OLD)
    with pytest.raises(SpaceMismatchError, match="other way"):
        unfitted.transform(x, space=NEW)


def test_parameters_are_read_and_set(unfitted):
    x, y = affine_pairs()
    unfitted.fit(x, y).set_params(source=None)
    assert unfitted.get_params()["source"] is None
    with pytest.raises(InvalidArgumentError, match="never fitted"):
        unfitted.transform(x)
    with pytest.raises(InvalidArgumentError, match="no parameter 'colour'"):
        unfitted.set_params(colour="red")


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_rows_that_are_not_finite_are_refused_by_number(unfitted, broken, side):
    pairs = affine_pairs()
    pairs[side][7, 3] = broken
    with pytest.raises(NumericalError, match=f"{('old', 'new')[side]}: row 7"):
        unfitted.fit(*pairs)


def test_pairs_that_do_not_fit_are_refused(unfitted):
    x, y = affine_pairs()
    with pytest.raises(ShapeError, match="rows of new: got 399, expected 400"):
        unfitted.fit(x, y[:-1])
    with pytest.raises(ShapeError, match="expected 12 of the space"):
        unfitted.fit(x[:, :5], y)
    with pytest.raises(ShapeError, match="1 dimension"):
        unfitted.fit(x[0], y[0])
    with pytest.raises(InvalidArgumentError, match="expected floats"):
        unfitted.fit(np.ones((400, 12), np.int64), y)


def test_columns_may_not_change_within_a_stream(unfitted):
    x, y = affine_pairs()
    free = unfitted.set_params(source=None, target=None).fit(x, y)
    with pytest.raises(ShapeError, match="columns"):
        free.partial_fit(x[:, :5], y).transform(x)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_pairs_are_refused(unfitted, n):
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match=f"{n} pair"):
        unfitted.fit(x[:n], y[:n]).transform(x)


def test_rows_that_do_not_vary_are_refused(unfitted):
    x, y = affine_pairs()
    with pytest.raises(NumericalError, match="do not vary"):
        unfitted.fit(np.ones_like(x), y).transform(x)


def test_zero_rows_are_pairs_like_others(unfitted):
    x, y = affine_pairs(noise=0.1)
    x[3], y[5] = 0, 0
    assert np.isfinite(unfitted.fit(x, y).transform(x)).all()


def test_strided_and_wider_rows_give_the_same_map(unfitted):
    x, y = affine_pairs(noise=0.1)
    wide = np.zeros((len(x), 24), np.float64)
    wide[:, ::2] = x
    expected = unfitted.unfitted().fit(x, y).transform(x)
    np.testing.assert_allclose(unfitted.fit(wide[:, ::2], np.asfortranarray(y)).transform(x), expected, atol=1e-6)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_weight_of_two_is_the_pair_given_twice(name):
    x, y = affine_pairs(60, noise=0.3)
    # a penalty that is given: copies of a pair need not be held out together
    fixed = MAPS[name].unfitted() if name == "procrustes" else MAPS[name].unfitted().set_params(penalty=0.1)
    twice = fixed.unfitted().fit(np.concatenate([x, x[:20]]), np.concatenate([y, y[:20]]))
    weighted = fixed.unfitted().fit(x, y, weights=np.repeat([2.0, 1.0], [20, 40]))
    np.testing.assert_allclose(weighted.transform(x), twice.transform(x), atol=1e-5)


@pytest.mark.parametrize("name", WEIGHTED)
def test_pairs_of_no_weight_do_not_count(name):
    x, y = affine_pairs(200, noise=0.3)
    weights = np.repeat([1.0, 0.0], 100)
    fitted = MAPS[name].unfitted().fit(x, y, weights=weights).transform(x)
    y[100:] = 5
    np.testing.assert_allclose(MAPS[name].unfitted().fit(x, y, weights=weights).transform(x), fitted, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (np.ones(3), ShapeError),
        (np.full(400, -1.0), InvalidArgumentError),
        (np.full(400, np.nan), InvalidArgumentError),
        (np.zeros(400), InvalidArgumentError),
    ],
)
@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_that_make_no_sense_are_refused(name, weights, error):
    x, y = affine_pairs()
    with pytest.raises(error, match="weight"):
        MAPS[name].unfitted().fit(x, y, weights=weights).transform(x)


def test_procrustes_wants_its_weights_from_the_start():
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match="from the first call"):
        Procrustes().fit(x, y).partial_fit(x, y, weights=np.ones(400))


def test_procrustes_of_equal_weights_is_procrustes():
    x, y = affine_pairs(noise=0.2)
    for parameters in ({}, {"center": False}, {"scale": True}):
        plain = Procrustes(**parameters).fit(x, y)
        weighted = Procrustes(**parameters).fit(x, y, weights=np.full(400, 3.0))
        np.testing.assert_allclose(weighted.rotation, plain.rotation, atol=1e-5)
        for field, value in vars(plain.diagnostics).items():
            assert getattr(weighted.diagnostics, field) == pytest.approx(value, rel=1e-4)


def test_a_ridge_map_learns_what_a_rotation_can_not():
    x, y = affine_pairs()
    stretched = y * np.linspace(0.1, 3, 10, dtype=np.float32)
    ridge, rotation = RidgeMap().fit(x, stretched), Procrustes(scale=True).fit(x, stretched)
    assert ridge.solved.residual < 0.05 < 0.5 < rotation.diagnostics.residual


def test_the_penalty_grows_with_the_noise():
    quiet, loud = (RidgeMap().fit(*affine_pairs(60, noise)).solved.penalty for noise in (0.01, 1.0))
    assert quiet < loud


def test_a_large_penalty_leaves_the_rotation():
    x, y = affine_pairs(noise=0.2)
    drawn = RidgeMap(1e6, toward_rotation=True).fit(x, y).transform(x)
    np.testing.assert_allclose(drawn, Procrustes().fit(x, y).transform(x), atol=1e-4)


def test_a_penalty_of_zero_or_less_is_refused():
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match="penalty is 0"):
        RidgeMap(0.0).fit(x, y).transform(x)


def test_a_low_rank_map_has_its_rank_and_few_parameters():
    x, y = affine_pairs(noise=0.1)
    fitted = LowRankMap(3).fit(x, y)
    centred = fitted.transform(x, renormalize=False) - y.mean(axis=0)
    assert np.linalg.matrix_rank(centred, tol=1e-3) == 3
    assert fitted.n_parameters == 3 * (12 + 10) + 12 + 10 < RidgeMap().fit(x, y).n_parameters


def test_a_low_rank_map_of_full_rank_is_ridge():
    x, y = affine_pairs(noise=0.1)
    np.testing.assert_allclose(LowRankMap(10).fit(x, y).transform(x), RidgeMap().fit(x, y).transform(x), atol=1e-5)


@pytest.mark.parametrize("rank", [0, 11])
def test_a_rank_that_can_not_be_is_refused(rank):
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match=f"rank is {rank}, expected from 1 to 10"):
        LowRankMap(rank).fit(x, y).transform(x)


def test_moments_do_not_lose_digits_to_an_offset():
    x, y = affine_pairs(noise=0.2)
    near, far = RidgeMap(0.01).fit(x, y), RidgeMap(0.01).fit(x + 100, y - 50)
    np.testing.assert_allclose(
        far.transform(x + 100, renormalize=False), near.transform(x, renormalize=False) - 50, atol=1e-3
    )


def test_a_file_of_another_kind_is_refused():
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match="holds a RidgeMap, expected a Procrustes"):
        Procrustes.from_bytes(RidgeMap().fit(x, y).to_bytes())


def test_a_map_of_a_later_version_is_refused():
    x, y = affine_pairs()
    blob = RidgeMap().fit(x, y).to_bytes().replace(b"revector.ridge.1", b"revector.ridge.9")
    with pytest.raises(InvalidArgumentError, match=r"revector\.ridge\.9"):
        load_map(blob)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:50], lambda b: b[:-7], lambda b: b"x" * 99])
def test_a_damaged_map_is_refused(unfitted, damage):
    x, y = affine_pairs()
    with pytest.raises(InvalidArgumentError, match="not a map"):
        load_map(damage(unfitted.fit(x, y).to_bytes()))


def test_a_stream_takes_no_more_memory_however_long_it_is():
    def peak(blocks):
        fitted = RidgeMap()
        tracemalloc.start()
        for block in range(blocks):
            fitted.partial_fit(*affine_pairs(2000, noise=0.1, seed=block))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(2)
    assert peak(40) < 1.2 * peak(4)
