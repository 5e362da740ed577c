"""Files both ways between revector and hnswlib itself: same results, also after the other one has added to them."""

import numpy as np
import pytest

from revector import HnswIndex

hnswlib = pytest.importorskip("hnswlib")

pytestmark = pytest.mark.peers

DIM, N, K, EF = 24, 1500, 10, 80


def rows(n, seed):
    return np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)


def theirs(path, metric):
    index = hnswlib.Index(metric, DIM)
    index.load_index(str(path), max_elements=3 * N)
    index.set_ef(EF)
    return index


def assert_same_results(mine, other, metric, seed):
    queries = rows(100, seed)
    scores, ids = mine.search(queries, K, ef=EF)
    other.set_ef(EF)
    labels, distances = other.knn_query(queries, K)
    # Sums in another order may exchange two neighbours whose distances are equal in float32.
    different = ids != labels.astype(np.int64)
    assert different.mean() <= 0.002
    np.testing.assert_allclose(-scores if metric == "l2" else 1 - scores, distances, atol=1e-4)


def added(metric, m):
    index = HnswIndex(DIM, m=m, ef_construction=80, metric=metric)
    index.add(rows(N, 1), np.arange(N))
    return index


def built(metric, m):
    return HnswIndex.build(rows(N, 1), np.arange(N), m=m, ef_construction=80, metric=metric)


@pytest.mark.parametrize("made", [added, built])
@pytest.mark.parametrize("m", [4, 16, 48])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_ours_is_read_searched_and_added_to_by_hnswlib(tmp_path, metric, m, made):
    path = tmp_path / "index"
    mine = made(metric, m)
    mine.mark_deleted(np.arange(0, N, 5))
    mine.save(path)
    other = theirs(path, metric)
    assert (other.get_current_count(), other.M) == (N, m)
    assert_same_results(mine, other, metric, 2)
    other.add_items(rows(N // 2, 3), N + np.arange(N // 2))
    other.add_items(rows(10, 4), 1 + 5 * np.arange(10))  # replaced
    other.unmark_deleted(0)
    other.save_index(str(path))
    back = HnswIndex.load(path, DIM, metric=metric)
    assert len(back) == N + N // 2 - N // 5 + 1
    assert_same_results(back, other, metric, 5)


@pytest.mark.parametrize("m", [4, 16, 48])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_hnswlibs_is_read_searched_and_added_to_by_us(tmp_path, metric, m):
    path = tmp_path / "index"
    other = hnswlib.Index(metric, DIM)
    other.init_index(N, M=m, ef_construction=80)
    other.add_items(rows(N, 1), np.arange(N))
    for label in range(0, N, 5):
        other.mark_deleted(label)
    other.save_index(str(path))
    mine = HnswIndex.load(path, DIM, metric=metric)
    assert_same_results(mine, other, metric, 2)
    mine.add(rows(N // 2, 3), N + np.arange(N // 2))
    mine.add(rows(10, 4), 1 + 5 * np.arange(10))  # replaced
    mine.unmark_deleted([0])
    mine.save(path)
    again = theirs(path, metric)
    assert again.get_current_count() == N + N // 2
    assert_same_results(mine, again, metric, 5)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_empty_files_go_both_ways(tmp_path, metric):
    HnswIndex(DIM, metric=metric).save(tmp_path / "mine")
    other = theirs(tmp_path / "mine", metric)
    other.add_items(rows(20, 1), np.arange(20))
    assert other.knn_query(rows(1, 1), 1)[0][0, 0] == 0
    empty = hnswlib.Index(metric, DIM)
    empty.init_index(10)
    empty.save_index(str(tmp_path / "theirs"))
    assert len(HnswIndex.load(tmp_path / "theirs", DIM, metric=metric)) == 0


def test_a_program_of_hnswlib_that_loads_our_file_can_add_to_it(tmp_path):
    added("l2", 8).save(tmp_path / "index")
    other = hnswlib.Index("l2", DIM)
    other.load_index(str(tmp_path / "index"))  # as programs do: without a capacity
    other.add_items(rows(N, 3), N + np.arange(N))
    assert other.get_current_count() == 2 * N


def test_hnswlib_has_the_room_that_was_asked_for(tmp_path):
    added("l2", 8).save(tmp_path / "index", capacity=N + 3)
    other = hnswlib.Index("l2", DIM)
    other.load_index(str(tmp_path / "index"))
    assert other.get_max_elements() == N + 3


def test_the_room_of_hnswlibs_own_file_is_kept(tmp_path):
    other = hnswlib.Index("l2", DIM)
    other.init_index(50_000, M=8)
    other.add_items(rows(N, 1), np.arange(N))
    other.save_index(str(tmp_path / "theirs"))
    HnswIndex.load(tmp_path / "theirs", DIM, metric="l2").save(tmp_path / "ours")
    again = hnswlib.Index("l2", DIM)
    again.load_index(str(tmp_path / "ours"))
    assert again.get_max_elements() == 50_000
