"""Captured queries: a sample, scrubbed, bounded, and replayed on both generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import ClosedError, InvalidArgumentError, MigrationError, ReadOnlyError
from revector.search import capture
from revector.search.capture import without_numbers
from revector.search.replay import rank_biased_overlap
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(48, seed=2, name="new")
WORDS = ["apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel"]
TEXTS = {f"{a}-{b}": f"{a} {b} {a * 2}" for a in WORDS for b in WORDS}


@pytest.fixture
def collection(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(list(TEXTS), list(TEXTS.values()))
        yield collection


def test_nothing_is_kept_unless_asked_for(collection: Collection) -> None:
    collection.search("apple")
    assert collection.captured_queries() == []


def test_every_query_is_kept_once_the_oldest_first(collection: Collection) -> None:
    collection.capture(1.0)
    for query in ("apple", "fig", "grape", "fig"):
        collection.search(query)
        collection._searcher.behind.flush()
    assert collection.captured_queries() == ["apple", "grape", "fig"]


def test_a_share_of_the_queries_is_kept(collection: Collection) -> None:
    collection.capture(0.3)
    collection.search([f"apple {n}" for n in range(400)])
    assert 60 < len(collection.captured_queries()) < 180


def test_no_more_are_kept_than_there_are_places(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST", 7)
    collection.capture(1.0)
    collection.search([f"apple {n}" for n in range(100)])
    assert len(collection.captured_queries()) == 7


def test_what_is_kept_has_passed_the_filter(collection: Collection, caplog: pytest.LogCaptureFixture) -> None:
    def scrub(query: str) -> str | None:
        return {"secret": None, "mine": "ours"}[query]

    collection.capture(1.0, scrub=scrub)
    collection.search(["secret", "mine", "broken"])
    assert collection.captured_queries() == ["ours"]
    assert "KeyError" in caplog.text
    assert "broken" not in caplog.text


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("write to ada.l+x@example.co.uk today", "write to someone@example.com today"),
        ("card 4111 1111 1111 1111 refused", "card 000000 refused"),
        ("call +49 (30) 123-4567", "call +000000"),
        ("python 3.11 in 2026", "python 3.11 in 2026"),
    ],
)
def test_by_default_addresses_and_long_numbers_are_masked(query: str, kept: str) -> None:
    assert without_numbers(query) == kept


def test_what_was_kept_can_be_forgotten(collection: Collection) -> None:
    collection.capture(1.0)
    collection.search("apple")
    collection.forget_captured()
    assert collection.captured_queries() == []


@pytest.mark.parametrize("share", [-0.1, 1.1, "all", float("nan")])
def test_a_share_is_between_none_and_all(collection: Collection, share: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="share"):
        collection.capture(share)


def test_a_collection_that_is_only_read_keeps_nothing(collection: Collection, places: Any) -> None:
    with Collection.open(places / "docs.db", OLD, read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.capture(1.0)


def test_a_replay_compares_both_generations(collection: Collection) -> None:
    collection.capture(1.0)
    collection.search(["apple fig", "grape", "hazel cherry"])
    migration = collection.migrate(NEW)
    migration.start()
    migration.run()
    found = collection.replay()
    assert {each.query for each in found.queries} == {"apple fig", "grape", "hazel cherry"}
    assert (found.old.model, found.new.model, found.new.vectors) == ("old", "new", len(TEXTS))
    assert 0 < found.overlap < 1
    assert all(len(each.old) == len(each.new) == 10 for each in found.queries)
    assert found.old.p99_ms >= found.old.p50_ms > 0


def test_a_replay_on_the_same_numbers_finds_no_difference(collection: Collection) -> None:
    same = HashEncoder(16, seed=1, name="same")
    same.space = HashEncoder(16, seed=9, name="same").space
    same._direction = OLD._direction
    migration = collection.migrate(same)
    migration.start()
    migration.run()
    found = collection.replay(["apple", "fig grape"])
    assert (found.overlap, found.rank_biased_overlap) == (1.0, pytest.approx(1.0))


def test_one_generation_has_nothing_to_be_compared_with(collection: Collection) -> None:
    with pytest.raises(MigrationError, match="one generation"):
        collection.replay(["apple"])


def test_no_queries_are_no_replay(collection: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="capture some"):
        collection.replay()


def test_rank_biased_overlap_is_the_formula() -> None:
    """By hand: agreement .5 at ranks 2 and 3 is 1/2 and 2/3, none at the first."""
    agreed = [0.0, 0.5, 2 / 3]
    expected = agreed[-1] * 0.9**3 + (0.1 / 0.9) * sum(x * 0.9**d for d, x in enumerate(agreed, 1))
    assert rank_biased_overlap(["a", "b", "c"], ["b", "x", "c"]) == pytest.approx(expected)
    assert rank_biased_overlap(["a", "b"], ["a", "b"]) == pytest.approx(1.0)
    assert rank_biased_overlap(["a"], ["b"]) == 0.0


def test_a_closed_collection_captures_nothing(places: Path) -> None:
    collection = Collection.open(places / "other.db", OLD)
    collection.close()
    with pytest.raises(ClosedError):
        collection.capture(1.0)
