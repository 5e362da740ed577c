"""HnswIndex beyond plain search: filters, ranges, a new model's vectors, and how good the graph is."""

import threading
import time

import numpy as np
import pytest

import revector
from revector import HnswHealth, HnswIndex
from revector.errors import InvalidArgumentError, NumericalError, RecallNotReachedError, ShapeError


def rows(n, d=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def built(n=2000, d=16, **options):
    return HnswIndex.build(rows(n, d), np.arange(n) * 2, **options)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_filter_gives_the_nearest_of_what_it_allows(share):
    index, queries = built(), rows(30, seed=1)
    allowed = np.flatnonzero(np.random.default_rng(2).random(2000) < share) * 2
    scores, ids = index.search(queries, 5, ef=200, allowed=allowed)
    exact = unit(queries) @ unit(rows(2000))[allowed // 2].T
    best = np.argsort(-exact, axis=1)[:, :5]
    assert (ids == allowed[best]).mean() > 0.97
    right = ids == allowed[best]
    np.testing.assert_allclose(scores[right], np.take_along_axis(exact, best, 1)[right], atol=1e-5)
    nothing = index.search(queries, 2, allowed=[])
    assert (nothing[1] == -1).all()
    assert (index.search(queries, 2, allowed=[1, 3])[1] == -1).all()  # no such ids
    with pytest.raises(InvalidArgumentError, match="allowed"):
        index.search(queries, 2, allowed=[0.5])


def test_a_range_holds_all_that_scores_enough():
    index, queries = built(), rows(30, seed=1)
    scores, ids, offsets = index.range(queries, 0.5, ef=100)
    exact = unit(queries) @ unit(rows(2000)).T
    assert len(offsets) == 31
    assert len(ids) >= 0.97 * (exact >= 0.5).sum()
    for q in range(30):
        of_query = slice(offsets[q], offsets[q + 1])
        np.testing.assert_allclose(scores[of_query], exact[q, ids[of_query] // 2], atol=1e-5)
        assert (np.diff(scores[of_query]) <= 0).all()
    assert (scores >= 0.5).all()
    assert set(index.range(queries, 0.0, allowed=[4, 8])[1]) <= {4, 8}
    with pytest.raises(InvalidArgumentError, match="NaN"):
        index.range(queries, float("nan"))


def test_exact_search_is_exact():
    index, queries = built(m=4, ef_construction=10), rows(30, seed=1)
    scores, ids = index.search_exact(queries, 7)
    exact = unit(queries) @ unit(rows(2000)).T
    np.testing.assert_array_equal(ids, np.argsort(-exact, axis=1)[:, :7] * 2)
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :7], atol=1e-6)
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        index.search_exact(queries, 0)


def test_a_rebuild_for_a_new_model_leaves_the_old_index_alone():
    old, new = built(m=8, ef_construction=50, metric="l2", seed=3), rows(2000, 24, seed=5)
    index = old.rebuild(new, np.arange(2000) * 2)
    assert (index.dim, index.m, index.ef_construction, index.metric, len(index)) == (24, 8, 50, "l2", 2000)
    assert old.dim == 16
    by_default = old.rebuild(new[old.ids() // 2])
    np.testing.assert_array_equal(by_default.get_vectors([6]), index.get_vectors([6]))
    with pytest.raises(ShapeError):
        old.rebuild(new[:5])
    with pytest.raises(InvalidArgumentError, match="ids but no vectors"):
        old.rebuild(ids=[1])


def test_a_rebuild_of_itself_gives_deleted_nodes_back():
    index = built()
    index.mark_deleted(np.arange(500) * 2)
    again = index.rebuild()
    assert again.check().deleted == 0
    np.testing.assert_array_equal(np.sort(again.ids()), np.sort(index.ids()))
    np.testing.assert_array_equal(again.get_vectors([3000]), index.get_vectors([3000]))


def test_a_stale_graph_serves_and_says_how_well():
    old, x = built(), rows(2000)
    near, far = x + 0.05 * rows(2000, seed=8), rows(2000, seed=9)
    served = old.serve_stale(near, np.arange(2000) * 2)
    assert served.check().recall > 0.9
    np.testing.assert_allclose(served.get_vectors([8])[0], unit(near)[4], rtol=1e-5)
    poor = old.serve_stale(far, np.arange(2000) * 2).check(ef=16)
    assert poor.recall < 0.9
    assert "rebuild()" in poor.recommendation
    with pytest.raises(InvalidArgumentError, match="1999 vectors for 2000 live ones"):
        old.serve_stale(near[1:], np.arange(1, 2000) * 2)
    with pytest.raises(NumericalError):
        old.serve_stale(near * np.nan)


def test_a_sound_graph_needs_nothing():
    health = built().check()
    assert isinstance(health, HnswHealth)
    assert (health.live, health.deleted, health.unreachable) == (2000, 0, 0)
    assert (health.k, health.ef, health.queries) == (10, 128, 200)
    assert sum(health.degrees) == 2000
    assert 5 < health.mean_degree <= 32
    assert health.recall > 0.98
    assert health.recommendation == "nothing to do"
    assert built().check(rows(50, seed=1), k=3, ef=2000).recall == 1


def test_recall_is_what_exact_search_says():
    index, queries = built(m=3, ef_construction=8), rows(100, seed=1)
    exact = np.argsort(-(unit(queries) @ unit(rows(2000)).T), axis=1)[:, :10] * 2
    found = index.search(queries, 10, ef=12)[1]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)])
    assert index.check(queries, ef=12).recall == pytest.approx(recall, abs=1e-9)
    assert 0 < index.check(queries, ef=12).recall_error < 0.05


def test_many_deleted_nodes_are_reported():
    index = built()
    index.mark_deleted(np.arange(800) * 2)
    health = index.check()
    assert (health.live, health.deleted) == (1200, 800)
    assert "800 of 2000 nodes are deleted" in health.recommendation


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_indexes_can_be_checked(n):
    health = HnswIndex.build(rows(n), np.arange(n)).check()
    assert health.live == n
    assert health.recommendation == "nothing to do"
    assert HnswIndex.build(rows(n), np.arange(n)).tune(0.9, rows(5, seed=1), k=2) == 2


def test_copies_of_one_vector_count_as_found():
    index = HnswIndex.build(np.repeat(rows(20), 50, axis=0), np.arange(1000))
    assert index.check(k=5).recall == 1


def test_tune_finds_the_narrowest_search_that_is_good_enough():
    index, queries = built(8000, m=6, ef_construction=40), rows(200, seed=1)
    ef = index.tune(0.95, queries)
    assert index.check(queries, ef=ef).recall >= 0.95
    assert index.check(queries, ef=int(ef * 0.9) - 1).recall < 0.95
    assert index.tune(0.8) <= index.tune(0.99)
    with pytest.raises(InvalidArgumentError, match=r"target_recall is 1\.5"):
        index.tune(1.5)


def test_a_recall_that_no_search_has_is_refused(monkeypatch):
    monkeypatch.setattr(HnswIndex, "search", lambda self, q, k, ef: (np.full((len(q), k), -1.0), np.zeros((len(q), k))))
    with pytest.raises(RecallNotReachedError, match="rebuild") as caught:
        built(300).tune(0.9, rows(5, seed=1))
    assert (caught.value.target, caught.value.reached) == (0.9, 0.0)


def test_searches_do_not_wait_for_an_addition():
    index, queries = HnswIndex(128), rows(1, 128, seed=1)
    index.add(rows(1000, 128), np.arange(1000))
    adding = threading.Thread(target=index.add, args=(rows(12_000, 128, seed=2), np.arange(1000, 13_000)))
    waits = []
    begin = time.perf_counter()
    adding.start()
    while adding.is_alive():
        before = time.perf_counter()
        assert (index.search(queries, 5, ef=20)[1] >= 0).all()
        waits.append(time.perf_counter() - before)
    took = time.perf_counter() - begin
    assert len(waits) > 20
    assert max(waits) < took / 3
    assert len(index) == 13_000


def test_it_is_public():
    assert revector.HnswHealth is HnswHealth
