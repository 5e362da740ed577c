"""The parts of the demonstration: the worker that can be held, the encoder that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from revector.demo.background import BackgroundRun
from revector.demo.reference import BATCH, MemoisingEncoder, direct_scores
from revector.encoders.base import Kind
from revector.errors import EncoderError
from revector.formats.judgements import Corpus
from revector.migration.filling.progress import Progress
from revector.migration.migration import Migration
from revector.testing import HashEncoder

SECONDS = 5.0


class FakeMigration:
    """Reports ten documents of ten, one by one, then ends or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.done = error, 0

    def run(self, on_progress: Any) -> None:
        for done in range(1, 11):
            self.done = done
            on_progress(Progress(done, 10, 0, None, None))
        if self.error is not None:
            raise self.error


def _background(migration: FakeMigration, *shares: float) -> BackgroundRun:
    return BackgroundRun(cast(Migration, migration), shares)


def test_the_worker_is_held_at_each_share_until_it_is_let_go() -> None:
    migration, seen = FakeMigration(), []
    with _background(migration, 0.2, 0.55, 1.0) as run:
        while not run.finished:
            if (held := run.held(SECONDS)) is not None:
                assert migration.done == held.done
                seen.append(held.done)
                run.go_on()
    assert seen == [2, 6, 10]


def test_shares_that_are_passed_at_once_hold_once() -> None:
    with _background(FakeMigration(), 0.01, 0.02, 0.1) as run:
        held = run.held(SECONDS)
        assert held is not None
        assert held.done == 1
        run.go_on()
        assert run.held(SECONDS) is None


def test_an_error_of_the_worker_reaches_the_thread_that_waits() -> None:
    with pytest.raises(EncoderError, match="out of order"), _background(FakeMigration(EncoderError("out of order"))):
        pass


def test_leaving_with_an_error_ends_a_held_worker() -> None:
    migration = FakeMigration()
    run = _background(migration, 0.3)
    with pytest.raises(KeyError), run:
        {}[run.held(SECONDS)]
    assert run.finished
    assert migration.done == 3


def test_time_that_the_worker_is_held_does_not_count() -> None:
    with _background(FakeMigration(), 0.5) as run:
        assert run.held(SECONDS) is not None
        assert run.held(0.5) is None
        run.go_on()
    assert run.seconds < 0.5


class CountingEncoder(HashEncoder):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        self.calls.append(len(texts))
        return super().encode(texts, kind=kind)


def test_a_text_is_encoded_once_for_each_kind_and_rows_keep_their_order() -> None:
    encoder, plain = CountingEncoder(), HashEncoder()
    known = MemoisingEncoder(encoder)
    np.testing.assert_array_equal(known.encode(["a b", "c", "a b"]), plain.encode(["a b", "c", "a b"]))
    np.testing.assert_array_equal(known.encode(["c", "d"]), plain.encode(["c", "d"]))
    known.encode(["c"], kind="query")
    assert encoder.calls == [2, 1, 1]
    assert known.encode([]).shape == (0, 32)


def test_long_lists_are_encoded_in_batches_that_are_reported() -> None:
    encoder, reported = CountingEncoder(), []
    MemoisingEncoder(encoder, reported.append).encode([str(i) for i in range(BATCH + 1)])
    assert encoder.calls == [BATCH, 1]
    assert reported == [BATCH, BATCH + 1]


def test_direct_scores_are_those_of_exact_search() -> None:
    corpus = Corpus(
        "tiny", {"a": "red apple", "b": "blue sea"}, {"q": "the sea", "r": "sea"}, {"q": {"b": 1}, "r": {"a": 1}}
    )
    first, second = direct_scores(corpus, HashEncoder(dimension=256)).tolist()
    assert first == 1.0
    assert second == pytest.approx(1 / np.log2(3))
