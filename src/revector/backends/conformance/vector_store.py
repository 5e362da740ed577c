"""The suite that every store of vectors passes (`revector.backends.beside.store`). It needs pytest.

Use it by a subclass with a fixture that yields a store without collections::

    class TestMyStore(VectorStoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            with closing(MyStore(tmp_path)) as store:
                yield store
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from revector.backends.beside.store import VectorStore
from revector.backends.conformance.vector_points import AXES, DIMENSION, VectorPointsConformance, filled, ids_of
from revector.errors import ClosedError, StoreError


class VectorStoreConformance(VectorPointsConformance):
    """What `revector.backends.beside.store.VectorStore` promises, one behaviour a test."""

    # Collections

    def test_it_is_a_store(self, store: VectorStore) -> None:
        """It has every method, and says what it can do."""
        assert isinstance(store, VectorStore)
        assert store.capabilities.ids
        assert store.url

    def test_collections_are_listed_until_they_are_dropped(self, store: VectorStore) -> None:
        """By their names."""
        for name in ("docs", "docs_rv2"):
            store.create(name, DIMENSION, "cosine")
        assert sorted(store.names()) == ["docs", "docs_rv2"]
        store.drop("docs")
        assert store.names() == ["docs_rv2"]

    def test_a_collection_that_was_made_by_a_call_that_was_cut_off_is_taken(self, store: VectorStore) -> None:
        """It is empty still."""
        for _ in range(2):
            store.create("docs", DIMENSION, "cosine")
        assert (store.names(), store.count("docs")) == (["docs"], 0)

    def test_a_collection_that_holds_points_is_not_made_again(self, store: VectorStore) -> None:
        """It stays as it is."""
        filled(store)
        with pytest.raises(StoreError):
            store.create("docs", DIMENSION, "cosine")
        assert store.count("docs") == DIMENSION

    def test_dropping_nothing_does_nothing(self, store: VectorStore) -> None:
        """A call that was cut off is repeated so."""
        filled(store)
        store.drop("ghost")
        for _ in range(2):
            store.drop("docs")
        assert store.names() == []

    def test_a_name_that_was_dropped_begins_empty_and_with_another_dimension(self, store: VectorStore) -> None:
        """Nothing is left of the points."""
        filled(store)
        store.drop("docs")
        store.create("docs", 7, "dot")
        assert store.count("docs") == 0
        assert store.describe("docs")["dimension"] == 7
        store.put("docs", ["1"], np.ones((1, 7), np.float32), [{}])
        assert store.count("docs") == 1

    def test_collections_are_apart(self, store: VectorStore) -> None:
        """Each has points of its own with the same ids."""
        filled(store, "old")
        filled(store, "new")
        store.delete("old", ["1"])
        assert (store.count("old"), store.count("new")) == (DIMENSION - 1, DIMENSION)

    # Aliases

    def test_an_alias_leads_where_it_points_and_moves(self, store: VectorStore) -> None:
        """To say it twice does nothing more; it is not listed among the collections."""
        self._require_aliases(store)
        for name in ("old", "new"):
            filled(store, name)
        assert store.aliased("live") is None
        for name in ("old", "new", "new", "old"):
            store.point("live", name)
            assert store.aliased("live") == name
        assert sorted(store.names()) == ["new", "old"]

    def test_an_alias_is_removed_and_the_collection_stays(self, store: VectorStore) -> None:
        """To remove none does nothing."""
        self._require_aliases(store)
        filled(store)
        store.point("live", "docs")
        for _ in range(2):
            store.unalias("live")
        assert (store.aliased("live"), store.count("docs")) == (None, DIMENSION)

    def test_an_alias_is_never_named_like_a_collection_nor_leads_to_nothing(self, store: VectorStore) -> None:
        """It stays where it was."""
        self._require_aliases(store)
        for name in ("old", "new"):
            filled(store, name)
        store.point("live", "old")
        for alias, name in (("new", "old"), ("live", "ghost")):
            with pytest.raises(StoreError):
                store.point(alias, name)
        assert (store.aliased("live"), store.aliased("new")) == ("old", None)

    def test_a_store_without_aliases_says_so(self, store: VectorStore) -> None:
        """Rather than keep one that no reader follows."""
        if store.capabilities.aliases:
            pytest.skip("the store has aliases")
        filled(store)
        with pytest.raises(StoreError):
            store.point("live", "docs")
        store.unalias("live")
        assert store.aliased("live") is None

    # What is told of a collection

    def test_a_collection_is_described(self, store: VectorStore) -> None:
        """By what adoption has to know, in what JSON can hold."""
        filled(store, metric="dot")
        found = json.loads(json.dumps(store.describe("docs")))
        assert (found["dimension"], found["metric"], found["points"]) == (DIMENSION, "dot", DIMENSION)
        assert "text" in found["fields"]
        assert found["others"] == []

    @pytest.mark.parametrize("metric", ["cosine", "dot"])
    def test_a_collection_is_described_as_it_was_made(self, store: VectorStore, metric: str) -> None:
        """So that one like it can be made."""
        store.create("docs", DIMENSION, metric)
        assert store.describe("docs")["metric"] == metric

    def test_a_collection_that_is_like_another_is_searched_alike(self, store: VectorStore) -> None:
        """Whatever its dimension is."""
        filled(store, "old")
        store.create("new", 7, "cosine", like="old")
        assert store.shape("new") == store.shape("old")
        assert store.describe("new")["dimension"] == 7

    def test_points_are_taken_along_from_the_collection_they_are_like(self, store: VectorStore) -> None:
        """Their payloads are those given, also of points that the other collection does not have."""
        filled(store, "old")
        store.create("new", 7, "cosine", like="old")
        store.put("new", ["1", "99"], np.ones((2, 7), np.float32), [{"n": 1}, {"n": 2}], like="old")
        page = store.read("new", ["1", "99"])
        assert dict(zip(page.ids, page.payloads, strict=True)) == {"1": {"n": 1}, "99": {"n": 2}}

    def test_a_collection_that_grows_takes_more_bytes(self, store: VectorStore) -> None:
        """About those of its vectors and payloads."""
        store.create("docs", 64, "cosine")
        before, n = store.stored_bytes("docs"), 1_000
        store.put("docs", ids_of(n), np.ones((n, 64), np.float32), [{"text": "x" * 50}] * n)
        assert store.stored_bytes("docs") - before >= 4 * 64 * n

    # Errors, threads, the end

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.put("ghost", ["1"], AXES[:1], [{}]),
            lambda store: store.read("ghost", ["1"]),
            lambda store: store.delete("ghost", ["1"]),
            lambda store: store.search("ghost", AXES[:1], 1),
            lambda store: list(store.scan("ghost")),
            lambda store: store.count("ghost"),
            lambda store: store.describe("ghost"),
            lambda store: store.shape("ghost"),
            lambda store: store.create("new", DIMENSION, "cosine", like="ghost"),
        ],
    )
    def test_a_collection_that_does_not_exist_is_an_error_everywhere(
        self, store: VectorStore, use: Callable[[VectorStore], object]
    ) -> None:
        """Not an empty answer, nor a collection that is made by the way."""
        with pytest.raises(StoreError):
            use(store)
        assert "ghost" not in store.names()

    def test_vectors_of_another_dimension_are_refused(self, store: VectorStore) -> None:
        """Nothing of the batch is written."""
        filled(store)
        with pytest.raises(StoreError):
            store.put("docs", ["98", "99"], np.ones((2, DIMENSION + 1), np.float32), [{}, {}])
        assert store.count("docs") == DIMENSION

    def test_a_moment_sees_what_was_written_before_it_and_what_its_thread_writes(self, store: VectorStore) -> None:
        """By whatever thread it was written before; moments within a moment end with it."""
        filled(store)
        for more in range(3):
            new = str(100 + more)
            other = threading.Thread(target=store.put, args=("docs", [new], AXES[:1], [{"id": new}]))
            other.start()
            other.join()
            with store.moment():
                assert store.count("docs") == DIMENSION + 1
                with store.moment():
                    assert store.read("docs", [new]).ids == [new]
                    assert new in store.search("docs", AXES[:1], 2)[0][0]
                    store.delete("docs", [new])
                    assert store.read("docs", [new]).ids == []
                assert store.count("docs") == DIMENSION
        assert sorted(id_ for page in store.scan("docs") for id_ in page.ids) == ids_of(DIMENSION)

    def test_threads_share_a_store(self, store: VectorStore) -> None:
        """Each writes its own points, and searches meanwhile."""
        store.create("docs", DIMENSION, "cosine")
        failed: list[BaseException] = []

        def work(ids: Sequence[str]) -> None:
            try:
                for id_ in ids:
                    store.put("docs", [id_], AXES[:1], [{"id": id_}])
                    store.search("docs", AXES[:1], 3)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(ids_of(10, 1 + 10 * place),)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (failed, store.count("docs")) == ([], 40)

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.names(),
            lambda store: store.count("docs"),
            lambda store: store.put("docs", ["1"], AXES[:1], [{}]),
            lambda store: store.search("docs", AXES[:1], 1),
            lambda store: list(store.scan("docs")),
            lambda store: store.aliased("live"),
        ],
    )
    def test_what_is_closed_is_not_used(self, store: VectorStore, use: Callable[[VectorStore], Any]) -> None:
        """Closing it twice does nothing."""
        filled(store)
        store.close()
        store.close()
        with pytest.raises(ClosedError):
            use(store)

    @staticmethod
    def _require_aliases(store: VectorStore) -> None:
        if not store.capabilities.aliases:
            pytest.skip("the store has no aliases")
