"""The rest of an index: vectors in blocks, measured one by one, whatever happened to them since."""

import numpy as np
import pytest

from revector.backends.local_index import rest as module
from revector.backends.local_index.feed import VectorChanges
from revector.backends.local_index.rest import Rest
from revector.spaces import EmbeddingSpace

DIMENSION, BLOCK = 8, 256
NO_KEYS = np.empty(0, np.int64)
NO_ROWS = np.empty((0, DIMENSION), np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * DIMENSION * BLOCK)


@pytest.fixture(params=["cosine", "ip"])
def space(request):
    return EmbeddingSpace(model="m", dimension=DIMENSION, revision="1", metric=request.param)


def written(keys, seed):
    vectors = np.random.default_rng(seed).standard_normal((len(keys), DIMENSION)).astype(np.float32)
    return VectorChanges(0, np.asarray(keys, np.int64), vectors, NO_KEYS)


def deleted(keys):
    return VectorChanges(0, NO_KEYS, NO_ROWS, np.asarray(keys, np.int64))


def told(space, changes):
    """Return what a dictionary makes of the same changes."""
    live = {}
    for change in changes:
        live.update(zip(change.keys.tolist(), change.vectors, strict=True))
        for key in change.deleted.tolist():
            live.pop(key, None)
    if space.metric == "cosine":
        live = {key: vector / np.linalg.norm(vector) for key, vector in live.items()}
    return live


def assert_holds(rest, live):
    query = np.random.default_rng(9).standard_normal((2, DIMENSION)).astype(np.float32)
    _, keys = rest.search_exact(query, 7)
    vectors = np.array([*live.values()])
    expected = np.array([*live])[np.argsort(-(query @ vectors.T), axis=1)[:, :7]]
    np.testing.assert_array_equal(keys, expected)
    assert sorted(rest.keys().tolist()) == sorted(live)
    asked = np.array([*[*live][::17], 10**6])
    found, rows = rest.find(asked)
    assert found.tolist() == [True] * (len(asked) - 1) + [False]
    np.testing.assert_allclose(rows, [live[key] for key in asked[:-1].tolist()], atol=1e-6)


HISTORY = [
    written(range(100), 1),
    written(range(100, 900), 2),  # over three blocks
    deleted(range(0, 900, 5)),
    written(range(50, 400, 3), 4),  # again
    written(range(900, 1024), 5),
    deleted([1023, 77]),
    written(range(2000, 2300), 6),
]


def test_every_moment_finds_what_was_live_then(space):
    moments = [Rest(space)]
    for changes in HISTORY:
        moments.append(moments[-1].after(changes))
    for count, moment in enumerate(moments[1:], 1):
        assert_holds(moment, told(space, HISTORY[:count]))


def test_what_a_transaction_adds_stays_its_own(space):
    """Its rows may yet be taken back, and the next ones take their place."""
    shared = Rest(space)
    for changes in HISTORY[:5]:
        shared = shared.after(changes)
    alone = shared.after(HISTORY[6], alone=True)
    later = shared.after(HISTORY[5])
    assert_holds(alone, told(space, [*HISTORY[:5], HISTORY[6]]))
    assert_holds(later, told(space, HISTORY[:6]))
    assert_holds(shared, told(space, HISTORY[:5]))


def test_what_is_beyond_an_earlier_moment_is_what_was_written_since(space):
    earlier = Rest(space).after(HISTORY[0]).after(HISTORY[1])
    later = earlier
    for changes in HISTORY[2:]:
        later = later.after(changes)
    since = told(space, HISTORY[2:])
    assert_holds(later.beyond(earlier), since)
    assert set(range(0, 900, 5)) - set(since) <= set(later.beyond(earlier).deleted.tolist())
    assert Rest(space).beyond(earlier) is None


def test_a_full_block_is_packed_where_the_metric_is_the_cosine(space):
    rest = Rest(space).after(HISTORY[0]).after(HISTORY[1])
    packed = [block.packed is not None for block in rest._rows.blocks(0, 900)]
    assert packed == [space.metric == "cosine"] * 3 + [False]
