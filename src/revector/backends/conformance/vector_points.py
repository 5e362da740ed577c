"""The suite of what a store of vectors does with points: write, read, search and scan them. It needs pytest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from revector.backends.beside.store import VectorStore

DIMENSION = 4
AXES = np.eye(DIMENSION, dtype=np.float32)
_PAYLOAD = {
    "text": "Grüße, 世界 \U0001f30d\n'\"\\",
    "empty": "",
    "whole": 3,
    "half": 0.5,
    "yes": True,
    "tags": ["a", "b"],
    "nested": {"deep": {"er": [1, 2]}},
}


def ids_of(n: int, first: int = 1) -> list[str]:
    """Return ids that every store takes: those of revector's own collections."""
    return [str(first + place) for place in range(n)]


def filled(store: VectorStore, name: str = "docs", n: int = DIMENSION, metric: str = "cosine") -> list[str]:
    """Make a collection with points along the four axes, one after the other; return their ids."""
    store.create(name, DIMENSION, metric)
    ids = ids_of(n)
    store.put(name, ids, AXES[np.arange(n) % DIMENSION], [{"text": f"text {id_}"} for id_ in ids])
    return ids


def _directions(vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
    assert vectors is not None
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _nearest(store: VectorStore, query: NDArray[np.float32], k: int = 1, name: str = "docs") -> list[str]:
    return store.search(name, query[None], k)[0][0]


class VectorPointsConformance:
    """What `revector.backends.beside.store.VectorStore` promises of points, one behaviour a test."""

    # Points

    def test_points_come_back_by_their_ids(self, store: VectorStore) -> None:
        """Those that do not exist are left out."""
        filled(store)
        page = store.read("docs", ["3", "99", "1"], vectors=True)
        found = dict(zip(page.ids, page.payloads, strict=True))
        assert found == {"1": {"text": "text 1"}, "3": {"text": "text 3"}}
        at = [page.ids.index("1"), page.ids.index("3")]
        np.testing.assert_allclose(_directions(page.vectors)[at], AXES[[0, 2]], atol=1e-6)

    def test_vectors_come_only_where_they_are_asked_for(self, store: VectorStore) -> None:
        """As float32, one a point, also where there is none."""
        filled(store)
        assert store.read("docs", ["1"]).vectors is None
        for ids, shape in ((["1", "2"], (2, DIMENSION)), (["99"], (0, DIMENSION)), ([], (0, DIMENSION))):
            vectors = store.read("docs", ids, vectors=True).vectors
            assert vectors is not None
            assert (vectors.dtype.name, vectors.shape) == ("float32", shape)

    def test_a_payload_comes_back_as_it_was(self, store: VectorStore) -> None:
        """Whatever JSON can hold; none is an empty one."""
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ["1", "2"], AXES[:2], [_PAYLOAD, {}])
        page = store.read("docs", ["1", "2"])
        assert dict(zip(page.ids, page.payloads, strict=True)) == {"1": _PAYLOAD, "2": {}}

    def test_a_long_text_comes_back_whole(self, store: VectorStore) -> None:
        """A document may be some hundred thousand characters."""
        text = "läng " * 60_000
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ["1"], AXES[:1], [{"text": text}])
        assert store.read("docs", ["1"]).payloads == [{"text": text}]

    def test_a_point_is_replaced_as_a_whole(self, store: VectorStore) -> None:
        """Fields that it no longer has are gone."""
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ["1"], AXES[:1], [{"text": "old", "more": 1}])
        store.put("docs", ["1"], AXES[1:2], [{"text": "new"}])
        page = store.read("docs", ["1"], vectors=True)
        assert (page.payloads, store.count("docs")) == ([{"text": "new"}], 1)
        np.testing.assert_allclose(_directions(page.vectors), AXES[1:2], atol=1e-6)

    def test_what_the_caller_does_with_its_arrays_is_its_own_affair(self, store: VectorStore) -> None:
        """What is stored stays as it is, also when a writer uses its array again."""
        store.create("docs", DIMENSION, "dot")
        matrix, payload = np.ones((1, DIMENSION), np.float32), {"text": "as it was"}
        store.put("docs", ["1"], matrix, [payload])
        matrix[:], payload["text"] = 7, "changed"
        page = store.read("docs", ["1"], vectors=True)
        assert page.vectors is not None
        assert (page.vectors[0, 0], page.payloads) == (1.0, [{"text": "as it was"}])

    def test_lengths_are_kept_where_they_count(self, store: VectorStore) -> None:
        """Where the metric is the dot product."""
        store.create("docs", DIMENSION, "dot")
        matrix = np.array([[3, 0, 0.25, 0], [0, -2, 0, 0.125]], np.float32)
        store.put("docs", ["1", "2"], matrix, [{}, {}])
        page = store.read("docs", ["1", "2"], vectors=True)
        assert page.vectors is not None
        np.testing.assert_allclose(page.vectors[[page.ids.index("1"), page.ids.index("2")]], matrix, rtol=1e-6)

    def test_nothing_is_written_read_and_deleted_without_a_word(self, store: VectorStore) -> None:
        """Batches may be empty."""
        filled(store)
        store.put("docs", [], np.empty((0, DIMENSION), np.float32), [])
        store.delete("docs", [])
        assert (store.read("docs", []).ids, store.count("docs")) == ([], DIMENSION)

    def test_points_are_deleted_and_those_that_do_not_exist_passed_over(self, store: VectorStore) -> None:
        """A call that was cut off is repeated so."""
        filled(store)
        for _ in range(2):
            store.delete("docs", ["1", "99", "3"])
        assert sorted(store.read("docs", ids_of(DIMENSION)).ids) == ["2", "4"]
        assert store.count("docs") == 2

    def test_thousands_of_points_are_put_at_once(self, store: VectorStore) -> None:
        """As many as land in one transaction."""
        n = 3_000
        rng = np.random.default_rng(0)
        store.create("docs", 16, "cosine")
        matrix = rng.standard_normal((n, 16), dtype=np.float32)
        store.put("docs", ids_of(n), matrix, [{"text": f"text {i}"} for i in range(n)])
        assert store.count("docs") == n
        page = store.read("docs", ids_of(n), vectors=True)
        order = np.argsort([int(id_) for id_ in page.ids])
        expected = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        np.testing.assert_allclose(_directions(page.vectors)[order], expected, atol=1e-5)

    # Search

    def test_the_nearest_come_first_with_their_cosines(self, store: VectorStore) -> None:
        """The length of a vector makes no difference."""
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ids_of(DIMENSION), AXES * np.arange(1, 5, dtype=np.float32)[:, None], [{}] * DIMENSION)
        (first, second) = store.search("docs", np.array([[4, 3, 0, 0], [0, 0, 0, 9]], np.float32), 2)
        assert first[0] == ["1", "2"]
        np.testing.assert_allclose(first[1], [0.8, 0.6], atol=1e-4)
        assert second[0][0] == "4"
        np.testing.assert_allclose(second[1], [1.0, 0.0], atol=1e-4)

    def test_where_the_metric_is_the_dot_product_the_length_counts(self, store: VectorStore) -> None:
        """Scores are dot products."""
        store.create("docs", DIMENSION, "dot")
        store.put("docs", ["1", "2"], np.stack([AXES[0], 3 * AXES[0] + AXES[1]]), [{}, {}])
        ((ids, scores),) = store.search("docs", AXES[:1] * 2, 2)
        assert ids == ["2", "1"]
        np.testing.assert_allclose(scores, [6.0, 2.0], rtol=1e-4)

    def test_the_opposite_comes_last_with_a_negative_score(self, store: VectorStore) -> None:
        """A score is no distance."""
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ["1", "2"], np.stack([-AXES[0], AXES[1]]), [{}, {}])
        ((ids, scores),) = store.search("docs", AXES[:1], 2)
        assert ids == ["2", "1"]
        np.testing.assert_allclose(scores, [0.0, -1.0], atol=1e-4)

    def test_there_are_no_more_hits_than_points(self, store: VectorStore) -> None:
        """An empty collection has none."""
        filled(store)
        assert [len(ids) for ids, _ in store.search("docs", AXES, 10)] == [DIMENSION] * DIMENSION
        store.create("empty", DIMENSION, "cosine")
        assert store.search("empty", AXES[:2], 10) == [([], []), ([], [])]

    def test_what_was_written_is_found_at_once_and_where_it_was_no_longer(self, store: VectorStore) -> None:
        """After every search that came before."""
        filled(store)
        assert _nearest(store, AXES[0]) == ["1"]
        store.put("docs", ["1", "2"], AXES[[1, 0]], [{}, {}])
        assert (_nearest(store, AXES[0]), _nearest(store, AXES[1])) == (["2"], ["1"])

    def test_what_was_deleted_leaves_its_place_to_others(self, store: VectorStore) -> None:
        """As many hits as points are left."""
        filled(store, n=12)
        store.settle("docs")
        store.delete("docs", ids_of(10))
        assert sorted(_nearest(store, AXES[0], 12)) == ["11", "12"]

    def test_a_collection_that_has_settled_is_searched_as_before(self, store: VectorStore) -> None:
        """And finds what is nearest, in a few hundred points."""
        n = 400
        matrix = np.random.default_rng(1).standard_normal((n, DIMENSION), dtype=np.float32)
        store.create("docs", DIMENSION, "cosine")
        store.put("docs", ids_of(n), matrix, [{}] * n)
        store.settle("docs")
        found = [ids[0] for ids, _ in store.search("docs", matrix[:50], 1)]
        assert np.mean([id_ == own for id_, own in zip(found, ids_of(50), strict=True)]) >= 0.96

    # Scans

    def test_a_scan_yields_every_point_once(self, store: VectorStore) -> None:
        """In pages of at most so many, the last of which says that there is no next one."""
        ids = filled(store, n=25)
        pages = list(store.scan("docs", batch=10))
        assert sorted((id_ for page in pages for id_ in page.ids), key=int) == ids
        assert max(len(page.ids) for page in pages) <= 10
        assert all(page.next is not None for page in pages[:-1])
        assert pages[-1].next is None
        assert all(page.vectors is None for page in pages)
        for page in pages:
            assert page.payloads == [{"text": f"text {id_}"} for id_ in page.ids]

    @pytest.mark.parametrize("pages", [1, 2])
    def test_a_scan_goes_on_where_a_page_says(self, store: VectorStore, pages: int) -> None:
        """What comes then is what is left."""
        ids = filled(store, n=25)
        scan = store.scan("docs", batch=10)
        first = [next(scan) for _ in range(pages)]
        rest = list(store.scan("docs", batch=10, after=first[-1].next))
        found = [id_ for page in [*first, *rest] for id_ in page.ids]
        assert sorted(found, key=int) == ids

    def test_a_scan_brings_the_vectors_of_its_points(self, store: VectorStore) -> None:
        """Row by row."""
        filled(store, n=25)
        for page in store.scan("docs", batch=10, vectors=True):
            if page.ids:
                expected = AXES[[(int(id_) - 1) % DIMENSION for id_ in page.ids]]
                np.testing.assert_allclose(_directions(page.vectors), expected, atol=1e-6)

    def test_a_scan_of_nothing_finds_nothing(self, store: VectorStore) -> None:
        """And ends."""
        store.create("docs", DIMENSION, "cosine")
        pages = list(store.scan("docs"))
        assert [page.ids for page in pages] in ([], [[]])

    def test_points_are_counted_exactly(self, store: VectorStore) -> None:
        """A point that is replaced is the same one."""
        filled(store, n=10)
        store.put("docs", ["10", "11"], AXES[:2], [{}, {}])
        store.delete("docs", ["1", "2"])
        assert store.count("docs") == 9
