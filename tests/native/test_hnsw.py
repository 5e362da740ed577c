"""HnswIndex: its promises, its errors, random histories beside exact search, and files that hnswlib wrote."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import revector
from revector import HnswIndex
from revector.errors import CorruptIndexError, InvalidArgumentError, NumericalError, ShapeError

GOLDEN = Path(__file__).parent.parent / "golden" / "hnswlib"
METRICS = ("cosine", "ip", "l2")


def rows(n, d=8, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def exact_scores(metric, queries, x):
    q, x = queries.astype(np.float64), x.astype(np.float64)
    if metric == "l2":
        return -((q[:, None] - x[None]) ** 2).sum(2)
    if metric == "cosine":
        q, x = (side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-300) for side in (q, x))
    return q @ x.T


def filled(metric="cosine", n=200, d=8):
    index = HnswIndex(d, metric=metric)
    index.add(rows(n, d), np.arange(n))
    return index


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_the_metric_and_neighbours_the_nearest(metric):
    x, queries = rows(500), rows(50, seed=1)
    index = HnswIndex(8, metric=metric)
    index.add(x, np.arange(500))
    scores, ids = index.search(queries, 10)
    expected = exact_scores(metric, queries, x)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, 1), atol=1e-4)
    assert (ids == np.argsort(-expected, axis=1)[:, :10]).mean() > 0.98
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64


@pytest.mark.parametrize("metric", METRICS)
def test_a_built_index_is_an_index_like_any(metric, tmp_path):
    x, queries = rows(1500), rows(50, seed=1)
    index = HnswIndex.build(x, np.arange(1500) * 3, m=8, ef_construction=100, metric=metric)
    assert (len(index), index.dim, index.metric, index.m, index.ef_construction) == (1500, 8, metric, 8, 100)
    np.testing.assert_array_equal(np.sort(index.ids()), np.arange(1500) * 3)
    expected = np.argsort(-exact_scores(metric, queries, x), axis=1)[:, :10] * 3
    assert (index.search(queries, 10)[1] == expected).mean() > 0.98
    index.save(tmp_path / "index")
    again = HnswIndex.load(tmp_path / "index", 8, metric=metric)
    np.testing.assert_array_equal(again.search(queries, 10)[1], index.search(queries, 10)[1])
    index.mark_deleted([0, 3])
    index.add(x[:2] + 1, [3, 1])
    assert len(index) == 1500


def test_a_build_tells_how_far_it_is_and_can_be_called_off():
    x, shares = rows(30_000, 64), []
    HnswIndex.build(x, np.arange(len(x)), progress=shares.append)
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)

    class StopError(Exception):
        pass

    def stop(share):
        raise StopError(share)

    with pytest.raises(StopError):
        HnswIndex.build(x, np.arange(len(x)), progress=stop)


@pytest.mark.parametrize(
    ("x", "ids", "error", "message"),
    [
        (rows(3), [1, 2, 1], InvalidArgumentError, "id 1 occurs twice"),
        (rows(3), [1, 2, -1], InvalidArgumentError, "negative"),
        (rows(3), [1, 2], ShapeError, "number of ids"),
        (np.full((2, 8), np.nan), [1, 2], NumericalError, "vectors"),
        (np.empty((2, 0)), [1, 2], InvalidArgumentError, "dim is 0"),
    ],
)
def test_a_build_refuses_what_add_refuses(x, ids, error, message):
    with pytest.raises(error, match=message):
        HnswIndex.build(x, ids)


def test_it_knows_what_it_holds():
    index = filled()
    assert (len(index), index.dim, index.metric, index.m, index.ef_construction) == (200, 8, "cosine", 16, 200)
    index.mark_deleted([3, 5])
    assert len(index) == 198
    assert 3 not in index
    assert 4 in index
    assert np.int64(4) in index
    assert all(missing not in index for missing in (-1, 2**70, "4", None))
    np.testing.assert_array_equal(index.ids(), np.setdiff1d(np.arange(200), [3, 5]))
    index.unmark_deleted(np.array([3], dtype=np.uint64))
    assert 3 in index
    np.testing.assert_allclose(np.linalg.norm(index.get_vectors([3]), axis=1), 1, rtol=1e-6)
    assert repr(index) == "HnswIndex(dim=8, m=16, metric='cosine', size=199)"


def test_there_are_never_more_results_than_vectors_that_may_be_found():
    index = HnswIndex(8)
    assert index.search(rows(2), 3)[1].shape == (2, 0)
    index.add(rows(5), np.arange(5))
    index.mark_deleted([4])
    for search in (index.search, index.search_exact):
        scores, ids = search(rows(2), 10**18)
        assert ids.shape == scores.shape == (2, 4)
        assert sorted(ids[0]) == [0, 1, 2, 3]
        assert search(rows(2), 10**18, allowed=[3, 1])[1].shape == (2, 2)
        assert search(rows(2), 10**18, allowed=[])[1].shape == (2, 0)


def test_results_are_padded_where_ids_that_are_allowed_are_not_there():
    index = HnswIndex(8)
    index.add(rows(5), np.arange(5))
    scores, ids = index.search(rows(1), 3, allowed=[2, 7, 9])
    np.testing.assert_array_equal(ids, [[2, -1, -1]])
    assert np.isneginf(scores[0, 1:]).all()


def test_arrays_of_other_kinds_are_taken():
    index = HnswIndex(8, metric="l2")
    wide = rows(10, 16).astype(np.float64)
    index.add(wide[:, ::2], list(range(10)))
    index.add(np.asfortranarray(rows(4, seed=2)), np.array([20, 21, 22, 23], dtype=np.int32))
    index.add(np.empty((0, 8), np.float32), [])
    np.testing.assert_array_equal(index.get_vectors([3])[0], wide[3, ::2].astype(np.float32))
    assert len(index) == 14


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda i: i.add(rows(2, 7), [1, 2]), ShapeError, "columns of vectors: got 7, expected 8"),
        (lambda i: i.add(rows(2), [1]), ShapeError, "number of ids: got 1, expected 2"),
        (lambda i: i.add(rows(2), [[1, 2]]), ShapeError, "2 dimension"),
        (lambda i: i.add(rows(1), [-1]), InvalidArgumentError, "negative"),
        (lambda i: i.add(rows(1), [1.5]), InvalidArgumentError, "float64, expected integers"),
        (lambda i: i.add(rows(1), np.array([2**63], np.uint64)), InvalidArgumentError, "at most"),
        (lambda i: i.add(rows(1) * np.nan, [1]), NumericalError, "row 0"),
        (lambda i: i.search(rows(1) / 0.0, 1), NumericalError, "row 0"),
        (lambda i: i.search(rows(1, 7), 1), ShapeError, "columns of queries"),
        (lambda i: i.search(rows(1), 0), InvalidArgumentError, "k is 0"),
        (lambda i: i.search(rows(1), -1), InvalidArgumentError, "k is -1"),
        (lambda i: i.mark_deleted([1, 200]), InvalidArgumentError, r"id 200 is not .* ids\(\) lists"),
        (lambda i: i.unmark_deleted([200]), InvalidArgumentError, r"id 200 is not .* ids\(\) lists"),
        (lambda i: i.get_vectors([200]), InvalidArgumentError, r"id 200 is not .* ids\(\) lists"),
        (lambda i: HnswIndex(0), InvalidArgumentError, "dim is 0"),
        (lambda i: HnswIndex(8, m=1), InvalidArgumentError, "m is 1"),
        (lambda i: HnswIndex(8, metric="dot"), InvalidArgumentError, "'dot', expected one of 'cosine'"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_errors_say_what_is_wrong_and_nothing_changes(call, error, message):
    index = filled()
    with pytest.raises(error, match=message):
        call(index)
    assert len(index) == 200
    np.testing.assert_array_equal(index.ids(), np.arange(200))


def test_a_saved_index_is_the_same_index(tmp_path):
    index = filled("ip")
    index.mark_deleted([11])
    index.save(tmp_path / "index")
    loaded = HnswIndex.load(tmp_path / "index", 8, metric="ip")
    for mine, others in zip(index.search(rows(20, seed=3), 10), loaded.search(rows(20, seed=3), 10), strict=True):
        np.testing.assert_array_equal(mine, others)
    assert [p.name for p in tmp_path.iterdir()] == ["index"]


def test_files_that_can_not_be_read(tmp_path):
    path = tmp_path / "index"
    with pytest.raises(FileNotFoundError):
        HnswIndex.load(path, 8)
    with pytest.raises(FileNotFoundError):
        filled().save(tmp_path / "nowhere" / "index")
    path.write_bytes(b"not an index")
    with pytest.raises(CorruptIndexError, match=r"index, offset 12: the file ends here.*build the index anew"):
        HnswIndex.load(path, 8)
    filled().save(path)
    with pytest.raises(ShapeError, match="8 dimensions, expected 9"):
        HnswIndex.load(path, 9)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CorruptIndexError, match="offset"):
        HnswIndex.load(path, 8)


def test_searches_and_changes_from_many_threads():
    index, x, failures = filled(), rows(400, seed=4), []

    def search():
        for _ in range(30):
            scores, ids = index.search(x[:5], 5)
            if (ids < 0).any() or np.isnan(scores).any():
                failures.append(ids)

    readers = [threading.Thread(target=search) for _ in range(3)]
    for reader in readers:
        reader.start()
    for begin in range(0, 400, 40):
        index.add(x[begin : begin + 40], np.arange(begin, begin + 40))
    for reader in readers:
        reader.join()
    assert not failures
    assert len(index) == 400


IDS = st.lists(st.integers(0, 60), min_size=1, max_size=25)
VERBS = ["add", "mark", "unmark", "reload", "rebuild"]
STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), IDS, st.integers(0, 2**32 - 1)),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(metric=st.sampled_from(METRICS), m=st.integers(6, 12), steps=STEPS)  # fewer links can leave nodes out of reach
def test_any_history_ends_in_what_exact_search_finds(tmp_path_factory, metric, m, steps):
    index, vectors, deleted = HnswIndex(5, m=m, ef_construction=60, metric=metric), {}, set()
    path = tmp_path_factory.mktemp("history") / "index"
    for verb, ids, seed in steps:
        known = [i for i in ids if i in vectors]
        if verb == "add":
            new = rows(len(ids), 5, seed)
            index.add(new, ids)
            vectors.update(zip(ids, new, strict=True))
            deleted -= set(ids)
        elif verb == "reload":
            index.save(path)
            index = HnswIndex.load(path, 5, metric=metric)
        elif verb == "rebuild":
            index = index.rebuild()
            vectors = {i: vector for i, vector in vectors.items() if i not in deleted}
            deleted = set()
        else:
            (index.mark_deleted if verb == "mark" else index.unmark_deleted)(known)
            deleted = deleted | set(known) if verb == "mark" else deleted - set(known)
    live = sorted(set(vectors) - deleted)
    assert sorted(index.ids()) == live
    queries = rows(5, 5, 99)
    scores, found = index.search(queries, 5, ef=200)
    if not live:
        assert (found == -1).all()
        return
    expected = exact_scores(metric, queries, np.array([vectors[i] for i in live]))
    k = min(5, len(live))
    best = np.array(live)[np.argsort(-expected, axis=1)[:, :k]]
    recall = np.mean([len(set(a) & set(b)) / k for a, b in zip(found[:, :k], best, strict=True)])
    assert recall >= 0.9
    assert set(found[found >= 0]) <= set(live)
    assert np.isneginf(scores[:, k:]).all()


@pytest.mark.parametrize("m", [4, 16, 48])
@pytest.mark.parametrize("metric", METRICS)
def test_hnswlibs_files_give_hnswlibs_results(metric, m, tmp_path):
    golden = np.load(GOLDEN / f"{metric}_{m}.npz")
    index = HnswIndex.load(GOLDEN / f"{metric}_{m}.bin", 12, metric=metric)
    index.save(tmp_path / "again")
    for loaded in (index, HnswIndex.load(tmp_path / "again", 12, metric=metric)):
        assert loaded.m == m
        np.testing.assert_array_equal(np.sort(loaded.ids()), golden["live"])
        np.testing.assert_allclose(loaded.get_vectors(golden["live"]), golden["vectors"], rtol=1e-6)
        scores, ids = loaded.search(golden["queries"], 10, ef=30)
        np.testing.assert_array_equal(ids, golden["found"].astype(np.int64))
        distances = -scores if metric == "l2" else 1 - scores
        np.testing.assert_allclose(
            distances, golden["distances"], atol=2e-6 * max(1, np.abs(golden["distances"]).max())
        )


def test_it_is_a_public_name():
    assert revector.HnswIndex is HnswIndex


def test_a_rotation_needs_no_rebuild():
    rng = np.random.default_rng(3)
    vectors, queries = (
        rng.standard_normal((2000, 24), dtype=np.float32),
        rng.standard_normal((50, 24), dtype=np.float32),
    )
    rotation = np.linalg.qr(rng.standard_normal((24, 24)))[0].astype(np.float32)
    index = HnswIndex(24)
    index.add(vectors, np.arange(2000))
    before = index.search(queries, 5)[1]
    fitted = revector.Procrustes(center=False).fit(vectors, vectors @ rotation)
    index.rotate(fitted)
    found = index.search(queries @ rotation, 5)[1]
    assert (found == before).mean() > 0.99  # rounding may swap what nearly ties
    with pytest.raises(InvalidArgumentError, match="the map is centred"):
        index.rotate(revector.Procrustes().fit(vectors, vectors))
    with pytest.raises(InvalidArgumentError, match="not orthogonal"):
        index.rotate(rotation * 1.1)
