"""Searches that have an answer, and writes, do not wait for the model of the other generation."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from revector.collection import Collection
from revector.encoders.at_hand import EncoderSet
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


class Stored(HashEncoder):
    """A model that can be loaded again."""

    source = "somewhere/new"


@pytest.fixture
def slow(places: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A collection whose documents move to a model that is not loaded yet; it is once the event is set."""
    path = places / "docs.db"
    with Collection.open(path, OLD) as docs:
        docs.upsert(TEXTS, TEXTS)
        docs.migrate(Stored(16, seed=2, name="new")).start()
    may_load = threading.Event()

    def load(source: str) -> HashEncoder:
        may_load.wait(10)
        return NEW

    with Collection.open(path, OLD) as docs:
        monkeypatch.setattr(docs._encoders, "_loader", load)
        yield docs, may_load
        may_load.set()


def test_a_search_is_answered_while_the_new_model_is_loaded(slow: Any) -> None:
    docs, may_load = slow
    began = time.perf_counter()
    assert docs.search(TEXTS[3], 1)[0].id == TEXTS[3]
    assert time.perf_counter() - began < 5
    assert docs.rescored.fully == 0
    may_load.set()
    deadline = time.monotonic() + 10
    while not docs.rescored.fully and time.monotonic() < deadline:
        docs.search(TEXTS[3], 1, rescore=10)
    assert docs.rescored.fully


def test_models_can_be_loaded_beforehand(slow: Any) -> None:
    docs, may_load = slow
    may_load.set()
    docs.load_models()
    docs.search(TEXTS[3], 1, rescore=10)
    assert docs.rescored.fully == 1


def test_a_model_that_is_there_is_found_while_another_one_is_loaded() -> None:
    may_load, generation = threading.Event(), type("Generation", (), {"space": NEW.space, "encoder_source": "new"})
    models = EncoderSet([OLD], loader=lambda source: may_load.wait(10) and NEW)
    assert models.find_behind(generation()) is None
    present = type("Generation", (), {"space": OLD.space, "encoder_source": None})
    assert models.find(present()) is OLD
    may_load.set()


def test_a_write_does_not_wait_for_the_new_model(slow: Any) -> None:
    docs, _ = slow
    began = time.perf_counter()
    docs.upsert(["fresh", TEXTS[0]], ["a fresh text", "a newer text"])
    assert time.perf_counter() - began < 5
    assert [docs.search(text, 1)[0].id for text in ("a fresh text", "a newer text")] == ["fresh", TEXTS[0]]


def test_what_was_written_without_the_new_model_moves_with_all_others(slow: Any) -> None:
    docs, may_load = slow
    docs.upsert(["fresh", TEXTS[0]], ["a fresh text", "a newer text"])
    may_load.set()
    docs.migration.run()
    status = docs.migration.status()
    assert (status.moved, status.target_jobs.outstanding) == (len(docs), 0)


def test_once_the_new_model_is_loaded_writes_use_it(slow: Any) -> None:
    docs, may_load = slow
    docs.upsert(["fresh"], ["a fresh text"])
    may_load.set()
    deadline = time.monotonic() + 10
    while not docs.migration.status().moved and time.monotonic() < deadline:
        docs.upsert(["fresh"], [f"text at {time.monotonic()}"])
    assert docs.migration.status().moved == 1


def test_a_cutover_embeds_what_was_written_without_the_new_model(slow: Any, places: Any) -> None:
    docs, _ = slow
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as elsewhere:
        elsewhere.migration.run()
        docs.upsert(["fresh"], ["a fresh text"])
        assert docs.migration.status().target_jobs.outstanding == 1
        elsewhere.migration.verify()
        docs.upsert(["fresh"], ["a fresher text"])
        elsewhere.migration.cutover()
        assert elsewhere.search("a fresher text", 1)[0].id == "fresh"


def test_after_a_cutover_a_write_does_not_wait_for_the_old_model_and_a_rollback_has_it_all(
    places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, may_load = Stored(16, seed=1, name="old"), threading.Event()
    with Collection.open(places / "docs.db", old, encoders=[NEW]) as docs:
        docs.upsert(TEXTS, TEXTS)
        migration = docs.migrate(NEW)
        for verb in (migration.start, migration.run, migration.verify, migration.cutover):
            verb()
    with Collection.open(places / "docs.db", encoders=[NEW]) as docs:
        monkeypatch.setattr(docs._encoders, "_loader", lambda _: may_load.wait(10) and old)
        began = time.perf_counter()
        docs.upsert(["fresh"], ["a fresh text"])
        assert time.perf_counter() - began < 5
        may_load.set()
        docs.migration.rollback()
        assert docs.search("a fresh text", 1)[0].id == "fresh"
