"""The index files beside the database: followed, saved, and rebuilt when they do not add up."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from revector.backends.contracts import Generation
from revector.backends.local_index.cache import FEW_CHANGES, LocalIndex
from revector.backends.sqlite import SqliteBackend
from revector.backends.sqlite.generations import SqliteGenerations
from revector.index import HnswIndex
from revector.testing import HashEncoder

ENCODER = HashEncoder(16)
SECONDS = 10.0


class World:
    """A store with one generation, and the folder of its indexes."""

    def __init__(self, path: Path) -> None:
        self.backend = SqliteBackend.open(path / "docs.db")
        self.folder = path / "docs.db.index"
        self.generation: Generation = self.backend.generations.create(ENCODER.space, None)

    def put(self, *texts: str) -> list[int]:
        """Store texts under themselves as ids; return their keys."""
        documents = self.backend.documents.upsert(texts, texts)
        keys, hashes = [document.key for document in documents], [document.content_hash for document in documents]
        self.backend.generations.put(self.generation.id, keys, hashes, ENCODER.encode(texts))
        return keys

    def cache(self) -> LocalIndex:
        return LocalIndex(self.backend, self.folder)

    def find(self, cache: LocalIndex, text: str, k: int = 1) -> list[int]:
        return cache.of(self.generation).search(ENCODER.encode([text]), k)[1][0].tolist()

    def put_many(self, name: str, n: int) -> list[int]:
        return self.put(*(f"{name} number{i}" for i in range(n)))

    def save_once(self) -> None:
        cache = self.cache()
        self.find(cache, "anything")
        cache.close()

    @property
    def file(self) -> Path:
        return self.folder / f"{self.generation.id}.hnsw"

    @property
    def sidecar(self) -> Path:
        return self.folder / f"{self.generation.id}.json"


def never(*_: object, **__: object) -> None:
    raise AssertionError("this was not to be called")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.backend.close()


def test_an_index_follows_the_store(world: World) -> None:
    cache = world.cache()
    (apple,) = world.put("apple")
    assert world.find(cache, "apple") == [apple]
    banana, _ = world.put("banana", "cherry")
    assert world.find(cache, "banana") == [banana]
    world.backend.documents.delete(["banana"])
    assert banana not in world.find(cache, "banana", 5)


def test_an_empty_generation_finds_nothing(world: World) -> None:
    assert world.find(world.cache(), "apple", 3) == []


def test_a_document_written_and_deleted_between_two_searches_does_no_harm(world: World) -> None:
    cache = world.cache()
    (apple,) = world.put("apple")
    world.find(cache, "apple")
    world.put("banana")
    world.backend.documents.delete(["banana"])
    assert world.find(cache, "banana", 2) == [apple]


def test_a_saved_index_is_loaded_and_caught_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("apple", "cherry")
    world.save_once()
    (banana,) = world.put("banana")
    world.backend.documents.delete(["cherry"])
    monkeypatch.setattr(SqliteGenerations, "scan", None)  # rebuilding would need it
    cache = world.cache()
    assert world.find(cache, "banana") == [banana]
    assert len([key for key in world.find(cache, "cherry", 5) if key >= 0]) == 2


def test_vectors_without_a_file_are_built_into_a_graph_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = world.put_many("apple", 2 * FEW_CHANGES)
    monkeypatch.setattr(HnswIndex, "add", never)
    assert world.find(world.cache(), "apple number7") == [keys[7]]


@pytest.mark.parametrize("saved", [True, False], ids=["file", "graph in memory"])
def test_what_lacks_many_vectors_is_built_anew(world: World, monkeypatch: pytest.MonkeyPatch, saved: bool) -> None:
    world.put_many("apple", 8)
    cache = world.cache()
    world.find(cache, "apple")
    if saved:
        cache.close()
    keys = world.put_many("banana", FEW_CHANGES + 1)
    monkeypatch.setattr(HnswIndex, "add", never)
    assert world.find(cache, "banana number7") == [keys[7]]


def test_what_lacks_few_vectors_is_added_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put_many("apple", 8)
    world.save_once()
    keys = world.put_many("banana", FEW_CHANGES)
    monkeypatch.setattr(HnswIndex, "build", never)
    assert world.find(world.cache(), "banana number7") == [keys[7]]


# Before a generation serves


def test_a_prepared_index_is_neither_built_nor_added_to_by_a_search(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = world.put_many("apple", 40)
    here, elsewhere = world.cache(), world.cache()
    prepared = here.prepare(world.generation)
    assert (prepared.vectors, prepared.built) == (40, 40)
    assert prepared.seconds > 0
    monkeypatch.setattr(HnswIndex, "build", never)
    monkeypatch.setattr(HnswIndex, "add", never)
    assert [world.find(cache, "apple number7") for cache in (here, elsewhere)] == [[keys[7]]] * 2


def test_a_graph_in_memory_that_is_far_behind_gives_way_to_a_prepared_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("apple")
    behind = world.cache()
    world.find(behind, "apple")
    keys = world.put_many("banana", 2 * FEW_CHANGES)
    world.cache().prepare(world.generation)
    monkeypatch.setattr(HnswIndex, "build", never)
    monkeypatch.setattr(HnswIndex, "add", never)
    assert world.find(behind, "banana number7") == [keys[7]]


def test_a_graph_that_grew_vector_by_vector_is_built_anew_once(world: World) -> None:
    cache = world.cache()
    for name in ("apple", "banana", "cherry"):
        world.put_many(name, 20)
        world.find(cache, name)
    assert [cache.prepare(world.generation).built for _ in range(2)] == [60, 0]


def test_how_much_a_graph_has_grown_is_kept_with_its_file(world: World) -> None:
    world.put_many("apple", 20)
    world.save_once()
    world.put_many("banana", 20)
    world.save_once()
    assert json.loads(world.sidecar.read_text())["grown"] == 20
    assert world.cache().prepare(world.generation).built == 40


def test_few_new_vectors_are_added_when_an_index_is_prepared_again(world: World) -> None:
    world.put_many("apple", 40)
    cache = world.cache()
    cache.prepare(world.generation)
    world.put("banana")
    again = cache.prepare(world.generation)
    assert (again.vectors, again.built) == (41, 0)


def test_an_index_is_searched_and_followed_while_a_new_one_is_prepared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = world.cache()
    world.put("apple")
    world.find(cache, "apple")
    world.put_many("banana", 8)
    build, found = HnswIndex.build, []

    def build_slowly(*args: Any, **options: Any) -> HnswIndex:
        keys = world.put("cherry")
        searching = threading.Thread(target=lambda: found.append(world.find(cache, "cherry") == keys), daemon=True)
        searching.start()
        searching.join(SECONDS)
        return build(*args, **options)

    monkeypatch.setattr(HnswIndex, "build", build_slowly)
    assert cache.prepare(world.generation).vectors == 10
    assert found == [True]


def test_an_index_that_did_not_change_is_not_written_again(world: World) -> None:
    world.put("apple")
    world.save_once()
    before = world.file.stat().st_mtime_ns
    world.save_once()
    assert world.file.stat().st_mtime_ns == before


def _truncate(world: World) -> None:
    world.file.write_bytes(world.file.read_bytes()[:-7])


def _flip_a_byte(world: World) -> None:
    content = bytearray(world.file.read_bytes())
    content[len(content) // 2] ^= 0x40
    world.file.write_bytes(content)


def _edit_sidecar(**fields: object) -> Callable[[World], None]:
    def edit(world: World) -> None:
        world.sidecar.write_text(json.dumps({**json.loads(world.sidecar.read_text()), **fields}))

    return edit


DAMAGE: dict[str, Callable[[World], None]] = {
    "truncated": _truncate,
    "corrupt": _flip_a_byte,
    "missing": lambda world: world.file.unlink(),
    "sidecar garbled": lambda world: world.sidecar.write_text("{"),
    "sidecar without fields": lambda world: world.sidecar.write_text("{}"),
    "ahead of the store": _edit_sidecar(seq=10**9),
    "of another space": _edit_sidecar(fingerprint="0" * 32),
    "of another database": _edit_sidecar(created_at=1.0),
    "of another count": _edit_sidecar(count=77),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_file_that_does_not_add_up_is_rebuilt_with_a_warning(
    world: World, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    apple, banana = world.put("apple", "banana")
    world.save_once()
    DAMAGE[damage](world)
    with caplog.at_level(logging.WARNING):
        cache = world.cache()
        assert (world.find(cache, "apple"), world.find(cache, "banana")) == ([apple], [banana])
        cache.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "rebuilding the index" in caplog.text
    caplog.clear()
    world.save_once()
    assert not caplog.records


def test_a_file_that_lacks_vectors_of_the_store_is_rebuilt(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put("apple")
    world.save_once()
    saved = (world.file.read_bytes(), json.loads(world.sidecar.read_text()))
    (banana,) = world.put("banana")
    world.save_once()
    world.file.write_bytes(saved[0])  # an older file that claims to be at the newer point
    later = json.loads(world.sidecar.read_text())
    world.sidecar.write_text(json.dumps({**saved[1], "seq": later["seq"]}))
    assert world.find(world.cache(), "banana") == [banana]
    assert "rebuilding the index" in caplog.text


def test_a_folder_that_can_not_be_written_costs_a_warning(world: World, caplog: pytest.LogCaptureFixture) -> None:
    (apple,) = world.put("apple")
    world.folder.write_text("in the way")
    cache = world.cache()
    assert world.find(cache, "apple") == [apple]
    cache.close()
    assert "was not saved" in caplog.text


def test_files_of_generations_that_are_gone_are_removed(world: World) -> None:
    world.put("apple")
    world.save_once()
    cache = world.cache()
    world.backend.generations.drop(world.generation.id)
    cache.close()
    assert not list(world.folder.iterdir())


def test_searches_run_beside_writes(world: World) -> None:
    cache = world.cache()
    (apple,) = world.put("apple")
    wrong: list[object] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            try:
                found = world.find(cache, "apple")
                if found != [apple]:
                    wrong.append(found)
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(30):
        world.put(*(f"banana{i} number{j}" for j in range(5)))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert np.all(np.array(world.find(cache, "banana1", 151)) >= 0)
