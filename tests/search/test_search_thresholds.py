"""`search(threshold=…)`: a number means the same before, while and after documents move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revector import Threshold
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.testing import HashEncoder

WORDS = ["mend", "a", "bicycle", "bake", "bread", "write", "code", "sing", "in", "tune", "plant", "trees", "paint"]
TEXTS = [" ".join(np.random.default_rng(seed).choice(WORDS, 8)) for seed in range(200)]
QUERY = "mend a bicycle bake bread write"


class Lifted(HashEncoder):
    """Ranks as `HashEncoder` does; its scores lie in the upper half, as those of some models do."""

    def __init__(self, name: str, lift: float = 1.0) -> None:
        super().__init__(64, seed=1, name=name)
        self.space = HashEncoder(65, seed=2, name=name).space
        self._lift = lift
        self._plain = HashEncoder(64, seed=1)

    def encode(self, texts: Any, *, kind: Any = "document") -> Any:
        rows = self._plain.encode(texts, kind=kind)
        lifted = np.hstack([rows, np.full((len(rows), 1), np.sqrt(self._lift))])
        return (lifted / np.linalg.norm(lifted, axis=1, keepdims=True)).astype(np.float32)


OLD, NEW = HashEncoder(64, seed=1, name="old"), Lifted("new")


@pytest.fixture
def docs(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(TEXTS, TEXTS)
        yield docs


def moved(docs: Collection, encoder: Any) -> Any:
    migration = docs.migrate(encoder)
    migration.start()
    migration.run()
    migration.verify()
    migration.cutover()
    return migration


def passed(docs: Collection, threshold: Any = 0.6, **asked: Any) -> list[str]:
    return sorted(hit.id for hit in docs.search(QUERY, 200, threshold=threshold, **asked))


def differing(docs: Collection, before: list[str]) -> int:
    return len(set(before) ^ set(passed(docs)))


def test_hits_below_it_are_left_out(docs: Collection) -> None:
    hits = docs.search(QUERY, 200)
    assert passed(docs) == sorted(hit.id for hit in hits if hit.score >= 0.6)
    assert 10 < len(passed(docs)) < 100


@pytest.mark.parametrize("rescored", [0, 10, 200])
def test_it_means_the_same_while_documents_move(docs: Collection, rescored: int) -> None:
    before = passed(docs)
    docs.migrate(NEW).start()
    assert passed(docs, rescore=rescored) == before


def test_it_means_the_same_after_the_cutover(docs: Collection) -> None:
    before = passed(docs)
    moved(docs, NEW)
    assert len(docs.search(QUERY, 200)) == 200
    assert differing(docs, before) <= 2


def test_it_means_the_same_after_a_rollback(docs: Collection) -> None:
    before = passed(docs)
    moved(docs, NEW).rollback()
    assert passed(docs) == before


def test_it_means_the_same_after_the_old_vectors_are_gone(docs: Collection, places: Any) -> None:
    before = passed(docs)
    moved(docs, NEW).retire(confirm=True, force=True)
    with Collection.open(places / "docs.db", NEW) as again:
        assert differing(again, before) <= 2
        assert again.threshold_space.model == "old"


def test_it_means_the_same_after_two_migrations(docs: Collection) -> None:
    before = passed(docs)
    moved(docs, NEW).retire(confirm=True, force=True)
    third = Lifted("third", lift=3.0)
    third.space = HashEncoder(65, seed=3, name="third").space
    moved(docs, third).retire(confirm=True, force=True)
    assert differing(docs, before) <= 3


def test_a_threshold_may_say_its_space(docs: Collection) -> None:
    before = passed(docs)
    moved(docs, NEW)
    assert len(set(before) ^ set(passed(docs, Threshold(0.8, NEW.space)))) <= 2  # (1 + .6) / 2
    assert len(set(before) ^ set(passed(docs, Threshold(0.6, OLD.space)))) <= 2


def test_one_of_the_new_space_holds_before_the_cutover_as_well(docs: Collection) -> None:
    before = passed(docs)
    docs.migrate(NEW).start()
    assert passed(docs, Threshold(0.8, NEW.space), rescore=200) == before


def test_numbers_can_be_those_of_the_new_space_from_now_on(docs: Collection) -> None:
    before = passed(docs)
    moved(docs, NEW)
    docs.thresholds_in_serving_space()
    assert docs.threshold_space.model == "new"
    assert len(set(before) ^ set(passed(docs, 0.8))) <= 2


def test_a_threshold_of_an_unknown_space_is_refused(docs: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="nothing says what that is in"):
        docs.search(QUERY, threshold=Threshold(0.5, HashEncoder(8).space))


@pytest.mark.parametrize("threshold", ["0.5", float("nan"), True])
def test_something_else_is_refused(docs: Collection, threshold: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="threshold is"):
        docs.search(QUERY, threshold=threshold)
