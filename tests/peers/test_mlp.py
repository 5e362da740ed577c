"""The network on top of a ridge map, which torch fits."""

import numpy as np
import pytest

from revector.errors import InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.mapping import ResidualMLP, RidgeMap, load_map
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.peers

OLD = EmbeddingSpace(model="old", dimension=8, revision="a")
NEW = EmbeddingSpace(model="new", dimension=6, revision="b")


def folded_pairs(n=1200):
    """Rows, and an image with a fold that no affine map has."""
    x = normalize(np.random.default_rng(0).standard_normal((n, 8)))
    return x, normalize(np.abs(x[:, :6]) + 0.3 * x[:, 2:])


def small():
    return ResidualMLP(hidden=64, epochs=30, source=OLD, target=NEW)


def mean_cosine(fitted, x, y):
    return float(np.mean(np.sum(fitted.transform(x) * y, axis=1)))


def test_the_network_learns_what_ridge_can_not():
    x, y = folded_pairs()
    network, ridge = small().fit(x[:1000], y[:1000]), RidgeMap().fit(x[:1000], y[:1000])
    assert mean_cosine(network, x[1000:], y[1000:]) > mean_cosine(ridge, x[1000:], y[1000:]) + 0.02


def test_a_stream_and_a_seed_give_the_same_map():
    x, y = folded_pairs(200)
    streamed = small().partial_fit(x[:90], y[:90]).partial_fit(x[90:], y[90:])
    np.testing.assert_allclose(streamed.transform(x), small().fit(x, y).transform(x), atol=1e-5)


def test_fitting_leaves_torchs_own_seed_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    small().fit(*folded_pairs(100)).transform(np.ones((1, 8), np.float32))
    assert torch.rand(1) == expected


def test_a_network_survives_a_file_and_then_knows_no_pairs():
    x, y = folded_pairs(200)
    fitted = small().fit(x, y)
    loaded = load_map(fitted.to_bytes())
    np.testing.assert_allclose(loaded.transform(x), fitted.transform(x), atol=1e-6)
    assert (loaded.target, loaded.n_parameters) == (NEW, fitted.n_parameters)
    with pytest.raises(InvalidArgumentError, match="does not hold its pairs"):
        loaded.partial_fit(x, y)
    with pytest.raises(SpaceMismatchError, match="other way"):
        loaded.transform(x, space=NEW)


def test_pairs_that_do_not_fit_are_refused():
    x, y = folded_pairs(100)
    with pytest.raises(InvalidArgumentError, match="10 pair"):
        small().fit(x[:10], y[:10]).transform(x)
    with pytest.raises(InvalidArgumentError, match="takes no weights"):
        small().fit(x, y, weights=np.ones(100))
    with pytest.raises(ShapeError, match="columns"):
        ResidualMLP().partial_fit(x, y).partial_fit(x[:, :3], y)
    x[5, 5] = np.inf
    with pytest.raises(NumericalError, match="old: row 5"):
        small().fit(x, y)
