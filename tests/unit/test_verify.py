"""Verification finds what is wrong with a generation, each fault by the check that is made for it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from revector.errors import SpaceMismatchError
from revector.evaluation.verify import verify
from revector.index import HnswHealth, HnswIndex
from revector.stores.base import VectorRow
from revector.stores.index_cache import IndexCache
from revector.stores.sqlite import SqliteStore
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(24, seed=2, name="new")
TEXTS = [f"word{i} word{i * 7 % 50} word{i * 3 % 11} only{i}" for i in range(120)]


class World:
    """A store whose two generations hold everything."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore.open(path / "docs.db")
        self.old = self.store.create_generation(OLD.space, None)
        self.new = self.store.create_generation(NEW.space, None)
        self.documents = self.store.upsert_documents([f"d{i}" for i in range(len(TEXTS))], TEXTS)
        self.put(self.old.id, OLD.encode(TEXTS))
        self.put(self.new.id, NEW.encode(TEXTS))

    def put(self, generation: int, vectors: np.ndarray) -> None:
        rows = [VectorRow(d.key, d.content_hash, v) for d, v in zip(self.documents, vectors, strict=True)]
        self.store.put_vectors(generation, rows)

    def verify(self, **options: object):
        return verify(self.store, self.old.id, self.new.id, NEW, **options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.store.close()


def test_a_complete_generation_passes(world: World, tmp_path: Path) -> None:
    index = IndexCache(world.store, tmp_path / "index").index(world.new)
    result = world.verify(sample=50, index=index)
    assert result.passed, result.reasons
    assert result.details["documents"] == result.details["vectors"] == len(TEXTS)
    assert result.details["sample"] == 50
    assert result.details["lowest_cosine"] > 0.9999
    assert result.details["self_retrieval"] == 1.0
    assert result.details["index_recall"] >= 0.95
    assert json.loads(json.dumps(result.to_json()))["passed"] is True


def test_documents_without_a_vector_of_their_present_text_are_counted(world: World) -> None:
    world.store.upsert_documents(["d0", "extra"], ["changed", "inserted"])
    result = world.verify()
    assert not result.passed
    assert "2 of 121 documents have no vector of their present text" in result.reasons[0]
    assert result.details["stale_in_source"] == 2


def test_vectors_of_another_model_are_found(world: World) -> None:
    world.put(world.new.id, HashEncoder(24, seed=5).encode(TEXTS))
    result = world.verify()
    assert "are not what the model gives now" in result.reasons[0]
    assert "find their own document" in result.reasons[1]


def test_vectors_in_the_wrong_rows_are_found(world: World) -> None:
    world.put(world.new.id, np.roll(NEW.encode(TEXTS), 1, axis=0))
    assert not world.verify().passed


class Sound:
    """What an index says that has no fault of its own."""

    def check(self) -> HnswHealth:
        return HnswHealth(len(TEXTS), 0, 1, 0, (), 1.0, 0.0, 10, 128, 200)


def test_vectors_that_can_not_be_reached_are_found(world: World) -> None:
    class Torn(HnswIndex):
        def check(self) -> HnswHealth:
            return dataclasses.replace(super().check(), unreachable=3)

    keys, vectors = next(iter(world.store.scan_vectors(world.new.id)))
    index = Torn(vectors.shape[1])
    index.add(vectors, keys)
    assert world.verify(index=index).reasons == ("3 vectors cannot be reached in the index; rebuild it",)


def test_an_index_of_other_vectors_is_found(world: World, tmp_path: Path) -> None:
    class Elsewhere(Sound):
        """Returns the same documents whatever is asked."""

        def search(self, queries, k):
            return np.ones((len(queries), k), np.float32), np.tile(np.arange(1, k + 1), (len(queries), 1))

    result = world.verify(index=Elsewhere())
    assert len(result.reasons) == 1
    assert "rebuild it" in result.reasons[0]


def test_an_index_that_returns_deleted_documents_is_found(world: World) -> None:
    class Stale(Sound):
        def search(self, queries, k):
            return np.ones((len(queries), k), np.float32), np.full((len(queries), k), 10**6)

    assert "the index finds 0.0%" in world.verify(index=Stale()).reasons[0]


def test_many_documents_of_one_text_pass(world: World) -> None:
    ids = [f"same{i}" for i in range(30)]
    world.documents = world.store.upsert_documents(ids, ["one text"] * 30)
    world.put(world.new.id, NEW.encode(["one text"] * 30))
    assert world.verify().passed


def test_an_empty_collection_passes(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "empty.db")
    generations = [store.create_generation(encoder.space, None).id for encoder in (OLD, NEW)]
    assert verify(store, *generations, NEW).passed
    store.close()


def test_another_models_encoder_is_refused(world: World) -> None:
    with pytest.raises(SpaceMismatchError, match="'new'"):
        verify(world.store, world.old.id, world.new.id, OLD)
