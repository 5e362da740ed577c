"""Searches leave counts and vectors to a thread that writes behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from revector.backends.opening import open_backend
from revector.collection import Collection
from revector.migration.signs import search_p50, search_p99
from revector.search import behind
from revector.testing import HashEncoder, RecordingEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


@contextmanager
def _write_lock_held(place: Any) -> Iterator[None]:
    """Hold the write lock as another process would."""
    with closing(open_backend(place)) as other, other.exclusive():
        yield


def _moving(place: Any, new: HashEncoder = NEW) -> Collection:
    docs = Collection.open(place, OLD)
    docs.upsert(TEXTS, TEXTS)
    docs.migrate(new).start()
    return docs


def _hits(place: Any) -> int:
    with closing(open_backend(place)) as other:
        return sum(fact.hits for fact in other.documents.facts())


def _stored(docs: Collection) -> int:
    return docs._backend.generations.count(2)


def test_a_search_does_not_wait_for_a_writer(places: Any) -> None:
    place = places / "docs.db"
    with _moving(place) as docs:
        with _write_lock_held(place):
            began = time.perf_counter()
            for text in TEXTS:
                docs.search(text, 5)
            took = time.perf_counter() - began
        assert took < 2.0
        docs._searcher.behind.flush()
        assert _hits(place) == 5 * len(TEXTS)


def test_what_searches_leave_is_written_without_anybody_asking(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 0.01)
    with _moving(places / "docs.db") as docs:
        docs.search(TEXTS[0], 5, rescore=10)
        deadline = time.monotonic() + 10
        while _hits(places / "docs.db") < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _stored(docs) == 10
        assert _hits(places / "docs.db") == 5


def test_closing_writes_what_is_left(places: Any) -> None:
    with _moving(places / "docs.db") as docs:
        docs.search(TEXTS[0], 5)
    assert _hits(places / "docs.db") == 5


def test_a_vector_that_waits_to_be_written_is_not_paid_for_again(tmp_path: Path, places: Any) -> None:
    log = tmp_path / "encoded"
    with _moving(places / "docs.db", RecordingEncoder(NEW, log)) as docs, _write_lock_held(places / "docs.db"):
        docs.search(TEXTS[0], 5, rescore=10)
        docs.search(TEXTS[0], 5, rescore=10)
    queries = 2
    assert len(log.read_text().split()) == 10 + queries


def test_what_cannot_be_written_is_kept(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with _moving(places / "docs.db") as docs:
        with monkeypatch.context() as patch:
            patch.setattr(docs._searcher.behind, "_write", _refuse)
            docs.search(TEXTS[0], 5)
            docs._searcher.behind.flush()
        docs._searcher.behind.flush()
        assert _hits(places / "docs.db") == 5


def _refuse(taken: object) -> None:
    from revector.errors import StoreError

    raise StoreError("the disk is full")


def test_it_is_said_how_long_searches_take_for_as_long_as_somebody_searches(
    places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 0.01)
    place = places / "docs.db"
    with closing(open_backend(place)) as other:
        with _moving(place) as docs:
            docs.search(TEXTS[0])
            deadline = time.monotonic() + 10
            while not (p99 := search_p99(other)):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert 0.0 < search_p50(other) <= p99 < 10_000
        assert search_p99(other) == 0.0
