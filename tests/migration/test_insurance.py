"""What is put aside while a model answers, so that another one answers once it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import EncoderError, InvalidArgumentError, MigrationError, SpaceMismatchError
from revector.testing import HashEncoder, RecordingEncoder

OLD, NEW = HashEncoder(24, seed=1, name="old"), HashEncoder(32, seed=2, name="new")
COLOURS = ("red", "green", "blue", "dark", "pale", "warm")
THINGS = ("lamp", "boat", "door", "coat", "tree", "bird", "road", "cup")
TEXTS = {
    f"{colour}-{thing}-{number}": f"{colour} {thing} number{number}"
    for number in range(10)
    for colour in COLOURS
    for thing in THINGS
}
QUERIES = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]


@pytest.fixture
def collection(places: Any) -> Iterator[Collection]:
    with Collection.open(places / "docs.db", OLD) as opened:
        opened.upsert(list(TEXTS), list(TEXTS.values()))
        yield opened


def _right(collection: Collection, **options: Any) -> float:
    """Which share of the ten best have the colour and the thing that was asked for, of which there are ten."""
    found = collection.search(QUERIES, 10, **options)
    pairs = [(asked, hit) for asked, hits in zip(QUERIES, found, strict=True) for hit in hits]
    return float(np.mean([hit.text.startswith(asked) for asked, hit in pairs]))


def test_with_the_old_model_gone_the_other_one_answers_and_says_so(collection: Collection, places: Any) -> None:
    before = _right(collection)
    collection.insure(NEW, queries=QUERIES, documents=250)
    assert {hit.degraded for hit in collection.search("red lamp")} == {None}, "the old model is still there"
    collection.close()
    with Collection.open(places / "docs.db", NEW) as opened:
        assert _right(opened, rescore=50) >= 0.95 * before
        (flag,) = {hit.degraded for hit in opened.search("red lamp", rescore=50)}
        assert flag == "the model 'old' is not at hand: its vectors are searched by mapped queries of another one"
        with pytest.raises(EncoderError, match="old"):
            opened.upsert(["fresh"], ["red lamp"])


def test_a_migration_that_is_only_planned_changes_nothing_of_that(collection: Collection, places: Any) -> None:
    collection.insure(NEW, queries=QUERIES, documents=250)
    collection.migrate(NEW)
    collection.close()
    with Collection.open(places / "docs.db", NEW) as opened:
        assert len(opened.search("red lamp", 10)) == 10


def test_without_an_insurance_another_model_is_refused(collection: Collection, places: Any) -> None:
    collection.close()
    with pytest.raises(SpaceMismatchError):
        Collection.open(places / "docs.db", NEW)


def test_it_is_measured_with_queries_and_kept(collection: Collection, places: Any) -> None:
    made = collection.insure(NEW, queries=QUERIES, documents=250)
    assert (made.model, made.pairs, made.queries, made.are_real) == ("new", 250, len(QUERIES) // 2, True)
    assert 0.1 < made.top <= made.within <= 1
    collection.close()
    with Collection.open(places / "docs.db", OLD) as opened:
        assert opened.insurance == made
        assert opened.check().insurance == made
        assert json.loads(json.dumps(opened.check().to_json()))["insurance"]["model"] == "new"


def test_beginnings_of_documents_that_are_no_pairs_stand_in_for_queries(collection: Collection) -> None:
    made = collection.insure(NEW, documents=250)
    assert (made.pairs, made.queries, made.are_real) == (250, 100, False)
    assert "beginnings of documents" in str(made)


def test_again_it_embeds_nothing_twice(collection: Collection, tmp_path: Any) -> None:
    encoder = RecordingEncoder(NEW, tmp_path / "record")
    first = collection.insure(encoder, queries=QUERIES, documents=250)
    asked = len((tmp_path / "record").read_text().splitlines())
    second = collection.insure(encoder, queries=QUERIES, documents=250)
    assert len((tmp_path / "record").read_text().splitlines()) == asked + len(QUERIES)
    assert first.generation == second.generation


def test_a_migration_to_the_other_model_begins_with_what_is_there(collection: Collection, tmp_path: Any) -> None:
    made = collection.insure(NEW, queries=QUERIES, documents=250)
    encoder = RecordingEncoder(NEW, tmp_path / "record")
    migration = collection.migrate(encoder)
    migration.start()
    migration.run()
    assert migration.record.target_generation == made.generation
    assert len((tmp_path / "record").read_text().splitlines()) == len(TEXTS) - 250
    assert migration.verify().passed
    migration.cutover()
    assert _right(collection) > 0.5


def test_another_models_insurance_takes_the_place_of_the_first(collection: Collection) -> None:
    third = HashEncoder(28, seed=3, name="third")
    first, second = (collection.insure(each, queries=QUERIES, documents=250) for each in (NEW, third))
    assert collection.insurance == second
    assert first.generation not in [generation.id for generation in collection._backend.generations.all()]


def test_what_searches_pay_for_is_kept(collection: Collection, places: Any) -> None:
    made = collection.insure(NEW, queries=QUERIES, documents=250)
    collection.close()
    with Collection.open(places / "docs.db", NEW) as opened:
        opened.search(QUERIES, 10, rescore=50)
        opened._searcher.behind.flush()
        assert opened._backend.generations.count(made.generation) > 250


def test_what_cannot_be_insured_is_refused(collection: Collection) -> None:
    with pytest.raises(MigrationError, match="already"):
        collection.insure(OLD)
    with pytest.raises(InvalidArgumentError, match="documents"):
        collection.insure(NEW, documents=10)
    with pytest.raises(InvalidArgumentError, match="queries"):
        collection.insure(NEW, queries="red lamp")
    collection.migrate(NEW)
    with pytest.raises(MigrationError, match="has a migration"):
        collection.insure(HashEncoder(28, seed=3, name="third"))


def test_a_collection_that_is_too_small_is_refused_before_anything_is_embedded(places: Any, tmp_path: Any) -> None:
    encoder = RecordingEncoder(NEW, tmp_path / "record")
    with Collection.open(places / "docs.db", OLD) as collection:
        collection.upsert(["a"], ["red lamp"])
        with pytest.raises(InvalidArgumentError, match="expected at least 200"):
            collection.insure(encoder)
    assert not (tmp_path / "record").exists()
