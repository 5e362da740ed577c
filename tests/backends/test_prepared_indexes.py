"""Readers are sent to a generation whose index is ready; those of the other one go on while it is made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import index_worlds
from revector.collection import Collection
from revector.index import HnswSnapshot
from revector.migration.migration import Migration
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(24, seed=1, name="old"), HashEncoder(32, seed=2, name="new")
TEXTS = {f"doc{i}": f"apple{i} banana{i} cherry{i % 7}" for i in range(200)}
SECONDS = 10.0


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as opened:
        opened.upsert(list(TEXTS), list(TEXTS.values()))
        yield opened


def _proving(collection: Collection) -> Migration:
    migration = collection.migrate(NEW)
    migration.start()
    migration.run()
    return migration


def _finds(collection: Collection, id_: str = "doc7") -> bool:
    return collection.search(collection.documents([id_])[0].text, 1)[0].id == id_


def _write_as_many_again(collection: Collection) -> None:
    collection.upsert([f"late{i}" for i in range(200)], [f"dragonfruit{i} elderberry{i}" for i in range(200)])


@pytest.fixture(autouse=True)
def graphs_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 200 documents be enough for a graph, and 400 too few for one behind searches."""
    index_worlds.small_graphs(monkeypatch, rest_limit=1000)


@pytest.fixture
def forbid_building(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes every index refuse to be built from then on."""
    return lambda: index_worlds.forbid_building(monkeypatch)


@pytest.mark.parametrize("sample", [0, 50])
@pytest.mark.parametrize("writes", [False, True])
def test_the_first_search_after_a_cutover_builds_nothing(
    collection: Collection, forbid_building: Any, sample: int, writes: bool
) -> None:
    migration = _proving(collection)
    assert migration.verify(sample=sample).details["index_built"] == len(TEXTS)
    if writes:
        _write_as_many_again(collection)
    migration.cutover()
    forbid_building()
    assert _finds(collection)


def test_nor_does_that_of_another_process(collection: Collection, tmp_path: Path, forbid_building: Any) -> None:
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as reader:
        assert _finds(reader)
        migration = _proving(collection)
        migration.verify()
        _write_as_many_again(collection)
        migration.cutover()
        forbid_building()
        assert _finds(reader)


def test_nor_does_the_first_search_after_a_rollback(collection: Collection, forbid_building: Any) -> None:
    migration = _proving(collection)
    migration.verify()
    migration.cutover()
    _write_as_many_again(collection)
    migration.rollback()
    forbid_building()
    assert _finds(collection, "late7")


def test_searches_of_the_old_generation_are_answered_while_the_new_index_is_built(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, found = HnswSnapshot.build, []
    assert _finds(collection)
    migration = _proving(collection)

    def build_slowly(*args: Any, **options: Any) -> HnswSnapshot:
        searching = threading.Thread(target=lambda: found.append(_finds(collection)), daemon=True)
        searching.start()
        searching.join(SECONDS)
        return build(*args, **options)

    monkeypatch.setattr(HnswSnapshot, "build", build_slowly)
    migration.verify()
    assert found == [True]
