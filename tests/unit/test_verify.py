"""Verification finds what is wrong with a generation, each fault by the check that is made for it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from revector.backends.contracts import IndexHealth
from revector.backends.sqlite import SqliteBackend
from revector.errors import SpaceMismatchError
from revector.evaluation.verify import verify
from revector.ledger.jobs import JobRequest
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(24, seed=2, name="new")
TEXTS = [f"word{i} word{i * 7 % 50} word{i * 3 % 11} only{i}" for i in range(120)]


class World:
    """A backend whose two generations hold everything."""

    def __init__(self, path: Path) -> None:
        self.backend = SqliteBackend.open(path / "docs.db")
        self.old = self.backend.generations.create(OLD.space, None)
        self.new = self.backend.generations.create(NEW.space, None)
        self.documents = self.backend.documents.upsert([f"d{i}" for i in range(len(TEXTS))], TEXTS)
        self.put(self.old.id, OLD.encode(TEXTS))
        self.put(self.new.id, NEW.encode(TEXTS))

    def put(self, generation: int, vectors: np.ndarray) -> None:
        keys, hashes = zip(*((d.key, d.content_hash) for d in self.documents), strict=True)
        self.backend.generations.put(generation, keys, hashes, vectors)

    def verify(self, *, index: object = None, **options: object):
        self.backend.index = index or self.backend.index
        return verify(self.backend, self.old.id, self.new.id, NEW, **options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.backend.close()


def test_a_complete_generation_passes(world: World, tmp_path: Path) -> None:
    result = world.verify(sample=50)
    assert result.passed, result.reasons
    assert result.details["documents"] == result.details["vectors"] == len(TEXTS)
    assert result.details["sample"] == 50
    assert result.details["lowest_cosine"] > 0.9999
    assert result.details["self_retrieval"] == 1.0
    assert result.details["index_recall"] >= 0.95
    assert json.loads(json.dumps(result.to_json()))["passed"] is True


def test_documents_without_a_vector_of_their_present_text_are_counted(world: World) -> None:
    world.backend.documents.upsert(["d0", "extra"], ["changed", "inserted"])
    result = world.verify()
    assert not result.passed
    assert "2 of 121 documents have no vector of their present text" in result.reasons[0]
    assert result.details["stale_in_source"] == 2


def test_documents_that_somebody_is_asked_to_embed_are_not_missing(world: World) -> None:
    (late,) = world.backend.documents.upsert(["d0"], ["changed a moment ago"])
    world.backend.ledger.jobs.enqueue(world.new.id, [JobRequest(late.key, late.content_hash, 0)])
    result = world.verify()
    assert (result.passed, result.details["stale"]) == (True, 1)


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

    def close(self) -> None:
        """Nothing to save."""

    def widen(self, generation) -> bool:
        return False

    def check(self, generation, *, recall=True) -> IndexHealth:
        return IndexHealth(len(TEXTS), 0, 1, 0, (), 0, 1.0, 0.0, 10, 200, "")


def test_vectors_that_cannot_be_reached_are_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = world.backend.index.check(world.new)
    monkeypatch.setattr(world.backend.index, "check", lambda _, **__: dataclasses.replace(sound, unreachable=3))
    assert world.verify().reasons == ("3 vectors cannot be reached in the index; delete its folder",)


def test_a_damaged_index_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = world.backend.index.check(world.new)
    monkeypatch.setattr(
        world.backend.index, "check", lambda _, **__: dataclasses.replace(sound, damage=("a file is cut",))
    )
    assert world.verify().reasons == ("the index is damaged: a file is cut; it is built anew",)


def test_an_index_of_other_vectors_is_found(world: World, tmp_path: Path) -> None:
    class Elsewhere(Sound):
        """Returns the same documents whatever is asked."""

        def search(self, generation, queries, k):
            return np.ones((len(queries), k), np.float32), np.tile(np.arange(1, k + 1), (len(queries), 1))

    result = world.verify(index=Elsewhere())
    assert len(result.reasons) == 1
    assert "rebuild it" in result.reasons[0]


def test_an_index_whose_searches_look_at_too_little_is_widened(world: World) -> None:
    class Narrow(Sound):
        """Finds half of what is nearest, until it was widened twice."""

        exact, widened = world.backend.index, 0

        def search(self, generation, queries, k):
            scores, keys = self.exact.search(generation, queries, k)
            return scores, np.where(np.arange(k) * (self.widened < 2) % 2, keys[:, :1], keys)

        def widen(self, generation) -> bool:
            self.widened += 1
            return True

    narrow = Narrow()
    result = world.verify(index=narrow)
    assert (result.passed, narrow.widened) == (True, 2)
    assert result.details["index_recall"] >= 0.95


def test_an_index_is_widened_until_its_recall_is_no_luck_of_the_sample(world: World) -> None:
    class Unlucky(Sound):
        """Finds nothing for four of 120 queries, until it was widened."""

        exact, widened = world.backend.index, 0

        def search(self, generation, queries, k):
            scores, keys = self.exact.search(generation, queries, k)
            missed = (np.arange(len(keys)) < 4)[:, None] & (self.widened < 1)
            return scores, np.where(missed, 10**6, keys)

        def widen(self, generation) -> bool:
            self.widened += 1
            return True

    unlucky = Unlucky()
    assert 1 - 4 / len(TEXTS) > 0.95  # enough, if it were sure
    result = world.verify(index=unlucky)
    assert (result.passed, unlucky.widened) == (True, 1)
    assert (result.details["index_recall"], result.details["index_recall_error"]) == (1.0, 0.0)


def test_an_index_that_returns_deleted_documents_is_found(world: World) -> None:
    class Stale(Sound):
        def search(self, generation, queries, k):
            return np.ones((len(queries), k), np.float32), np.full((len(queries), k), 10**6)

    assert "the index finds 0.0%" in world.verify(index=Stale()).reasons[0]


def test_many_documents_of_one_text_pass(world: World) -> None:
    ids = [f"same{i}" for i in range(30)]
    world.documents = world.backend.documents.upsert(ids, ["one text"] * 30)
    world.put(world.new.id, NEW.encode(["one text"] * 30))
    assert world.verify().passed


def test_an_empty_collection_passes(tmp_path: Path) -> None:
    backend = SqliteBackend.open(tmp_path / "empty.db")
    generations = [backend.generations.create(encoder.space, None).id for encoder in (OLD, NEW)]
    assert verify(backend, *generations, NEW).passed
    backend.close()


def test_another_models_encoder_is_refused(world: World) -> None:
    with pytest.raises(SpaceMismatchError, match="'new'"):
        verify(world.backend, world.old.id, world.new.id, OLD)
