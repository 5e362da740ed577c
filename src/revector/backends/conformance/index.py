"""The suite that the index of every backend passes. It needs pytest."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from revector.backends.conformance.samples import DIMENSION, new_generation, put_matrix, write
from revector.backends.contracts import EXACT, Backend, Document, Generation
from revector.errors import NumericalError, RevectorError, ShapeError, StoreError
from revector.spaces import EmbeddingSpace

COSINE = EmbeddingSpace(model="conformance", dimension=DIMENSION, revision="1")
_AXES = np.eye(DIMENSION, dtype=np.float32)


def _filled(backend: Backend, n: int = DIMENSION) -> tuple[Generation, list[Document]]:
    """Write documents along the four axes, one after the other, each a little longer than the one before."""
    generation, documents = new_generation(backend, COSINE), write(backend, *map(str, range(n)))
    put_matrix(backend, generation, documents, _AXES[np.arange(n) % DIMENSION] * np.arange(1, n + 1)[:, None])
    return generation, documents


def _found(backend: Backend, generation: Generation, query: NDArray[np.float32], k: int = 1) -> list[int]:
    keys: list[int] = backend.index.search(generation, query[None], k)[1][0].tolist()
    return keys


class IndexConformance:
    """What `revector.backends.contracts.Index` promises, one behaviour a test."""

    def test_the_nearest_come_first_with_their_cosines(self, backend: Backend) -> None:
        """The length of a vector makes no difference."""
        generation, documents = _filled(backend)
        queries = np.array([[4, 3, 0, 0], [0, 0, 0, 9]], dtype=np.float32)
        scores, keys = backend.index.search(generation, queries, 2)
        assert (scores.dtype.name, keys.dtype.name) == ("float32", "int64")
        np.testing.assert_allclose(scores, [[0.8, 0.6], [1.0, 0.0]], atol=1e-6)
        assert keys[0].tolist() == [documents[0].key, documents[1].key]
        assert keys[1, 0] == documents[3].key

    def test_where_the_metric_is_the_dot_product_the_length_counts(self, backend: Backend) -> None:
        """Scores are dot products."""
        space = EmbeddingSpace(model="conformance", dimension=DIMENSION, revision="dot", metric="dot")
        generation, documents = backend.generations.create(space, None), write(backend, "short", "long")
        put_matrix(backend, generation, documents, np.stack([_AXES[0], 3 * _AXES[0] + _AXES[1]]))
        scores, keys = backend.index.search(generation, _AXES[:1] * 2, 2)
        assert keys[0].tolist() == [documents[1].key, documents[0].key]
        np.testing.assert_allclose(scores, [[6.0, 2.0]], rtol=1e-6)

    @pytest.mark.parametrize(
        ("query", "error"),
        [([np.nan, 0, 0, 0], NumericalError), ([np.inf, 0, 0, 0], NumericalError), ([1, 0, 0], ShapeError)],
    )
    def test_a_query_that_is_not_a_vector_of_the_space_is_refused(
        self, backend: Backend, query: list[float], error: type[RevectorError]
    ) -> None:
        """It would find whatever comes first."""
        generation, _ = _filled(backend)
        with pytest.raises(error):
            backend.index.search(generation, np.array([_AXES[0][: len(query)], query], np.float32), 1)

    def test_there_are_no_more_hits_than_vectors(self, backend: Backend) -> None:
        """An empty generation has none."""
        generation, _ = _filled(backend)
        assert backend.index.search(generation, _AXES, 10)[1].shape == (DIMENSION, DIMENSION)
        empty = new_generation(backend, COSINE)
        scores, keys = backend.index.search(empty, _AXES, 10)
        assert scores.shape == keys.shape == (DIMENSION, 0)

    def test_what_was_written_is_found_at_once_and_where_it_was_no_longer(self, backend: Backend) -> None:
        """After every search that came before."""
        generation, documents = _filled(backend)
        assert _found(backend, generation, _AXES[0]) == [documents[0].key]
        put_matrix(backend, generation, documents[:2], _AXES[[1, 0]])
        assert _found(backend, generation, _AXES[0]) == [documents[1].key]
        assert _found(backend, generation, _AXES[1]) == [documents[0].key]

    def test_what_was_deleted_leaves_its_place_to_others(self, backend: Backend) -> None:
        """As many hits as vectors are left."""
        generation, documents = _filled(backend, 12)
        backend.index.prepare(generation)
        backend.documents.delete([document.id for document in documents[:10]])
        assert sorted(_found(backend, generation, _AXES[0], 12)) == [document.key for document in documents[10:]]

    def test_generations_are_searched_apart(self, backend: Backend) -> None:
        """Each has vectors of its own for the same documents."""
        old, documents = _filled(backend)
        new = new_generation(backend, COSINE)
        put_matrix(backend, new, documents, _AXES[::-1])
        found = [_found(backend, generation, _AXES[0])[0] for generation in (old, new)]
        assert found == [documents[0].key, documents[-1].key]

    def test_a_search_in_a_snapshot_is_of_its_moment(self, backend: Backend) -> None:
        """Whatever is written meanwhile, by others."""
        if not backend.capabilities.transactions:
            pytest.skip("the backend has no snapshots")
        generation, documents = _filled(backend)
        with backend.snapshot():
            before = _found(backend, generation, _AXES[0], DIMENSION)
            writer = threading.Thread(target=put_matrix, args=(backend, generation, documents, _AXES[::-1]))
            writer.start()
            writer.join()
            assert _found(backend, generation, _AXES[0], DIMENSION) == before
        assert _found(backend, generation, _AXES[0]) == [documents[-1].key]

    def test_vectors_come_with_who_has_one(self, backend: Backend) -> None:
        """In the order of the keys, of unit length where the metric is the cosine."""
        generation, documents = _filled(backend)
        keys = [documents[2].key, 999, documents[0].key]
        known, vectors = backend.index.vectors(generation, keys)
        assert known.tolist() == [True, False, True]
        np.testing.assert_allclose(vectors, _AXES[[2, 0]], atol=1e-6)

    def test_preparing_changes_no_answer(self, backend: Backend) -> None:
        """It may be called as often as one likes."""
        generation, _ = _filled(backend, 200)
        before = _found(backend, generation, _AXES[0], 50)
        assert [backend.index.prepare(generation).vectors for _ in range(2)] == [200, 200]
        assert sorted(_found(backend, generation, _AXES[0], 50)) == sorted(before)
        assert backend.index.covers(generation)

    def test_a_sound_index_says_so(self, backend: Backend) -> None:
        """Every vector is found, and there is nothing to tell."""
        generation, _ = _filled(backend, 200)
        backend.index.prepare(generation)
        health = backend.index.check(generation)
        assert (health.live, health.problems, backend.index.notice(generation)) == (200, (), "")
        assert health.recall > 0.99

    def test_generations_of_one_backend_are_searched_alike(self, backend: Backend) -> None:
        """Whatever kind of index that is, or why there is none."""
        generations = [_filled(backend)[0] for _ in range(2)]
        one, other = (backend.index.shape(generation) for generation in generations)
        assert one == other
        assert one.is_valid
        assert bool(one.why) == (one.kind == EXACT)

    def test_a_generation_that_was_dropped_is_not_searched(self, backend: Backend) -> None:
        """Nor is what it held kept."""
        generation, _ = _filled(backend)
        _found(backend, generation, _AXES[0])
        backend.generations.drop(generation.id)
        backend.index.prune()
        with pytest.raises(StoreError):
            _found(backend, generation, _AXES[0])
