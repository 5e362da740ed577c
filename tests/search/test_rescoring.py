"""What a search may spend on embedding: texts in flight, and milliseconds."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import EncoderError
from revector.migration.strategies.base import Budget
from revector.search import rescoring
from revector.search.rescoring import Rescoring
from revector.testing import HashEncoder

TEXTS = {f"hash{i}": f"text {i}" for i in range(10)}


class Slow(HashEncoder):
    """Takes a tenth of a second for each text."""

    def encode(self, texts, *, kind="document"):
        time.sleep(0.1 * len(texts))
        return super().encode(texts, kind=kind)


def _spends(budget: Budget, encoder: HashEncoder, turns: int) -> list[int]:
    """How many texts are embedded by one search after the other."""
    kept = Rescoring()
    return [len(kept.embed(encoder, TEXTS, {}, budget).vectors) for _ in range(turns)]


def test_a_model_that_is_fast_enough_embeds_all_the_texts_of_the_first_search() -> None:
    assert _spends(Budget(10, milliseconds=10_000), HashEncoder(8), 2) == [10, 10]


def test_a_model_that_is_too_slow_is_measured_and_then_left_alone() -> None:
    assert _spends(Budget(10, milliseconds=20), Slow(8), 4) == [1, 1, 0, 0]


def test_a_slow_model_embeds_what_fits() -> None:
    assert _spends(Budget(10, milliseconds=450), Slow(8), 3)[-1] in (3, 4)


def test_a_slow_model_is_measured_again_some_time_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "MEASURE_AGAIN_AFTER_SECONDS", 0.0)
    assert _spends(Budget(10, milliseconds=20), Slow(8), 4) == [1, 1, 1, 1]


def test_without_a_limit_of_time_everything_is_embedded() -> None:
    assert _spends(Budget(10), Slow(8), 1) == [10]


def test_searches_at_the_same_time_share_the_texts_in_flight() -> None:
    kept, budget, spent = Rescoring(), Budget(10, texts_in_flight=3), []

    def search() -> None:
        spent.append(len(kept.embed(Slow(8), TEXTS, {}, budget).vectors))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert min(spent) == 0  # the other one had all three texts in flight all the time


def test_known_vectors_cost_nothing() -> None:
    known = dict(zip(TEXTS, HashEncoder(8).encode(list(TEXTS.values())), strict=True))
    assert len(Rescoring().embed(Slow(8), TEXTS, known, Budget(10, milliseconds=0)).vectors) == 10


def test_a_text_that_the_model_refuses_is_not_tried_again() -> None:
    class Fussy(HashEncoder):
        def encode(self, texts, *, kind="document"):
            if "text 3" in texts:
                raise EncoderError("too long")
            return super().encode(texts, kind=kind)

    kept = Rescoring()
    kept.embed(Fussy(8), TEXTS, {}, Budget(10))
    assert kept.worth_trying(list(TEXTS)) == [hash_ for hash_ in TEXTS if hash_ != "hash3"]


class _Slowly(Counter[str]):
    """Counts that others could change while one of them is being read."""

    def __getitem__(self, key: str) -> int:
        found = super().__getitem__(key)
        time.sleep(0.05)
        return found


def test_every_answer_is_counted_whichever_thread_gave_it(places: Any) -> None:
    texts = [f"text number {i}" for i in range(20)]
    with Collection.open(places / "docs.db", HashEncoder(16, seed=1, name="old")) as docs:
        docs.upsert(texts, texts)
        docs.migrate(HashEncoder(16, seed=2, name="new")).start()
        docs._searcher._ranked = _Slowly()
        threads = [threading.Thread(target=docs.search, args=(text, 1), kwargs={"rescore": 3}) for text in texts[:6]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(vars(docs.rescored).values()) == 6


def test_a_search_beside_others_takes_less_time_for_it() -> None:
    class Slowly(Slow):
        def encode(self, texts, *, kind="document"):
            began.set()
            return super().encode(texts, kind=kind)

    began, kept = threading.Event(), Rescoring()
    budget = Budget(10, texts_in_flight=32, milliseconds=1_000, milliseconds_beside=150)
    for _ in range(2):
        kept.embed(Slow(8), dict(list(TEXTS.items())[:1]), {}, budget)  # measured
    first = threading.Thread(target=kept.embed, args=(Slowly(8), TEXTS, {}, budget))
    first.start()
    began.wait()
    assert len(kept.embed(Slow(8), TEXTS, {}, budget).vectors) == 1
    first.join()
