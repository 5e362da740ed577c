"""Haystack's pipelines on a collection, in every phase of a migration."""

from __future__ import annotations

import pytest

pytest.importorskip("haystack", reason="needs haystack-ai (make test-integrations)")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream
from haystack.errors import FilterError

from phases import OLD
from revector.collection import Collection
from revector.encoders.sources import load_encoder
from revector.errors import InvalidArgumentError, NoCollectionError
from revector.integrations.haystack import RevectorDocumentStore, RevectorRetriever

pytestmark = pytest.mark.integrations
DOCUMENTS = [
    Document(id="a", content="a red tent", meta={"year": 2020, "tags": ["x"], "by": {"name": "Ada"}}),
    Document(id="b", content="a blue tent", meta={"year": 2024}),
    Document(id="c", content="the stars at night"),
]
OLD_TENTS = {"field": "meta.year", "operator": "<", "value": 2022}


@pytest.fixture
def store(collection):
    store = RevectorDocumentStore(collection)
    assert store.write_documents(DOCUMENTS) == 3
    return store


def test_documents_come_back_as_they_were(store):
    assert store.filter_documents() == DOCUMENTS


def test_a_pipeline_finds_documents_with_their_scores(store, collection):
    pipeline = Pipeline()
    pipeline.add_component("retriever", RevectorRetriever(store, top_k=2))
    found = pipeline.run({"retriever": {"query": "a red tent"}})["retriever"]["documents"]
    hits = collection.search("a red tent", 2)
    assert [(each.id, each.score) for each in found] == [(hit.id, hit.score) for hit in hits]
    assert found[0].meta == DOCUMENTS[0].meta
    filtered = {"query": "a blue tent", "filters": OLD_TENTS, "top_k": 3}
    assert [each.id for each in pipeline.run({"retriever": filtered})["retriever"]["documents"]] == ["a"]


async def test_a_pipeline_of_coroutines_finds_documents(store):
    pipeline = Pipeline()
    pipeline.add_component("retriever", RevectorRetriever(store, filters=OLD_TENTS))
    found = await pipeline.run_async({"retriever": {"query": "a blue tent"}})
    assert [each.id for each in found["retriever"]["documents"]] == ["a"]


@pytest.mark.parametrize("phase", ["serving"], indirect=True)
def test_what_is_not_a_filter_is_refused(store):
    with pytest.raises(FilterError, match="expected one of the metadata"):
        RevectorRetriever(store).run("tent", filters={"field": "content", "operator": "==", "value": "tent"})
    with pytest.raises(FilterError, match="expected a text, a number"):
        store.filter_documents({"field": "meta.year", "operator": ">", "value": [1]})


@pytest.mark.parametrize("phase", ["at rest"], indirect=True)
def test_a_document_without_a_text_is_refused(store):
    with pytest.raises(InvalidArgumentError, match=r"documents\[0\] is Document.*expected a Document with content"):
        store.write_documents([Document(blob=ByteStream(b"x"))])


def test_a_pipeline_that_was_saved_opens_the_collection_again(tmp_path, static_model):
    model = load_encoder(str(static_model("model", 16, [each.content for each in DOCUMENTS])))
    with Collection.open(tmp_path / "docs.db", model) as docs:
        store = RevectorDocumentStore(docs)
        store.write_documents(DOCUMENTS)
        pipeline = Pipeline()
        pipeline.add_component("retriever", RevectorRetriever(store, filters=OLD_TENTS, top_k=3))
        saved = pipeline.dumps()
    again = Pipeline.loads(saved, allowed_modules=["revector.integrations.haystack"])
    found = again.run({"retriever": {"query": "blue tent"}})["retriever"]["documents"]
    assert [each.id for each in found] == ["a"]
    again.get_component("retriever").document_store.collection.close()


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        saved = RevectorDocumentStore(docs).to_dict()
    saved["init_parameters"]["place"] += ".elsewhere"
    with pytest.raises(NoCollectionError):
        RevectorDocumentStore.from_dict(saved)
