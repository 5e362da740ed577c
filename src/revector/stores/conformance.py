"""The suite that every store passes. It needs pytest.

Use it by a subclass with a fixture that yields an empty store::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            with closing(MyStore(tmp_path)) as store:
                yield store
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from revector.errors import (
    InvalidArgumentError,
    NumericalError,
    ShapeError,
    StaleAliasError,
    StoreError,
    UnknownDocumentError,
)
from revector.spaces import EmbeddingSpace
from revector.stores.base import Document, Generation, Store, VectorRow, content_hash

_DIMENSION = 4
_SPACE = EmbeddingSpace(model="conformance", dimension=_DIMENSION, revision="1")


def _write(store: Store, *texts: str) -> list[Document]:
    return store.upsert_documents([f"id-{text}" for text in texts], texts)


def _new_generation(store: Store) -> Generation:
    return store.create_generation(_SPACE, "somewhere/model")


def _vector(value: float) -> NDArray[np.float32]:
    return np.full(_DIMENSION, value, dtype=np.float32)


def _put(store: Store, generation: Generation, documents: list[Document], value: float = 1.0) -> int:
    rows = [VectorRow(d.key, d.content_hash, _vector(value + place)) for place, d in enumerate(documents)]
    return store.put_vectors(generation.id, rows)


class StoreConformance:
    """What `revector.stores.base.Store` promises, one behaviour a test."""

    # Documents

    def test_an_empty_store_answers_everything(self, store: Store) -> None:
        """No documents, no generations, no alias: no errors either."""
        generation = _new_generation(store)
        for answer in (store.documents([]), store.documents_by_key([]), store.document_ids(), store.facts()):
            assert answer == []
        assert list(store.scan_documents()) == []
        assert list(store.scan_vectors(generation.id)) == []
        assert store.count_documents() == store.count_vectors(generation.id) == 0
        assert store.upsert_documents([], []) == []
        assert store.delete_documents([]) == []
        assert store.put_vectors(generation.id, []) == 0
        assert store.alias("live") is None
        assert store.load_map("a", "b") is None
        assert store.get_vectors(generation.id, [])[1].shape == (0, _DIMENSION)
        assert store.changes_since(generation.id, 0).vectors.shape == (0, _DIMENSION)

    def test_documents_come_back_as_written_in_the_order_asked_for(self, store: Store) -> None:
        """Texts of any kind, the empty one included, with their hash and metadata."""
        texts = ["", "plain", "emoji 🎈 and ünïcode", "line\nbreak", "nul \0 inside"]
        ids = [f"d{place}" for place in range(len(texts))]
        store.upsert_documents(ids, texts, [{"place": place, "deep": {"x": [1, None]}} for place in range(len(texts))])
        found = store.documents(ids[::-1])
        assert [d.text for d in found] == texts[::-1]
        assert [d.content_hash for d in found] == [content_hash(text) for text in texts[::-1]]
        assert found[0].metadata == {"place": 4, "deep": {"x": [1, None]}}

    def test_upsert_changes_hash_and_time_only_with_the_text(self, store: Store) -> None:
        """Metadata that is not given is kept; a document keeps its key."""
        (first,) = store.upsert_documents(["a"], ["one"], [{"kept": True}])
        (same,) = store.upsert_documents(["a"], ["one"])
        (changed,) = store.upsert_documents(["a"], ["two"])
        assert same == first
        assert (changed.key, changed.metadata) == (first.key, {"kept": True})
        assert changed.content_hash != first.content_hash
        assert changed.updated_at >= first.updated_at

    @pytest.mark.parametrize(
        ("ids", "texts", "metadata"),
        [
            (["a", "a"], ["x", "y"], None),
            (["a"], ["x", "y"], None),
            (["a"], ["x"], [{}, {}]),
            ([""], ["x"], None),
            ([1], ["x"], None),
            (["a"], [None], None),
            (["a"], ["lone \ud800 surrogate"], None),
            (["a"], ["x"], [{"not json": object()}]),
            (["a"], ["x"], [{"nan": float("nan")}]),
            (["a"], ["x"], ["text"]),
            (["a"], ["x"], [{1: "comes back as a string"}]),
            (["a"], ["x"], [{"half": "\ud83d"}]),
            (["a"], ["x"], {"one": "dict"}),
            ("a", "x", None),
            (b"a", ["x"], None),
            ({"a": "x"}, ["x"], None),
            ({"a"}, ["x"], None),
            (["a\ud83d"], ["x"], None),
        ],
    )
    def test_invalid_documents_are_refused_and_nothing_is_written(
        self, store: Store, ids: Any, texts: Any, metadata: Any
    ) -> None:
        """Each with an error that is also a `ValueError`."""
        with pytest.raises(InvalidArgumentError):
            store.upsert_documents(ids, texts, metadata)
        assert store.count_documents() == 0

    def test_unknown_ids_are_named_and_nothing_is_deleted(self, store: Store) -> None:
        """All or nothing."""
        _write(store, "a")
        with pytest.raises(UnknownDocumentError) as caught:
            store.delete_documents(["id-a", "ghost"])
        assert caught.value.ids == ("ghost",)
        with pytest.raises(UnknownDocumentError):
            store.documents(["ghost"])
        assert store.document_ids() == ["id-a"]

    @pytest.mark.parametrize("ids", ["12", b"12", 12, [1, 2], [None], {"1": "2"}, ["1\ud83d"], None])
    @pytest.mark.parametrize("method", ["documents", "delete_documents", "vector_info"])
    def test_what_is_not_a_list_of_ids_is_refused_and_nothing_is_deleted(
        self, store: Store, method: str, ids: Any
    ) -> None:
        """A single str above all, whose characters would be taken for ids."""
        store.upsert_documents(["1", "2", "12"], ["one", "two", "twelve"])
        arguments = (_new_generation(store).id, ids) if method == "vector_info" else (ids,)
        with pytest.raises(InvalidArgumentError, match="ids"):
            getattr(store, method)(*arguments)
        assert store.count_documents() == 3

    def test_ids_come_in_any_sequence(self, store: Store) -> None:
        """An array, a generator, a set to delete; an id may be named twice."""
        _write(store, "a", "b", "c", "d")
        array: Any = np.array(["id-b", "id-a"])
        assert [d.id for d in store.documents(array)] == ["id-b", "id-a"]
        store.delete_documents(id_ for id_ in ["id-a", "id-a"])
        store.delete_documents({"id-b", "id-c"})
        assert store.document_ids() == ["id-d"]

    def test_a_deleted_id_comes_back_with_a_new_key(self, store: Store) -> None:
        """Otherwise indexes would take the new document for the old one."""
        (before,) = _write(store, "a")
        assert store.delete_documents(["id-a"]) == [before.key]
        (after,) = _write(store, "a")
        assert after.key > before.key
        assert store.documents_by_key([before.key, after.key]) == [after]

    def test_scans_return_everything_in_key_order(self, store: Store) -> None:
        """In batches of at most the size asked for."""
        documents, generation = _write(store, *"abcdefg"), _new_generation(store)
        _put(store, generation, documents)
        keys = [document.key for document in documents]
        batches = list(store.scan_documents(batch=3))
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert [document for batch in batches for document in batch] == documents
        assert np.concatenate([batch for batch, _ in store.scan_vectors(generation.id, batch=3)]).tolist() == keys

    def test_access_is_counted(self, store: Store) -> None:
        """Per document; keys that are gone are left out."""
        a, b = _write(store, "a", "b")
        store.record_access([a.key, b.key, a.key, 999])
        store.record_access([b.key], failed=True)
        assert [(fact.hits, fact.failures) for fact in store.facts()] == [(2, 0), (2, 1)]
        assert [(fact.id, fact.text_length) for fact in store.facts([b.key])] == [("id-b", 1)]

    # Vectors

    def test_vectors_come_back_in_the_order_asked_for(self, store: Store) -> None:
        """Keys without a vector are left out."""
        documents, generation = _write(store, "a", "b", "c"), _new_generation(store)
        assert _put(store, generation, documents[:2]) == 2
        keys, vectors = store.get_vectors(generation.id, [documents[1].key, 999, documents[2].key, documents[0].key])
        assert keys.tolist() == [documents[1].key, documents[0].key]
        assert vectors.dtype == np.float32
        assert vectors[:, 0].tolist() == [2.0, 1.0]

    def test_a_vector_of_an_old_text_never_lands(self, store: Store) -> None:
        """Compare-and-set: a slow embedding of the old text loses against the newer one."""
        (old,), generation = _write(store, "a"), _new_generation(store)
        (new,) = store.upsert_documents(["id-a"], ["newer"])
        assert _put(store, generation, [new], value=2.0) == 1
        assert _put(store, generation, [old], value=1.0) == 0
        assert store.get_vectors(generation.id, [new.key])[1][0, 0] == 2.0

    def test_a_vector_of_a_deleted_document_never_lands(self, store: Store) -> None:
        """Not even when the id has come back."""
        (old,), generation = _write(store, "a"), _new_generation(store)
        store.delete_documents(["id-a"])
        _write(store, "a")
        assert _put(store, generation, [old]) == 0
        assert store.count_vectors(generation.id) == 0

    def test_a_changed_text_makes_its_vectors_stale(self, store: Store) -> None:
        """They stay until they are replaced."""
        documents, generation = _write(store, "a", "b"), _new_generation(store)
        _put(store, generation, documents)
        store.upsert_documents(["id-a"], ["newer"])
        assert store.stale_keys(generation.id).tolist() == [documents[0].key]
        assert store.stale_keys(generation.id, [documents[1].key]).tolist() == []
        assert store.count_vectors(generation.id) == 2

    def test_a_deleted_document_leaves_every_generation(self, store: Store) -> None:
        """Its vectors go with it."""
        documents, generations = _write(store, "a", "b"), [_new_generation(store), _new_generation(store)]
        for generation in generations:
            _put(store, generation, documents)
        store.delete_documents(["id-a"])
        assert [store.count_vectors(generation.id) for generation in generations] == [1, 1]

    def test_pairs_come_from_the_same_text(self, store: Store) -> None:
        """A vector of an old text is no half of a pair."""
        documents = _write(store, "a", "b", "c")
        source, target = _new_generation(store), _new_generation(store)
        _put(store, source, documents)
        store.upsert_documents(["id-a"], ["newer"])
        _put(store, target, store.documents(["id-a", "id-b"]))
        assert store.paired_keys(source.id, target.id).tolist() == [documents[1].key]

    def test_identical_texts_share_their_vector(self, store: Store) -> None:
        """A stored vector is found by the hash of its text; a stale one is not."""
        documents, generation = (
            store.upsert_documents(["a", "b", "c"], ["same", "same", "other"]),
            _new_generation(store),
        )
        _put(store, generation, [documents[1], documents[2]])
        store.upsert_documents(["c"], ["changed"])
        found = store.vectors_with_hashes(generation.id, [content_hash(text) for text in ("same", "other", "ghost")])
        assert list(found) == [content_hash("same")]
        assert found[content_hash("same")].tolist() == _vector(1.0).tolist()

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    def test_a_vector_that_is_not_finite_is_refused_with_its_batch(self, store: Store, bad: float) -> None:
        """Nothing of the batch is written."""
        documents, generation = _write(store, "a", "b"), _new_generation(store)
        rows = [VectorRow(documents[0].key, documents[0].content_hash, _vector(1.0))]
        rows.append(VectorRow(documents[1].key, documents[1].content_hash, _vector(bad)))
        with pytest.raises(NumericalError):
            store.put_vectors(generation.id, rows)
        assert store.count_vectors(generation.id) == 0

    @pytest.mark.parametrize("shape", [(3,), (5,), (1, 4), ()])
    def test_a_vector_of_another_dimension_is_refused(self, store: Store, shape: tuple[int, ...]) -> None:
        """With the dimension of the space in the message."""
        (document,), generation = _write(store, "a"), _new_generation(store)
        with pytest.raises(ShapeError, match="4 dimensions"):
            store.put_vectors(generation.id, [VectorRow(document.key, document.content_hash, np.ones(shape, "f4"))])

    def test_vector_info_says_which_model_made_a_vector_and_when(self, store: Store) -> None:
        """Model, revision, dimension, time, hash, generation."""
        documents, generation = _write(store, "a", "b"), _new_generation(store)
        _put(store, generation, documents[:1])
        (info,) = store.vector_info(generation.id, ["id-b", "id-a"])
        assert (info.id, info.model, info.revision, info.dimension) == ("id-a", "conformance", "1", _DIMENSION)
        assert (info.content_hash, info.generation) == (documents[0].content_hash, generation.id)
        assert info.embedded_at >= generation.created_at
        with pytest.raises(UnknownDocumentError):
            store.vector_info(generation.id, ["ghost"])

    def test_changes_are_followed_from_any_point(self, store: Store) -> None:
        """Writes, replacements and deletions after a point; nothing before it."""
        documents, generation = _write(store, "a", "b", "c"), _new_generation(store)
        _put(store, generation, documents)
        start = store.changes_since(generation.id, 0)
        assert start.keys.tolist() == [d.key for d in documents]
        assert start.seq == store.last_seq()
        _put(store, generation, documents[:1], value=9.0)
        store.delete_documents(["id-b"])
        later = store.changes_since(generation.id, start.seq)
        assert (later.keys.tolist(), later.deleted.tolist()) == ([documents[0].key], [documents[1].key])
        assert later.vectors[:, 0].tolist() == [9.0]
        assert store.count_vectors(generation.id, since=start.seq) == 1
        assert not len(store.changes_since(generation.id, later.seq).keys)

    # Generations and aliases

    def test_generations_remember_their_space(self, store: Store) -> None:
        """And where their encoder can be loaded from."""
        generation = _new_generation(store)
        assert store.generations() == [generation] == [store.generation(generation.id)]
        assert generation.space == _SPACE
        assert generation.encoder_source == "somewhere/model"

    def test_where_an_encoder_is_can_change(self, store: Store) -> None:
        """Its folder was moved."""
        generation = _new_generation(store)
        store.set_encoder_source(generation.id, "elsewhere/model")
        assert store.generation(generation.id).encoder_source == "elsewhere/model"
        with pytest.raises(StoreError, match="does not exist"):
            store.set_encoder_source(7, "elsewhere/model")

    def test_a_missing_generation_is_an_error_everywhere(self, store: Store) -> None:
        """Not an empty result."""
        calls = (store.generation, store.stale_keys, store.count_vectors, store.drop_generation)
        for call in calls:
            with pytest.raises(StoreError, match="does not exist"):
                call(7)
        with pytest.raises(StoreError):
            store.put_vectors(7, [])

    def test_a_generation_that_is_served_can_not_be_dropped(self, store: Store) -> None:
        """Another one goes with its vectors."""
        documents = _write(store, "a")
        served, other = _new_generation(store), _new_generation(store)
        _put(store, other, documents)
        store.create_alias("live", served.id)
        with pytest.raises(StoreError, match="live"):
            store.drop_generation(served.id)
        store.drop_generation(other.id)
        assert store.generations() == [served]
        assert _new_generation(store).id > other.id

    def test_an_alias_moves_by_compare_and_set(self, store: Store) -> None:
        """Whoever has read an old version is refused, and learns the present one."""
        old, new = _new_generation(store), _new_generation(store)
        alias = store.create_alias("live", old.id)
        moved = store.swap_alias("live", new.id, alias.version)
        assert (moved.generation, moved.version) == (new.id, alias.version + 1)
        assert store.alias("live") == moved
        with pytest.raises(StaleAliasError) as caught:
            store.swap_alias("live", old.id, alias.version)
        assert (caught.value.expected, caught.value.found) == (alias.version, moved.version)
        assert store.alias("live") == moved

    def test_aliases_are_not_made_twice_nor_of_nothing(self, store: Store) -> None:
        """Nor moved before they exist."""
        generation = _new_generation(store)
        store.create_alias("live", generation.id)
        with pytest.raises(StoreError, match="exists"):
            store.create_alias("live", generation.id)
        with pytest.raises(StoreError):
            store.create_alias("other", 99)
        with pytest.raises(StoreError):
            store.swap_alias("ghost", generation.id, 1)

    def test_one_of_many_swaps_wins(self, store: Store) -> None:
        """Eight threads that read the same version."""
        generations = [_new_generation(store) for _ in range(9)]
        version = store.create_alias("live", generations[0].id).version
        won: list[int] = []

        def swap(generation: Generation) -> None:
            with contextlib.suppress(StaleAliasError):
                won.append(store.swap_alias("live", generation.id, version).generation)

        threads = [threading.Thread(target=swap, args=(generation,)) for generation in generations[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alias = store.alias("live")
        assert alias is not None
        assert [alias.generation] == won

    def test_maps_are_kept_by_direction(self, store: Store) -> None:
        """The last one of a direction counts."""
        store.save_map("a", "b", b"first")
        store.save_map("a", "b", b"second")
        assert store.load_map("a", "b") == b"second"
        assert store.load_map("b", "a") is None

    # Transactions

    def test_a_transaction_that_raises_leaves_nothing(self, store: Store) -> None:
        """Documents, vectors and alias together."""
        if not store.capabilities.transactions:
            pytest.skip("the store has no transactions")
        generation = _new_generation(store)

        def write_and_fail() -> None:
            with store.transaction():
                _put(store, generation, _write(store, "a"))
                store.create_alias("live", generation.id)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_and_fail()
        assert store.count_documents() == store.count_vectors(generation.id) == 0
        assert store.alias("live") is None

    def test_an_error_inside_a_transaction_undoes_only_its_own_call(self, store: Store) -> None:
        """What the caller chose to go on with is committed."""
        if not store.capabilities.transactions:
            pytest.skip("the store has no transactions")
        with store.transaction():
            _write(store, "a")
            with pytest.raises(UnknownDocumentError):
                store.delete_documents(["id-a", "ghost"])
        assert store.document_ids() == ["id-a"]

    def test_a_snapshot_does_not_see_later_writes(self, store: Store) -> None:
        """Readers never wait, and see one moment."""
        if not store.capabilities.transactions:
            pytest.skip("the store has no transactions")
        _write(store, "a")
        with store.snapshot():
            assert store.count_documents() == 1
            writer = threading.Thread(target=_write, args=(store, "b"))
            writer.start()
            writer.join()
            assert store.count_documents() == 1
        assert store.count_documents() == 2
