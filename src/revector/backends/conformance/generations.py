"""The suite that the generations of every backend pass: vectors, aliases and maps. It needs pytest."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from revector.backends.conformance.samples import DIMENSION, SPACE, new_generation, put, put_matrix, vector, write
from revector.backends.contracts import MAPPED, Backend, Generation, Point, Tally, content_hash
from revector.errors import (
    NumericalError,
    ShapeError,
    StaleAliasError,
    StoreError,
    UnknownDocumentError,
)


class GenerationsConformance:
    """What `revector.backends.contracts.Generations` promises, one behaviour a test."""

    def test_vectors_come_back_in_the_order_asked_for(self, backend: Backend) -> None:
        """Keys without a vector are left out."""
        documents, generation = write(backend, "a", "b", "c"), new_generation(backend)
        assert put(backend, generation, documents[:2]) == 2
        keys, vectors = backend.generations.vectors(
            generation.id, [documents[1].key, 999, documents[2].key, documents[0].key]
        )
        assert keys.tolist() == [documents[1].key, documents[0].key]
        assert vectors.dtype == np.float32
        assert vectors[:, 0].tolist() == [2.0, 1.0]

    def test_a_vector_of_an_old_text_never_lands(self, backend: Backend) -> None:
        """Compare-and-set: a slow embedding of the old text loses against the newer one."""
        if not backend.capabilities.conditional_upsert:
            pytest.skip("the backend has no compare-and-set")
        (old,), generation = write(backend, "a"), new_generation(backend)
        (new,) = backend.documents.upsert(["id-a"], ["newer"])
        assert put(backend, generation, [new], value=2.0) == 1
        assert put(backend, generation, [old], value=1.0) == 0
        assert backend.generations.vectors(generation.id, [new.key])[1][0, 0] == 2.0

    def test_a_vector_of_an_old_text_never_lands_after_the_newer_one(self, backend: Backend) -> None:
        """Nor does one that was about to land while the newer text was being written with its vector."""
        if not (backend.capabilities.conditional_upsert and backend.capabilities.transactions):
            pytest.skip("the backend has no compare-and-set, or no transactions")
        (old,), generation = write(backend, "a"), new_generation(backend)
        put(backend, generation, [old])
        late = threading.Thread(target=put, args=(backend, generation, [old]))
        with backend.transaction():
            put(backend, generation, backend.documents.upsert(["id-a"], ["newer"]), value=2.0)
            late.start()
            late.join(0.2)
        late.join()
        assert backend.generations.vectors(generation.id, [old.key])[1][0, 0] == 2.0

    def test_a_vector_of_a_deleted_document_never_lands(self, backend: Backend) -> None:
        """Not even when the id has come back."""
        (old,), generation = write(backend, "a"), new_generation(backend)
        backend.documents.delete(["id-a"])
        write(backend, "a")
        assert put(backend, generation, [old]) == 0
        assert backend.generations.count(generation.id) == 0

    def test_a_vector_that_was_carried_over_is_found_and_stays_stale(self, backend: Backend) -> None:
        """It is of no text, until one of the present text takes its place."""
        (document,), generation = write(backend, "a"), new_generation(backend)
        keys, hashes, rows = [document.key], [document.content_hash], vector(3.0)[None]
        assert backend.generations.put(generation.id, keys, hashes, rows, mapped=True) == 1
        assert backend.generations.vectors(generation.id, keys)[1][0, 0] == 3.0
        assert backend.generations.stale_keys(generation.id, keys).tolist() == keys
        assert backend.generations.with_hashes(generation.id, hashes) == {}
        assert backend.generations.info(generation.id, ["id-a"])[0].content_hash == MAPPED
        put(backend, generation, [document])
        assert backend.generations.count_stale(generation.id) == 0

    def test_vectors_of_two_generations_are_tallied(self, backend: Backend) -> None:
        """Stale ones, too; a document that is left out is not lost."""
        documents, old, new = write(backend, *"abcd"), new_generation(backend), new_generation(backend)
        put(backend, old, documents[:3])
        put(backend, new, [documents[0], documents[3]])
        backend.documents.upsert(["id-a"], ["newer"])
        assert backend.generations.tally(old.id, new.id, []) == [Tally(None, None, 4, 3, 2, 2)]
        left_out = backend.generations.tally(old.id, new.id, [], without=[documents[1].key])
        assert left_out == [Tally(None, None, 4, 3, 2, 1)]
        with pytest.raises(StoreError):
            backend.generations.tally(old.id, 999, [])

    def test_vectors_are_tallied_by_the_values_of_fields(self, backend: Backend) -> None:
        """Like with like; a field that is missing is null. Whatever its name is, and whatever the value."""
        names, old, new = ["a.b", '$"x', "none"], new_generation(backend), new_generation(backend)
        metadata: list[dict[str, object]]
        metadata = [{"a.b": "1", '$"x': True}, {"a.b": 1, '$"x': True}, {"a.b": 1, '$"x': [2]}, {"a.b": None}]
        documents = backend.documents.upsert(["a", "b", "c", "d"], ["a", "b", "c", "d"], metadata)
        put(backend, old, documents)
        put(backend, new, documents[:2])
        whole, *found = backend.generations.tally(old.id, new.id, names)
        assert whole == Tally(None, None, 4, 4, 2, 2)
        assert {(t.field, repr(t.value)): (t.documents, t.source, t.target, t.lost) for t in found} == {
            ("a.b", "'1'"): (1, 1, 1, 0),
            ("a.b", "1"): (2, 2, 1, 1),
            ("a.b", "None"): (1, 1, 0, 1),
            ('$"x', "True"): (2, 2, 2, 0),
            ('$"x', "[2]"): (1, 1, 0, 1),
            ('$"x', "None"): (1, 1, 0, 1),
            ("none", "None"): (4, 4, 2, 2),
        }

    def test_only_some_values_are_tallied_those_that_lack_most_first(self, backend: Backend) -> None:
        """However many there are."""
        old, new = new_generation(backend), new_generation(backend)
        ids = [f"{n}" for n in range(30)]
        documents = backend.documents.upsert(ids, ids, [{"n": n % 10, "id": n} for n in range(30)])
        put(backend, old, documents)
        put(backend, new, [document for document in documents if document.metadata["n"] != 7])
        _, most, *others = backend.generations.tally(old.id, new.id, ["n", "id"], limit=5)
        assert (most.field, most.value, most.lost, len(others)) == ("n", 7, 3, 4)

    def test_nothing_is_tallied_where_there_are_no_documents(self, backend: Backend) -> None:
        """All of them are none."""
        old, new = new_generation(backend), new_generation(backend)
        assert backend.generations.tally(old.id, new.id, ["field"]) == [Tally(None, None, 0, 0, 0, 0)]

    def test_a_changed_text_makes_its_vectors_stale(self, backend: Backend) -> None:
        """They stay until they are replaced."""
        documents, generation = write(backend, "a", "b"), new_generation(backend)
        put(backend, generation, documents)
        backend.documents.upsert(["id-a"], ["newer"])
        assert backend.generations.stale_between(generation.id, 0, documents[1].key).tolist() == [documents[0].key]
        assert backend.generations.count_stale(generation.id) == 1
        assert backend.generations.stale_keys(generation.id, [documents[1].key]).tolist() == []
        assert backend.generations.count(generation.id) == 2

    def test_a_deleted_document_leaves_every_generation(self, backend: Backend) -> None:
        """Its vectors go with it."""
        documents, generations = write(backend, "a", "b"), [new_generation(backend), new_generation(backend)]
        for generation in generations:
            put(backend, generation, documents)
        backend.documents.delete(["id-a"])
        assert [backend.generations.count(generation.id) for generation in generations] == [1, 1]

    @pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
    def test_a_sample_is_drawn_evenly_from_what_exists(self, backend: Backend, share: float) -> None:
        """Of the keys that were ever given out, few or many may be left, and most documents may lack a vector."""
        keys = np.array([d.key for d in write(backend, *map(str, range(1000)))])
        left = np.sort(np.random.default_rng(0).choice(keys, int(share * 1000), replace=False))
        backend.documents.delete([document.id for document in backend.documents.by_key(np.setdiff1d(keys, left))])
        generation = new_generation(backend)
        put(backend, generation, backend.documents.by_key(left[::2]))
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
            new_generation(backend),
        )
        put(backend, generation, [documents[1], documents[2]])
        backend.documents.upsert(["c"], ["changed"])
        found = backend.generations.with_hashes(
            generation.id, [content_hash(text) for text in ("same", "other", "ghost")]
        )
        assert list(found) == [content_hash("same")]
        assert found[content_hash("same")].tolist() == vector(1.0).tolist()

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    def test_a_vector_that_is_not_finite_is_refused_with_its_batch(self, backend: Backend, bad: float) -> None:
        """Nothing of the batch is written."""
        documents, generation = write(backend, "a", "b"), new_generation(backend)
        with pytest.raises(NumericalError):
            put_matrix(backend, generation, documents, np.stack([vector(1.0), vector(bad)]))
        assert backend.generations.count(generation.id) == 0

    @pytest.mark.parametrize("shape", [(1, 3), (1, 5), (4,), (1, 1, 4), ()])
    def test_a_vector_of_another_dimension_is_refused(self, backend: Backend, shape: tuple[int, ...]) -> None:
        """With the dimension of the space in the message."""
        (document,), generation = write(backend, "a"), new_generation(backend)
        with pytest.raises(ShapeError, match="4 dimensions"):
            put_matrix(backend, generation, [document], np.ones(shape, "f4"))

    def test_keys_hashes_and_vectors_are_as_many(self, backend: Backend) -> None:
        """A vector without its document would land nowhere, or at another one's."""
        documents, generation = write(backend, "a", "b"), new_generation(backend)
        with pytest.raises(ShapeError, match="2 keys, 2 hashes, 1 vectors"):
            put_matrix(backend, generation, documents, np.ones((1, DIMENSION), "f4"))

    def test_vector_info_says_which_model_made_a_vector_and_when(self, backend: Backend) -> None:
        """Model, revision, dimension, time, hash, generation."""
        documents, generation = write(backend, "a", "b"), new_generation(backend)
        put(backend, generation, documents[:1])
        (info,) = backend.generations.info(generation.id, ["id-b", "id-a"])
        assert (info.id, info.model, info.revision, info.dimension) == ("id-a", "conformance", "1", DIMENSION)
        assert (info.content_hash, info.generation) == (documents[0].content_hash, generation.id)
        assert info.embedded_at >= generation.created_at
        with pytest.raises(UnknownDocumentError):
            backend.generations.info(generation.id, ["ghost"])

    def test_what_is_written_after_a_point_is_counted(self, backend: Backend) -> None:
        """A vector that is replaced is one more; one that is deleted counts no longer."""
        documents, generation = write(backend, "a", "b", "c", "d"), new_generation(backend)
        put(backend, generation, documents[:3])
        point = backend.generations.last_seq()
        counts = [backend.generations.count(generation.id, since=point)]
        put(backend, generation, documents[2:])
        counts.append(backend.generations.count(generation.id, since=point))
        backend.documents.delete(["id-c"])
        counts.append(backend.generations.count(generation.id, since=point))
        assert counts == [0, 2, 1]
        assert backend.generations.count(generation.id) == 3

    def test_what_was_not_committed_at_a_point_is_counted_since_it(self, backend: Backend) -> None:
        """Whoever was told of the point did not see it."""
        if not backend.capabilities.transactions:
            pytest.skip("the backend has no transactions")
        documents, generation = write(backend, "a", "b"), new_generation(backend)
        put(backend, generation, documents[:1])
        points: list[Point] = []
        with backend.transaction():
            put(backend, generation, documents[1:])
            reader = threading.Thread(target=lambda: points.append(backend.generations.last_seq()))
            reader.start()
            reader.join()
        found = backend.generations.vectors(generation.id, [documents[1].key])[0]
        assert backend.generations.count(generation.id, since=points[0]) >= len(found) == 1

    def test_generations_remember_their_space(self, backend: Backend) -> None:
        """And where their encoder can be loaded from."""
        generation = new_generation(backend)
        assert backend.generations.all() == [generation] == [backend.generations.get(generation.id)]
        assert generation.space == SPACE
        assert generation.encoder_source == "somewhere/model"

    def test_where_an_encoder_is_can_change(self, backend: Backend) -> None:
        """Its folder was moved."""
        generation = new_generation(backend)
        backend.generations.set_encoder_source(generation.id, "elsewhere/model")
        assert backend.generations.get(generation.id).encoder_source == "elsewhere/model"
        with pytest.raises(StoreError, match="does not exist"):
            backend.generations.set_encoder_source(7, "elsewhere/model")

    def test_vectors_can_be_said_to_be_of_another_contract(self, backend: Backend) -> None:
        """Of the same dimension; they stay where they are."""
        generation = new_generation(backend)
        put(backend, generation, write(backend, "a"))
        other = replace(SPACE, model="elsewhere", revision="2")
        backend.generations.set_space(generation.id, other, "elsewhere/model")
        found = backend.generations.get(generation.id)
        assert (found.space, found.encoder_source) == (other, "elsewhere/model")
        assert backend.generations.count(generation.id) == 1
        with pytest.raises(ShapeError, match="dimension"):
            backend.generations.set_space(generation.id, replace(SPACE, dimension=99), None)
        with pytest.raises(StoreError, match="does not exist"):
            backend.generations.set_space(7, other, None)

    def test_a_missing_generation_is_an_error_everywhere(self, backend: Backend) -> None:
        """Not an empty result."""
        generations = backend.generations
        calls = (generations.get, generations.count_stale, generations.count, generations.drop)
        for call in calls:
            with pytest.raises(StoreError, match="does not exist"):
                call(7)
        with pytest.raises(StoreError):
            backend.generations.put(7, [], [], np.empty((0, DIMENSION), "f4"))

    def test_a_generation_that_is_served_can_not_be_dropped(self, backend: Backend) -> None:
        """Another one goes with its vectors."""
        documents = write(backend, "a")
        served, other = new_generation(backend), new_generation(backend)
        put(backend, other, documents)
        backend.generations.create_alias("live", served.id)
        with pytest.raises(StoreError, match="live"):
            backend.generations.drop(served.id)
        backend.generations.drop(other.id)
        assert backend.generations.all() == [served]
        with pytest.raises(StoreError, match="does not exist"):
            backend.generations.create_alias("other", other.id)
        assert new_generation(backend).id > other.id

    def test_an_alias_moves_by_compare_and_set(self, backend: Backend) -> None:
        """Whoever has read an old version is refused, and learns the present one."""
        old, new = new_generation(backend), new_generation(backend)
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
        generation = new_generation(backend)
        backend.generations.create_alias("live", generation.id)
        with pytest.raises(StoreError, match="exists"):
            backend.generations.create_alias("live", generation.id)
        with pytest.raises(StoreError):
            backend.generations.create_alias("other", 99)
        with pytest.raises(StoreError):
            backend.generations.swap_alias("ghost", generation.id, 1)

    def test_one_of_many_swaps_wins(self, backend: Backend) -> None:
        """Eight threads that read the same version."""
        generations = [new_generation(backend) for _ in range(9)]
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

    def test_whoever_has_loaded_a_map_sees_that_there_is_another_one(self, backend: Backend) -> None:
        """By when it was kept; there is no such moment where there is no map."""
        backend.generations.save_map("a", "b", b"first")
        first = backend.generations.map_kept_at("a", "b")
        time.sleep(0.001)
        backend.generations.save_map("a", "b", b"second")
        second = backend.generations.map_kept_at("a", "b")
        assert first is not None
        assert second is not None
        assert second > first
        assert backend.generations.map_kept_at("b", "a") is None

    def test_what_a_reader_does_to_vectors_is_its_own_affair(self, backend: Backend) -> None:
        """What is stored stays as it is; so it does when a writer uses its array again."""
        documents, generation = write(backend, "a"), new_generation(backend)
        matrix = np.ones((1, DIMENSION), dtype=np.float32)
        put_matrix(backend, generation, documents, matrix)
        matrix[:] = 7
        backend.generations.vectors(generation.id, [documents[0].key])[1][:] = 9
        assert backend.generations.vectors(generation.id, [documents[0].key])[1][0, 0] == 1
