"""The suite that every store passes. It needs pytest.

Use it by a subclass with a fixture that yields an empty store::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def backend(self, tmp_path):
            with closing(MyStore(tmp_path)) as backend:
                yield backend
"""

from __future__ import annotations

import contextlib
import threading
import time
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document, Generation, Order, content_hash
from revector.backends.contracts.order import PLACES
from revector.errors import (
    InvalidArgumentError,
    NumericalError,
    ShapeError,
    StaleAliasError,
    StoreError,
    UnknownDocumentError,
)
from revector.ledger.jobs import JobRequest
from revector.spaces import EmbeddingSpace, Template

_DIMENSION = 4
_SPACE = EmbeddingSpace(model="conformance", dimension=_DIMENSION, revision="1")


def _write(backend: Backend, *texts: str) -> list[Document]:
    return backend.documents.upsert([f"id-{text}" for text in texts], texts)


def _new_generation(backend: Backend) -> Generation:
    return backend.generations.create(_SPACE, "somewhere/model")


def _vector(value: float) -> NDArray[np.float32]:
    return np.full(_DIMENSION, value, dtype=np.float32)


def _put(backend: Backend, generation: Generation, documents: list[Document], value: float = 1.0) -> int:
    vectors = np.stack([_vector(value + place) for place in range(len(documents))])
    return _put_matrix(backend, generation, documents, vectors)


def _put_matrix(
    backend: Backend, generation: Generation, documents: list[Document], vectors: NDArray[np.float32]
) -> int:
    keys, hashes = [d.key for d in documents], [d.content_hash for d in documents]
    return backend.generations.put(generation.id, keys, hashes, vectors)


class BackendConformance:
    """What `revector.backends.contracts.Store` promises, one behaviour a test."""

    # Documents

    def test_an_empty_store_answers_everything(self, backend: Backend) -> None:
        """No documents, no generations, no alias: no errors either."""
        generation = _new_generation(backend)
        for answer in (
            backend.documents.by_id([]),
            backend.documents.by_key([]),
            list(backend.documents.ids()),
            backend.documents.facts(),
        ):
            assert answer == []
        assert list(backend.documents.scan()) == []
        assert list(backend.generations.scan(generation.id)) == []
        assert backend.documents.count() == backend.generations.count(generation.id) == 0
        assert backend.documents.upsert([], []) == []
        assert backend.documents.delete([]) == []
        assert _put_matrix(backend, generation, [], np.empty((0, _DIMENSION), "f4")) == 0
        assert backend.generations.alias("live") is None
        assert backend.generations.load_map("a", "b") is None
        assert backend.generations.vectors(generation.id, [])[1].shape == (0, _DIMENSION)
        assert backend.generations.changes_since(generation.id, 0).vectors.shape == (0, _DIMENSION)

    def test_documents_come_back_as_written_in_the_order_asked_for(self, backend: Backend) -> None:
        """Texts of any kind, the empty one included, with their hash and metadata."""
        texts = ["", "plain", "emoji 🎈 and ünïcode", "line\nbreak", "nul \0 inside"]
        ids = [f"d{place}" for place in range(len(texts))]
        backend.documents.upsert(
            ids, texts, [{"place": place, "deep": {"x": [1, None]}} for place in range(len(texts))]
        )
        found = backend.documents.by_id(ids[::-1])
        assert [d.text for d in found] == texts[::-1]
        assert [d.content_hash for d in found] == [content_hash(text) for text in texts[::-1]]
        assert found[0].metadata == {"place": 4, "deep": {"x": [1, None]}}

    def test_upsert_changes_hash_and_time_only_with_the_text(self, backend: Backend) -> None:
        """Metadata that is not given is kept; a document keeps its key."""
        (first,) = backend.documents.upsert(["a"], ["one"], [{"kept": True}])
        (same,) = backend.documents.upsert(["a"], ["one"])
        (changed,) = backend.documents.upsert(["a"], ["two"])
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
        self, backend: Backend, ids: Any, texts: Any, metadata: Any
    ) -> None:
        """Each with an error that is also a `ValueError`."""
        with pytest.raises(InvalidArgumentError):
            backend.documents.upsert(ids, texts, metadata)
        assert backend.documents.count() == 0

    def test_texts_are_rendered_by_a_template(self, backend: Backend) -> None:
        """With what the document has of it; `metadata` leaves out what does not exist."""
        (titled,) = backend.documents.upsert(["a"], ["text"], [{"title": "T"}])
        found = backend.documents.texts([titled.key], Template(("title", "text")))
        assert found == {titled.key: (titled.content_hash, "T\ntext")}
        assert backend.documents.metadata(["ghost", "a"]) == {"a": {"title": "T"}}

    def test_another_hash_goes_to_the_documents_that_had_the_present_one_and_their_vectors(
        self, backend: Backend
    ) -> None:
        """Neither to documents that have changed, nor to vectors that are stale."""
        generation = _new_generation(backend)
        same, changed, stale = _write(backend, "same", "changed", "stale")
        _put(backend, generation, [same, changed, stale])
        backend.documents.upsert([changed.id], ["newer"])
        (newer,) = backend.documents.upsert([stale.id], ["newest"])
        backend.documents.rehash([(d.key, d.content_hash, content_hash(d.id)) for d in (same, changed, newer)])
        hashes = [d.content_hash for d in backend.documents.by_id([same.id, changed.id, stale.id])]
        assert hashes == [content_hash(same.id), content_hash("newer"), content_hash(stale.id)]
        keys = [same.key, changed.key, stale.key]
        assert backend.generations.stale_keys(generation.id, keys).tolist() == keys[1:]

    def test_unknown_ids_are_named_and_nothing_is_deleted(self, backend: Backend) -> None:
        """All or nothing."""
        _write(backend, "a")
        with pytest.raises(UnknownDocumentError) as caught:
            backend.documents.delete(["id-a", "ghost"])
        assert caught.value.ids == ("ghost",)
        with pytest.raises(UnknownDocumentError):
            backend.documents.by_id(["ghost"])
        assert list(backend.documents.ids()) == ["id-a"]

    @pytest.mark.parametrize("ids", ["12", b"12", 12, [1, 2], [None], {"1": "2"}, ["1\ud83d"], None])
    @pytest.mark.parametrize("method", ["documents.by_id", "documents.delete", "generations.info"])
    def test_what_is_not_a_list_of_ids_is_refused_and_nothing_is_deleted(
        self, backend: Backend, method: str, ids: Any
    ) -> None:
        """A single str above all, whose characters would be taken for ids."""
        backend.documents.upsert(["1", "2", "12"], ["one", "two", "twelve"])
        arguments = (_new_generation(backend).id, ids) if method == "generations.info" else (ids,)
        with pytest.raises(InvalidArgumentError, match="ids"):
            attrgetter(method)(backend)(*arguments)
        assert backend.documents.count() == 3

    def test_ids_come_in_any_sequence(self, backend: Backend) -> None:
        """An array, a generator, a set to delete; an id may be named twice."""
        _write(backend, "a", "b", "c", "d")
        array: Any = np.array(["id-b", "id-a"])
        assert [d.id for d in backend.documents.by_id(array)] == ["id-b", "id-a"]
        backend.documents.delete(id_ for id_ in ["id-a", "id-a"])
        backend.documents.delete({"id-b", "id-c"})
        assert list(backend.documents.ids()) == ["id-d"]

    def test_a_deleted_id_comes_back_with_a_new_key(self, backend: Backend) -> None:
        """Otherwise indexes would take the new document for the old one."""
        (before,) = _write(backend, "a")
        assert backend.documents.delete(["id-a"]) == [before.key]
        (after,) = _write(backend, "a")
        assert after.key > before.key
        assert backend.documents.by_key([before.key, after.key]) == [after]

    def test_scans_return_everything_in_key_order(self, backend: Backend) -> None:
        """In batches of at most the size asked for."""
        documents, generation = _write(backend, *"abcdefg"), _new_generation(backend)
        _put(backend, generation, documents)
        keys = [document.key for document in documents]
        batches = list(backend.documents.scan(batch=3))
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert [document for batch in batches for document in batch] == documents
        assert np.concatenate([batch for batch, _ in backend.generations.scan(generation.id, batch=3)]).tolist() == keys

    def test_keys_are_found_by_id_and_in_their_order(self, backend: Backend) -> None:
        """Ids that do not exist are left out; slices of keys skip what was deleted."""
        a, b, c = _write(backend, "a", "b", "c")
        backend.documents.delete(["id-b"])
        assert backend.documents.keys(["id-c", "id-b", "id-a"]) == {"id-a": a.key, "id-c": c.key}
        assert [backend.documents.next_key(after) for after in (0, a.key, b.key, c.key)] == [a.key, c.key, c.key, None]

    def test_documents_are_counted_by_their_hits(self, backend: Backend) -> None:
        """The most hits first; those without any are left out."""
        a, b, c, _ = _write(backend, "a", "b", "c", "d")
        for keys in ([a.key, b.key, c.key], [a.key], [a.key]):
            backend.documents.record_access(keys)
        assert backend.documents.hit_counts() == [(3, 1), (1, 2)]

    def test_a_slice_is_asked_for_in_the_order_of_the_default_rule(self, backend: Backend) -> None:
        """As `Order.priority` says of each document that has no vector of its present text, and of nobody else."""
        said: list[dict[str, Any]] = [
            {}, {"value": "high"}, {"priority": "high"}, {"high_value": True}, {"high_value": 1, "value": ["high"]},
        ]  # fmt: skip
        names = [str(i) for i in range(60)]
        documents = backend.documents.upsert(names, names, [said[i % 5] for i in range(60)])
        backend.documents.record_access([d.key for d in documents[:10]], failed=True)
        backend.documents.record_access([d.key for d in documents[5:10]])
        generation = _new_generation(backend)
        _put(backend, generation, documents[50:])
        for changed_from in (0.0, time.time() + 60):
            order = Order(PLACES // 4, 12345, 678, queried_from=2, changed_from=changed_from)
            backend.ledger.jobs.forget_generation(generation.id)
            backend.ask(generation.id, documents[2].key, documents[-1].key, order)
            claims = backend.ledger.jobs.claim(generation.id, "me:1:1:1", 100, 60.0)
            expected = {fact.key: order.priority(fact) for fact in backend.documents.facts()[3:50]}
            assert {claim.document_key: claim.priority for claim in claims} == expected
            assert len(set(expected.values())) >= 3

    def test_access_is_counted(self, backend: Backend) -> None:
        """Per document; keys that are gone are left out."""
        a, b = _write(backend, "a", "b")
        backend.documents.record_access([a.key, b.key, a.key, 999])
        backend.documents.record_access([b.key], failed=True)
        assert [(fact.hits, fact.failures) for fact in backend.documents.facts()] == [(2, 0), (2, 1)]
        assert [(fact.id, fact.text_length) for fact in backend.documents.facts(after=b.key - 1)] == [("id-b", 1)]

    # Vectors

    def test_vectors_come_back_in_the_order_asked_for(self, backend: Backend) -> None:
        """Keys without a vector are left out."""
        documents, generation = _write(backend, "a", "b", "c"), _new_generation(backend)
        assert _put(backend, generation, documents[:2]) == 2
        keys, vectors = backend.generations.vectors(
            generation.id, [documents[1].key, 999, documents[2].key, documents[0].key]
        )
        assert keys.tolist() == [documents[1].key, documents[0].key]
        assert vectors.dtype == np.float32
        assert vectors[:, 0].tolist() == [2.0, 1.0]

    def test_a_vector_of_an_old_text_never_lands(self, backend: Backend) -> None:
        """Compare-and-set: a slow embedding of the old text loses against the newer one."""
        (old,), generation = _write(backend, "a"), _new_generation(backend)
        (new,) = backend.documents.upsert(["id-a"], ["newer"])
        assert _put(backend, generation, [new], value=2.0) == 1
        assert _put(backend, generation, [old], value=1.0) == 0
        assert backend.generations.vectors(generation.id, [new.key])[1][0, 0] == 2.0

    def test_a_vector_of_a_deleted_document_never_lands(self, backend: Backend) -> None:
        """Not even when the id has come back."""
        (old,), generation = _write(backend, "a"), _new_generation(backend)
        backend.documents.delete(["id-a"])
        _write(backend, "a")
        assert _put(backend, generation, [old]) == 0
        assert backend.generations.count(generation.id) == 0

    def test_a_changed_text_makes_its_vectors_stale(self, backend: Backend) -> None:
        """They stay until they are replaced."""
        documents, generation = _write(backend, "a", "b"), _new_generation(backend)
        _put(backend, generation, documents)
        backend.documents.upsert(["id-a"], ["newer"])
        assert backend.generations.stale_between(generation.id, 0, documents[1].key).tolist() == [documents[0].key]
        assert backend.generations.count_stale(generation.id) == 1
        assert backend.generations.stale_keys(generation.id, [documents[1].key]).tolist() == []
        assert backend.generations.count(generation.id) == 2

    def test_a_deleted_document_leaves_every_generation(self, backend: Backend) -> None:
        """Its vectors go with it."""
        documents, generations = _write(backend, "a", "b"), [_new_generation(backend), _new_generation(backend)]
        for generation in generations:
            _put(backend, generation, documents)
        backend.documents.delete(["id-a"])
        assert [backend.generations.count(generation.id) for generation in generations] == [1, 1]

    @pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
    def test_a_sample_is_drawn_evenly_from_what_exists(self, backend: Backend, share: float) -> None:
        """Of the keys that were ever given out, few or many may be left, and most documents may lack a vector."""
        keys = np.array([d.key for d in _write(backend, *map(str, range(1000)))])
        left = np.sort(np.random.default_rng(0).choice(keys, int(share * 1000), replace=False))
        backend.documents.delete([document.id for document in backend.documents.by_key(np.setdiff1d(keys, left))])
        generation = _new_generation(backend)
        _put(backend, generation, backend.documents.by_key(left[::2]))
        for draw, of in (
            (backend.documents.sample, left),
            (lambda n, seed: backend.generations.sample(generation.id, n, seed), left[::2]),
        ):
            drawn = [draw(4, seed) for seed in range(200)]
            assert all(np.isin(few, of).all() and (np.diff(few) > 0).all() and len(few) == 4 for few in drawn)
            below_half = np.mean([np.isin(few, of[: len(of) // 2]).mean() for few in drawn])
            assert abs(below_half - 0.5) < 0.08
            assert draw(2000, 0).tolist() == of.tolist()

    def test_identical_texts_share_their_vector(self, backend: Backend) -> None:
        """A stored vector is found by the hash of its text; a stale one is not."""
        documents, generation = (
            backend.documents.upsert(["a", "b", "c"], ["same", "same", "other"]),
            _new_generation(backend),
        )
        _put(backend, generation, [documents[1], documents[2]])
        backend.documents.upsert(["c"], ["changed"])
        found = backend.generations.with_hashes(
            generation.id, [content_hash(text) for text in ("same", "other", "ghost")]
        )
        assert list(found) == [content_hash("same")]
        assert found[content_hash("same")].tolist() == _vector(1.0).tolist()

    def test_texts_come_with_their_hashes(self, backend: Backend) -> None:
        """By key, without those that do not exist."""
        documents = _write(backend, "a", "b")
        found = backend.documents.texts([documents[1].key, 999, documents[0].key])
        assert found == {d.key: (d.content_hash, d.text) for d in documents}

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    def test_a_vector_that_is_not_finite_is_refused_with_its_batch(self, backend: Backend, bad: float) -> None:
        """Nothing of the batch is written."""
        documents, generation = _write(backend, "a", "b"), _new_generation(backend)
        with pytest.raises(NumericalError):
            _put_matrix(backend, generation, documents, np.stack([_vector(1.0), _vector(bad)]))
        assert backend.generations.count(generation.id) == 0

    @pytest.mark.parametrize("shape", [(1, 3), (1, 5), (4,), (1, 1, 4), ()])
    def test_a_vector_of_another_dimension_is_refused(self, backend: Backend, shape: tuple[int, ...]) -> None:
        """With the dimension of the space in the message."""
        (document,), generation = _write(backend, "a"), _new_generation(backend)
        with pytest.raises(ShapeError, match="4 dimensions"):
            _put_matrix(backend, generation, [document], np.ones(shape, "f4"))

    def test_keys_hashes_and_vectors_are_as_many(self, backend: Backend) -> None:
        """A vector without its document would land nowhere, or at another one's."""
        documents, generation = _write(backend, "a", "b"), _new_generation(backend)
        with pytest.raises(ShapeError, match="2 keys, 2 hashes, 1 vectors"):
            _put_matrix(backend, generation, documents, np.ones((1, _DIMENSION), "f4"))

    def test_vector_info_says_which_model_made_a_vector_and_when(self, backend: Backend) -> None:
        """Model, revision, dimension, time, hash, generation."""
        documents, generation = _write(backend, "a", "b"), _new_generation(backend)
        _put(backend, generation, documents[:1])
        (info,) = backend.generations.info(generation.id, ["id-b", "id-a"])
        assert (info.id, info.model, info.revision, info.dimension) == ("id-a", "conformance", "1", _DIMENSION)
        assert (info.content_hash, info.generation) == (documents[0].content_hash, generation.id)
        assert info.embedded_at >= generation.created_at
        with pytest.raises(UnknownDocumentError):
            backend.generations.info(generation.id, ["ghost"])

    def test_changes_are_followed_from_any_point(self, backend: Backend) -> None:
        """Writes, replacements and deletions after a point; nothing before it."""
        documents, generation = _write(backend, "a", "b", "c"), _new_generation(backend)
        _put(backend, generation, documents)
        start = backend.generations.changes_since(generation.id, 0)
        assert start.keys.tolist() == [d.key for d in documents]
        assert start.seq == backend.generations.last_seq()
        _put(backend, generation, documents[:1], value=9.0)
        backend.documents.delete(["id-b"])
        later = backend.generations.changes_since(generation.id, start.seq)
        assert (later.keys.tolist(), later.deleted.tolist()) == ([documents[0].key], [documents[1].key])
        assert later.vectors[:, 0].tolist() == [9.0]
        assert backend.generations.count(generation.id, since=start.seq) == 1
        assert not len(backend.generations.changes_since(generation.id, later.seq).keys)

    # Generations and aliases

    def test_generations_remember_their_space(self, backend: Backend) -> None:
        """And where their encoder can be loaded from."""
        generation = _new_generation(backend)
        assert backend.generations.all() == [generation] == [backend.generations.get(generation.id)]
        assert generation.space == _SPACE
        assert generation.encoder_source == "somewhere/model"

    def test_where_an_encoder_is_can_change(self, backend: Backend) -> None:
        """Its folder was moved."""
        generation = _new_generation(backend)
        backend.generations.set_encoder_source(generation.id, "elsewhere/model")
        assert backend.generations.get(generation.id).encoder_source == "elsewhere/model"
        with pytest.raises(StoreError, match="does not exist"):
            backend.generations.set_encoder_source(7, "elsewhere/model")

    def test_a_missing_generation_is_an_error_everywhere(self, backend: Backend) -> None:
        """Not an empty result."""
        generations = backend.generations
        calls = (generations.get, generations.count_stale, generations.count, generations.drop)
        for call in calls:
            with pytest.raises(StoreError, match="does not exist"):
                call(7)
        with pytest.raises(StoreError):
            backend.generations.put(7, [], [], np.empty((0, _DIMENSION), "f4"))

    def test_a_generation_that_is_served_can_not_be_dropped(self, backend: Backend) -> None:
        """Another one goes with its vectors."""
        documents = _write(backend, "a")
        served, other = _new_generation(backend), _new_generation(backend)
        _put(backend, other, documents)
        backend.generations.create_alias("live", served.id)
        with pytest.raises(StoreError, match="live"):
            backend.generations.drop(served.id)
        backend.generations.drop(other.id)
        assert backend.generations.all() == [served]
        with pytest.raises(StoreError, match="does not exist"):
            backend.generations.create_alias("other", other.id)
        assert _new_generation(backend).id > other.id

    def test_what_a_dropped_generation_took_is_given_back_and_nothing_else(self, backend: Backend) -> None:
        """Slice by slice, until there is nothing left."""
        documents = _write(backend, *"abcd")
        kept, dropped = _new_generation(backend), _new_generation(backend)
        for generation in (kept, dropped):
            _put(backend, generation, documents)
            backend.ledger.jobs.enqueue(generation.id, [JobRequest(d.key, d.content_hash, 4) for d in documents])
        backend.generations.drop(dropped.id)
        slices = 0
        while backend.reclaim():
            slices += 1
        assert backend.ledger.jobs.counts(dropped.id).total == 0
        assert backend.ledger.jobs.counts(kept.id).total == backend.generations.count(kept.id) == 4
        assert slices < 100

    def test_an_alias_moves_by_compare_and_set(self, backend: Backend) -> None:
        """Whoever has read an old version is refused, and learns the present one."""
        old, new = _new_generation(backend), _new_generation(backend)
        alias = backend.generations.create_alias("live", old.id)
        moved = backend.generations.swap_alias("live", new.id, alias.version)
        assert (moved.generation, moved.version) == (new.id, alias.version + 1)
        assert backend.generations.alias("live") == moved
        with pytest.raises(StaleAliasError) as caught:
            backend.generations.swap_alias("live", old.id, alias.version)
        assert (caught.value.expected, caught.value.found) == (alias.version, moved.version)
        assert backend.generations.alias("live") == moved

    def test_aliases_are_not_made_twice_nor_of_nothing(self, backend: Backend) -> None:
        """Nor moved before they exist."""
        generation = _new_generation(backend)
        backend.generations.create_alias("live", generation.id)
        with pytest.raises(StoreError, match="exists"):
            backend.generations.create_alias("live", generation.id)
        with pytest.raises(StoreError):
            backend.generations.create_alias("other", 99)
        with pytest.raises(StoreError):
            backend.generations.swap_alias("ghost", generation.id, 1)

    def test_one_of_many_swaps_wins(self, backend: Backend) -> None:
        """Eight threads that read the same version."""
        generations = [_new_generation(backend) for _ in range(9)]
        version = backend.generations.create_alias("live", generations[0].id).version
        won: list[int] = []

        def swap(generation: Generation) -> None:
            with contextlib.suppress(StaleAliasError):
                won.append(backend.generations.swap_alias("live", generation.id, version).generation)

        threads = [threading.Thread(target=swap, args=(generation,)) for generation in generations[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        alias = backend.generations.alias("live")
        assert alias is not None
        assert [alias.generation] == won

    def test_maps_are_kept_by_direction(self, backend: Backend) -> None:
        """The last one of a direction counts."""
        backend.generations.save_map("a", "b", b"first")
        backend.generations.save_map("a", "b", b"second")
        assert backend.generations.load_map("a", "b") == b"second"
        assert backend.generations.load_map("b", "a") is None

    # Transactions

    def test_a_transaction_that_raises_leaves_nothing(self, backend: Backend) -> None:
        """Documents, vectors and alias together."""
        if not backend.capabilities.transactions:
            pytest.skip("the store has no transactions")
        generation = _new_generation(backend)

        def write_and_fail() -> None:
            with backend.transaction():
                _put(backend, generation, _write(backend, "a"))
                backend.generations.create_alias("live", generation.id)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_and_fail()
        assert backend.documents.count() == backend.generations.count(generation.id) == 0
        assert backend.generations.alias("live") is None

    def test_an_error_inside_a_transaction_undoes_only_its_own_call(self, backend: Backend) -> None:
        """What the caller chose to go on with is committed."""
        if not backend.capabilities.transactions:
            pytest.skip("the store has no transactions")
        with backend.transaction():
            _write(backend, "a")
            with pytest.raises(UnknownDocumentError):
                backend.documents.delete(["id-a", "ghost"])
        assert list(backend.documents.ids()) == ["id-a"]

    def test_a_snapshot_does_not_see_later_writes(self, backend: Backend) -> None:
        """Readers never wait, and see one moment."""
        if not backend.capabilities.transactions:
            pytest.skip("the store has no transactions")
        _write(backend, "a")
        with backend.snapshot():
            assert backend.documents.count() == 1
            writer = threading.Thread(target=_write, args=(backend, "b"))
            writer.start()
            writer.join()
            assert backend.documents.count() == 1
        assert backend.documents.count() == 2
