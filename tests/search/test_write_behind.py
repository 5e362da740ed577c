"""Searches leave counts and vectors to a thread that writes behind them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from revector.collection import Collection
from revector.search import behind
from revector.testing import HashEncoder, RecordingEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


@contextmanager
def _write_lock_held(path: Path) -> Iterator[None]:
    """Hold the write lock as another process would."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def _moving(path: Path, new: HashEncoder = NEW) -> Collection:
    docs = Collection.open(path, OLD)
    docs.upsert(TEXTS, TEXTS)
    docs.migrate(new).start()
    return docs


def _hits(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT coalesce(sum(hits), 0) FROM access").fetchone()[0])


def _stored(docs: Collection) -> int:
    return docs._backend.generations.count(2)


def test_a_search_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "docs.db"
    with _moving(path) as docs:
        with _write_lock_held(path):
            began = time.perf_counter()
            for text in TEXTS:
                docs.search(text, 5)
            took = time.perf_counter() - began
        assert took < 2.0
        docs._searcher.behind.flush()
        assert _hits(path) == 5 * len(TEXTS)


def test_what_searches_leave_is_written_without_anybody_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "WRITE_AFTER_SECONDS", 0.01)
    with _moving(tmp_path / "docs.db") as docs:
        docs.search(TEXTS[0], 5, rescore=10)
        deadline = time.monotonic() + 10
        while _stored(docs) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _stored(docs) == 10
        assert _hits(tmp_path / "docs.db") == 5


def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    with _moving(tmp_path / "docs.db") as docs:
        docs.search(TEXTS[0], 5)
    assert _hits(tmp_path / "docs.db") == 5


def test_a_vector_that_waits_to_be_written_is_not_paid_for_again(tmp_path: Path) -> None:
    log = tmp_path / "encoded"
    with _moving(tmp_path / "docs.db", RecordingEncoder(NEW, log)) as docs, _write_lock_held(tmp_path / "docs.db"):
        docs.search(TEXTS[0], 5, rescore=10)
        docs.search(TEXTS[0], 5, rescore=10)
    queries = 2
    assert len(log.read_text().split()) == 10 + queries


def test_what_cannot_be_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _moving(tmp_path / "docs.db") as docs:
        with monkeypatch.context() as patch:
            patch.setattr(docs._searcher.behind, "_write", _refuse)
            docs.search(TEXTS[0], 5)
            docs._searcher.behind.flush()
        docs._searcher.behind.flush()
        assert _hits(tmp_path / "docs.db") == 5


def _refuse(taken: object) -> None:
    from revector.errors import StoreError

    raise StoreError("the disk is full")
