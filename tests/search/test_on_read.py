"""On-read: hits are embedded behind the search that found them, and what nobody asks for is brought by `run`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import EncoderError
from revector.migration.strategies import Background, OnRead
from revector.search import on_read
from revector.testing import HashEncoder
from worlds import ALL_KINDS


@pytest.fixture(scope="module", params=ALL_KINDS)
def kind(request):
    return request.param


OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


def _moving(place: Any, new: Any = NEW, strategy: Any = None) -> Collection:
    docs = Collection.open(place, OLD)
    docs.upsert(TEXTS, TEXTS)
    docs.migrate(new, strategy=strategy or OnRead(hits=3)).start()
    return docs


def _moved(docs: Collection) -> int:
    """How many documents have a vector of the new model, once nothing waits any longer."""
    until = time.monotonic() + 10
    while docs._searcher.on_read.report.waiting and time.monotonic() < until:
        time.sleep(0.01)
    docs._searcher.on_read.close()
    docs._searcher.behind.flush()
    return docs._backend.generations.count(2)


def test_the_hits_of_a_search_are_embedded_behind_it(places: Any) -> None:
    with _moving(places / "docs.db") as docs:
        found = docs.search(TEXTS[7], 5)
        assert len(found) == 5
        assert _moved(docs) == 3


def test_a_search_does_not_wait_for_what_it_leaves(places: Any) -> None:
    class Slow(HashEncoder):
        def encode(self, texts, *, kind="document"):
            time.sleep(0.0 if kind == "query" else 1.0)
            return super().encode(texts, kind=kind)

    with _moving(places / "docs.db", Slow(16, seed=2, name="slow")) as docs:
        began = time.perf_counter()
        docs.search(TEXTS[7], 5)
        assert time.perf_counter() - began < 0.8


def test_a_hit_is_embedded_once_however_often_it_is_found(places: Any) -> None:
    class Counting(HashEncoder):
        def encode(self, texts, *, kind="document"):
            if kind == "document":
                embedded.extend(texts)
            return super().encode(texts, kind=kind)

    embedded: list[str] = []
    with _moving(places / "docs.db", Counting(16, seed=2, name="new")) as docs:
        for _ in range(20):
            docs.search(TEXTS[7], 5)
        assert _moved(docs) == 3
    assert len(embedded) == 3


def test_what_nobody_searches_for_is_brought_by_run(places: Any) -> None:
    with _moving(places / "docs.db", strategy=OnRead(tail_share=1.0)) as docs:
        docs.search(TEXTS[7], 5)
        migration = docs.migration
        migration.run()
        assert str(migration.phase) == "proving"
        assert _moved(docs) == len(TEXTS)


def test_the_lazy_tail_rests_between_two_batches(places: Any) -> None:
    class Slow(HashEncoder):
        def encode(self, texts, *, kind="document"):
            time.sleep(0.005 * len(texts))
            return super().encode(texts, kind=kind)

    with _moving(places / "docs.db", Slow(16, seed=2, name="slow"), OnRead(tail_share=0.25)) as docs:
        began = time.perf_counter()
        docs.migration.run()
        assert time.perf_counter() - began > 0.6  # .2 s of work


def test_what_finds_no_place_is_left_out_and_counted(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_read, "MOST_WAITING", 2)
    monkeypatch.setattr(on_read.OnReadPool, "_run", lambda self: None)
    with _moving(places / "docs.db", strategy=OnRead(hits=5)) as docs:
        docs.search(TEXTS[7], 5)
        report = docs._searcher.on_read.report
        assert (report.waiting, report.left_out) == (2, 3)


def test_a_model_that_fails_behind_a_search_reaches_no_reader(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(HashEncoder):
        def encode(self, texts, *, kind="document"):
            if kind == "document":
                raise EncoderError("the service is down")
            return super().encode(texts, kind=kind)

    monkeypatch.setattr(on_read, "_REST_SECONDS", 0.01)
    with _moving(places / "docs.db", Broken(16, seed=2, name="broken")) as docs:
        for text in TEXTS:
            assert len(docs.search(text, 5)) == 5
        assert _moved(docs) == 0


def test_beside_background_both_do_their_part(places: Any) -> None:
    with _moving(places / "docs.db", strategy=[Background(), OnRead(hits=12)]) as docs:
        docs.search(TEXTS[7], 20)
        assert _moved(docs) >= 12


def test_what_does_not_fit_into_a_search_is_embedded_behind_it(places: Any) -> None:
    with _moving(places / "docs.db", strategy=Background()) as docs:
        docs.search(TEXTS[7], 20, rescore=2)
        assert _moved(docs) == 10
