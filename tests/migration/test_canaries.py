"""Canary texts: a model that gives other numbers under the same contract is noticed, and never mixed in."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.encoders import canary
from revector.encoders.base import Kind
from revector.errors import ModelChangedError, ServiceError
from revector.metrics import measured
from revector.migration import canaries
from revector.testing import HashEncoder

TEXT = ["apple tree"]


class Model(HashEncoder):
    """A model with a source, whose numbers can change behind the same contract."""

    def __init__(self, changed: float = 0.0, source: str | None = "hub/model", name: str = "model") -> None:
        super().__init__(16, seed=len(name), name=name)
        self.source, self.changed, self.asked, self.fails = source, changed, 0, False

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> Any:
        self.asked += list(texts) == list(canary.TEXTS) and kind == "query"
        if self.fails and list(texts) == list(canary.TEXTS):
            raise ServiceError("down", status=500)
        rows = super().encode(texts, kind=kind)
        return np.roll(rows, 1, axis=1) * self.changed + rows * (1 - self.changed)


@pytest.fixture
def path(places: Any) -> Any:
    with Collection.open(places / "docs.db", Model()) as collection:
        collection.upsert(["a"], TEXT)
    return places / "docs.db"


def test_a_model_that_gives_the_same_numbers_goes_on(path: Any) -> None:
    with Collection.open(path, Model(changed=1e-4)) as collection:
        collection.upsert(["b"], TEXT)
        assert len(collection.search("apple")) == 2


def test_a_model_that_changed_writes_nothing_and_says_by_how_much(path: Any) -> None:
    with Collection.open(path, Model(changed=0.3)) as collection, pytest.raises(ModelChangedError) as caught:
        collection.upsert(["b"], TEXT)
    assert (caught.value.model, caught.value.expected) == ("model", 1 - canary.TOLERANCE)
    assert f"cosine of {caught.value.similarity:.4f}" in str(caught.value)
    with Collection.open(path, Model()) as collection:
        assert collection.ids() == ["a"]


def test_a_model_that_changed_fills_no_generation(path: Any) -> None:
    with Collection.open(path, Model()) as collection:
        migration = collection.migrate(Model(name="new"))
        migration.start()
        migration.run()
        migration.rollback()
        migration.start()
    changed = Model(0.3, name="new")
    with (
        Collection.open(path, Model(), encoders=[changed]) as collection,
        pytest.raises(ModelChangedError, match="new"),
    ):
        collection.migration.run()  # type: ignore[union-attr]


def test_a_search_stores_nothing_by_a_model_that_changed(path: Any) -> None:
    with Collection.open(path, Model()) as collection:
        collection.migrate(Model(name="new")).start()
        collection.load_models()
    with Collection.open(path, Model(), encoders=[Model(0.3, name="new")]) as collection:
        collection.search("apple tree", rescore=5)
        collection._searcher.behind.flush()
        assert collection._backend.generations.count(2) == 0


def test_a_model_that_changed_its_queries_alone_is_noticed(path: Any) -> None:
    model = Model()
    encode = model.encode
    model.encode = lambda texts, *, kind="document": np.roll(encode(texts), kind == "query", axis=1)  # type: ignore[method-assign]
    with Collection.open(path, model) as collection:
        assert any("other numbers" in problem for problem in collection.check().problems)


def test_a_search_goes_on_and_says_so_once(path: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Collection.open(path, Model(changed=0.3)) as collection, caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert collection.search("apple tree")
    assert [record.levelname for record in caplog.records if "other numbers" in record.message] == ["ERROR"]


def test_a_process_asks_once(path: Any) -> None:
    model = Model()
    with Collection.open(path, model) as collection:
        for _ in range(3):
            collection.search("apple")
            collection.upsert(["b"], TEXT)
    assert model.asked == 1


def test_a_service_is_asked_once_a_day(path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Model(source="openai:model")
    for _ in range(3):
        with Collection.open(path, service) as collection:
            collection.search("apple")
    assert service.asked == 0  # the first process has just done so
    monkeypatch.setattr(canaries, "SERVICE_EVERY_SECONDS", 0.0)
    with Collection.open(path, service) as collection:
        collection.search("apple")
    assert service.asked == 1


def test_a_model_that_cannot_embed_canaries_is_used_all_the_same(path: Any) -> None:
    model = Model()
    model.fails = True
    with Collection.open(path, model) as collection:
        assert collection.search("apple")


def test_an_encoder_in_memory_is_looked_at_by_a_check_alone(places: Any) -> None:
    model = Model(source=None)
    with Collection.open(places / "other.db", model) as collection:
        collection.upsert(["a"], TEXT)
        assert model.asked == 0
        collection.check()
        assert model.asked == 1


def test_a_check_names_a_model_that_changed(path: Any) -> None:
    with Collection.open(path, Model(changed=0.3)) as collection:
        health = collection.check()
    assert any("other numbers" in problem for problem in health.problems)
    assert json.loads(json.dumps(health.to_json()))["canaries"][0]["similarity"] < 0.99


def test_what_was_found_last_is_there_for_metrics(path: Any) -> None:
    with Collection.open(path, Model(changed=0.3)) as collection:
        collection.search("apple")
        (found,) = collection.canary_similarities.values()
        (metric,) = [each for each in measured(collection) if each.name == "revector_canary_cosine"]
    assert found == metric.value < 0.99


def test_a_generation_that_was_dropped_is_measured_no_longer(path: Any) -> None:
    with Collection.open(path, Model()) as collection:
        migration = collection.migrate(Model(name="new"), retention_seconds=0)
        for step in (migration.start, migration.run, migration.verify, migration.cutover):
            step()
        migration.retire(confirm=True)
        assert collection.canary_similarities == {2: 1.0}


def test_a_collection_that_is_only_read_is_checked_too(path: Any, caplog: pytest.LogCaptureFixture) -> None:
    with Collection.open(path, Model(changed=0.3), read_only=True) as collection, caplog.at_level(logging.ERROR):
        collection.search("apple")
    assert "other numbers" in caplog.text
