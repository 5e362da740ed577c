"""The map that corrects another one by its nearest known pairs."""

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.mapping import LocalResidualMap, Neighbourhood, Procrustes, RidgeMap, load_map
from revector.similarity import normalize


def bent_pairs(n=1500, seed=0):
    """Rows in clusters, and an image that no affine map reaches: each cluster is shifted its own way."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(7)
    centres, shifts = fixed.standard_normal((40, 16)), fixed.standard_normal((40, 16))
    cluster = rng.integers(0, 40, n)
    x = normalize(centres[cluster] + 0.3 * rng.standard_normal((n, 16)))
    return x, normalize(x + 0.5 * shifts[cluster])


def mean_cosine(fitted, x, y):
    return float(np.mean(np.sum(fitted.transform(x) * y, axis=1)))


def test_neighbours_correct_what_the_base_gets_wrong():
    x, y = bent_pairs()
    base, local = RidgeMap().fit(x[:1200], y[:1200]), LocalResidualMap().fit(x[:1200], y[:1200])
    assert mean_cosine(local, x[1200:], y[1200:]) > mean_cosine(base, x[1200:], y[1200:]) + 0.1


def test_known_pairs_that_are_added_improve_the_map():
    x, y = bent_pairs()
    local = LocalResidualMap().fit(x[:100], y[:100])
    before = mean_cosine(local, x[1200:], y[1200:])
    neighbourhood = local.neighbourhood
    local.update(x[100:1200], y[100:1200])
    assert (local.n_pairs, local.neighbourhood) == (1200, neighbourhood)
    assert mean_cosine(local, x[1200:], y[1200:]) > before + 0.05


def test_a_map_from_a_file_can_be_updated_but_not_fitted_on():
    x, y = bent_pairs(300)
    fitted = LocalResidualMap().fit(x[:200], y[:200])
    loaded = load_map(fitted.to_bytes())
    np.testing.assert_array_equal(
        loaded.update(x[200:], y[200:]).transform(x), fitted.update(x[200:], y[200:]).transform(x)
    )
    with pytest.raises(InvalidArgumentError, match="use update"):
        loaded.partial_fit(x, y)
    assert loaded.fit(x, y).n_pairs == 300


def test_pairs_of_an_update_are_kept_when_more_are_fitted():
    x, y = bent_pairs(300)
    fitted = LocalResidualMap().fit(x[:100], y[:100]).update(x[100:200], y[100:200]).partial_fit(x[200:], y[200:])
    np.testing.assert_allclose(fitted.transform(x), LocalResidualMap().fit(x, y).transform(x), atol=1e-6)


def test_only_what_is_not_given_is_chosen():
    x, y = bent_pairs(200)
    assert LocalResidualMap(neighbours=5, temperature=0.2, share=0.1).fit(x, y).neighbourhood == Neighbourhood(
        5, 0.2, 0.1
    )
    assert LocalResidualMap(neighbours=5).fit(x, y).neighbourhood.neighbours == 5


def test_a_share_of_nothing_leaves_the_base():
    x, y = bent_pairs(200)
    fitted = LocalResidualMap(Procrustes(), 8, 0.1, 0.0).fit(x, y)
    np.testing.assert_allclose(fitted.transform(x), Procrustes().fit(x, y).transform(x), atol=1e-6)


def test_a_cold_full_share_of_the_nearest_gives_known_rows_back():
    x, y = bent_pairs(200)
    fitted = LocalResidualMap(neighbours=1, temperature=0.01, share=1.0).fit(x, y)
    np.testing.assert_allclose(fitted.transform(x), y, atol=5e-4)  # known rows are kept in two bytes a number


def test_more_neighbours_than_pairs_are_as_many_as_there_are():
    x, y = bent_pairs(40)
    few, many = (LocalResidualMap(Procrustes(), k, 0.1, 0.5).fit(x, y).transform(x) for k in (40, 400))
    np.testing.assert_array_equal(few, many)


def test_the_base_that_was_given_is_not_touched():
    x, y = bent_pairs(200)
    base = Procrustes()
    LocalResidualMap(base).fit(x, y).transform(x)
    with pytest.raises(InvalidArgumentError, match="never fitted"):
        base.transform(x)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"neighbours": 0}, "neighbours is 0"),
        ({"temperature": 0.0}, "temperature is 0"),
        ({"share": -1.0}, "share is -1"),
    ],
)
def test_a_neighbourhood_that_can_not_be_is_refused(parameters, message):
    x, y = bent_pairs(200)
    with pytest.raises(InvalidArgumentError, match=message):
        LocalResidualMap(**parameters).fit(x, y).transform(x)


def test_updates_that_do_not_fit_are_refused():
    x, y = bent_pairs(200)
    fitted = LocalResidualMap().fit(x, y)
    with pytest.raises(ShapeError, match="expected 16 as before"):
        fitted.update(x[:, :5], y)
    with pytest.raises(ShapeError, match="rows of new"):
        fitted.update(x, y[:-1])
    x[4, 4] = np.nan
    with pytest.raises(NumericalError, match="old: row 4"):
        fitted.update(x, y)
    assert fitted.n_pairs == 200


def test_weights_are_refused():
    x, y = bent_pairs(200)
    with pytest.raises(InvalidArgumentError, match="takes no weights"):
        LocalResidualMap().fit(x, y, weights=np.ones(200))
