"""Searches in the shadow: both generations are asked behind the reader, who sees and waits for nothing of it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import GateRefusedError
from revector.ledger.state import Phase
from revector.migration.migration import Migration
from revector.migration.strategies import Background, Shadow
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


def _proving(place: Any, new: Any = NEW, shadow: Any = None) -> tuple[Collection, Migration]:
    docs = Collection.open(place, OLD)
    docs.upsert(TEXTS, TEXTS)
    migration = docs.migrate(new, strategy=[Background(), shadow or Shadow(share=1.0, least=5)])
    migration.start()
    migration.run()
    assert migration.verify(sample=5).passed
    return docs, migration


def _ended(docs: Collection) -> None:
    """Let what waits be done, and write it down."""
    until = time.monotonic() + 10
    while docs._searcher._shadowing._waiting and time.monotonic() < until:
        time.sleep(0.01)
    docs._searcher.behind.flush()


def test_every_search_is_repeated_in_both_generations(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        for text in TEXTS[:7]:
            docs.search(text, 5)
        _ended(docs)
        seen = migration.shadowed
        assert (seen.old.searches, seen.new.searches, seen.overlap.n) == (7, 7, 7)
        assert 0 < seen.overlap.mean <= 1
        assert seen.new.milliseconds.n == 7


def test_a_share_of_none_of_them_is_repeated_before_the_generation_is_filled(places: Any) -> None:
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(TEXTS, TEXTS)
        migration = docs.migrate(NEW, strategy=[Background(), Shadow(share=1.0)])
        migration.start()
        docs.search(TEXTS[0], 5)
        _ended(docs)
        assert migration.shadowed.new.searches == 0


def _fails_for(generation: int) -> Any:
    def encode(texts: list[str], wanted: Any) -> Any:
        if wanted.id == generation:
            raise RuntimeError("out of memory")
        return OLD.encode(texts, kind="query")

    return encode


def test_what_fails_in_the_shadow_reaches_no_reader_and_keeps_from_the_cutover(
    places: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        queries = SimpleNamespace(encode=_fails_for(2))  # the shadow's alone: those of readers go on
        monkeypatch.setattr(docs._searcher._shadowing, "_queries", queries)
        for text in TEXTS[:6]:
            assert len(docs.search(text, 5)) == 5
        _ended(docs)
        assert migration.shadowed.new.errors == 6
        with pytest.raises(GateRefusedError, match="6 of 6 searches failed in the new generation"):
            migration.cutover()


def test_the_cutover_waits_for_enough_searches(places: Any) -> None:
    docs, migration = _proving(places / "docs.db")
    with docs:
        with pytest.raises(GateRefusedError, match="0 searches were shadowed by the new generation, 5 are wanted"):
            migration.cutover()
        assert "0 searches were shadowed" in migration.foresee("cutover").refusals[-1]
        for text in TEXTS[:5]:
            docs.search(text, 5)
        _ended(docs)
        assert not migration.foresee("cutover").refusals
        migration.cutover()
        assert migration.phase is Phase.SERVING


def test_what_finds_no_place_is_not_repeated(places: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revector.search.shadowing.MOST_WAITING", 2)
    monkeypatch.setattr("revector.search.shadowing.Shadowing._repeat", lambda *_: time.sleep(0.2))
    docs, _ = _proving(places / "docs.db")
    with docs:
        for text in TEXTS[:6]:
            docs.search(text, 5)
        assert docs._searcher._shadowing._waiting == 2
