"""Empty texts, and texts of unknown words, under a static model, whose row for them is zero."""

from __future__ import annotations

import json

import numpy as np
import pytest

from revector import Encoder
from revector.collection import Collection
from revector.errors import RefusedDocumentsError
from revector.testing import HashEncoder

TEXTS = {f"d{i}": f"word{i} word{i + 1} common" for i in range(30)}
SILENT = {"empty": "", "spaces": " \n", "unknown": "xyzzy plugh"}


@pytest.fixture
def static(static_model):
    """A static model that knows the words of TEXTS and drops all others, as model2vec does."""
    folder = static_model("old", 16, TEXTS.values())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "model2vec"}))
    return Encoder.from_pretrained(folder)


@pytest.fixture
def collection(static, places):
    with Collection.open(places / "c.db", static) as collection:
        yield collection


def upsert(collection, texts):
    collection.upsert(list(texts), list(texts.values()))


def test_a_document_without_tokens_is_refused_by_name_and_the_others_are_stored(collection, static):
    np.testing.assert_array_equal(static.encode(list(SILENT.values())), np.zeros((3, 16)))
    with pytest.raises(RefusedDocumentsError, match="no part of the text is known to old") as caught:
        upsert(collection, {**TEXTS, **SILENT})
    assert set(caught.value.refused) == set(SILENT)
    assert {document.id for document in collection.documents([*TEXTS])} == set(TEXTS)


def test_every_document_is_found_and_none_of_those_refused(collection):
    with pytest.raises(RefusedDocumentsError):
        upsert(collection, {**SILENT, **TEXTS})
    hits = collection.search("word3", k=40)
    assert {hit.id for hit in hits} == set(TEXTS)
    assert min(hit.score for hit in hits) < 0


@pytest.mark.parametrize("query", SILENT.values())
def test_a_query_without_tokens_finds_nothing(collection, query):
    upsert(collection, TEXTS)
    assert collection.search(query, k=5) == []
    assert [len(hits) for hits in collection.search([query, "common"], k=5)] == [0, 5]


def test_a_vector_of_zeros_finds_nothing(collection, static):
    upsert(collection, TEXTS)
    assert collection.search_vector(np.zeros(16, np.float32), static.space, k=5) == []


def test_a_migration_to_a_static_model_sets_them_aside_and_finds_those_alone_that_have_no_text(static, places):
    with Collection.open(places / "c.db", HashEncoder(8)) as collection:
        upsert(collection, {**TEXTS, **SILENT})
        migration = collection.migrate(static)
        migration.start()
        migration.run()
        assert len(migration.failures()) == len(SILENT)
        assert len(collection.search("word3", k=5, rescore=5)) == 5
        migration.verify()
        migration.cutover(accept_failed=True)
        found = {hit.id: hit.text_gone for hit in collection.search("word3", k=40)}
        assert found == dict.fromkeys(TEXTS, False) | dict.fromkeys(("empty", "spaces"), True)
        assert collection.search("xyzzy", k=5) == []


def test_a_migration_from_a_static_model_searches_by_the_new_one_for_words_that_the_old_does_not_know(static, places):
    with Collection.open(places / "c.db", static) as collection:
        upsert(collection, TEXTS)
        migration = collection.migrate(HashEncoder(64))
        migration.start()
        upsert(collection, {"new": "common xyzzy"})
        assert collection.search("xyzzy", k=3)[0].id == "new"
