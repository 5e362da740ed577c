"""LlamaIndex on a collection, in every phase of a migration."""

from __future__ import annotations

import pytest

pytest.importorskip("llama_index.core", reason="needs llama-index-core (make test-integrations)")

from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from revector.collection import Collection
from revector.errors import InvalidArgumentError, SpaceMismatchError
from revector.integrations.llama_index import RevectorEmbedding, RevectorVectorStore
from revector.testing import HashEncoder

pytestmark = pytest.mark.integrations


def node(id_, text, of="", **metadata):
    relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)} if of else {}
    return TextNode(id_=id_, text=text, metadata=metadata, relationships=relationships)


NODES = [
    node("a", "a red tent", of="tents", year=2020, lang="en"),
    node("b", "a red bicycle", of="bicycles", year=2022, lang="en"),
    node("c", "a blue tent", of="tents", year=2024, lang="de"),
    node("d", "the stars at night", year=None),
]


@pytest.fixture
def store(collection):
    store = RevectorVectorStore(collection)
    assert store.add(NODES) == list("abcd")
    return store


def ids(store, text="red tent", k=4, **query):
    return store.query(VectorStoreQuery(query_str=text, similarity_top_k=k, **query)).ids


def test_nodes_come_back_as_they_were(store):
    result = store.query(VectorStoreQuery(query_str="a red tent", similarity_top_k=4))
    found = dict(zip(result.ids, result.nodes, strict=True))
    assert [found[each.node_id] for each in NODES] == NODES
    assert result.similarities == sorted(result.similarities, reverse=True)
    assert store.get_nodes(["c", "nobody", "a"]) == [NODES[2], NODES[0]]


def test_the_model_is_given_what_llama_index_gives_a_model(store, collection):
    assert collection.documents(["a"])[0].text == "year: 2020\nlang: en\n\na red tent"


def test_a_node_that_changed_is_found_by_its_new_text(store):
    store.add([node("a", "an aardvark")])
    assert ids(store, "an aardvark", 1) == ["a"]
    assert store.get_nodes(["a"]) == [node("a", "an aardvark")]


def test_nodes_of_a_document_are_deleted(store):
    store.delete("tents")
    assert [each.node_id for each in store.get_nodes()] == ["b", "d"]


def test_nodes_are_deleted_by_ids_and_filters(store):
    english = where(("lang", "==", "en"))
    store.delete_nodes(["a", "c", "nobody"], english)
    assert [each.node_id for each in store.get_nodes()] == ["b", "c", "d"]
    store.delete_nodes(filters=english)
    assert [each.node_id for each in store.get_nodes()] == ["c", "d"]
    store.clear()
    assert store.get_nodes() == []


def where(*conditions, joined="and"):
    filters = [
        MetadataFilters(filters=[each])
        if isinstance(each, MetadataFilter)
        else MetadataFilter(key=each[0], operator=FilterOperator(each[1]), value=each[2])
        for each in conditions
    ]
    return MetadataFilters(filters=filters, condition=FilterCondition(joined))


@pytest.mark.parametrize("phase", ["half filled"], indirect=True)
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (where(("lang", "==", "en")), "ab"),
        (where(("lang", "!=", "en")), "cd"),
        (where(("year", ">", 2020), ("year", "<=", 2024)), "bc"),
        (where(("year", "<", 2022), ("year", ">=", 2024), joined="or"), "ac"),
        (where(("lang", "in", ["de", "fr"])), "c"),
        (where(("lang", "nin", ["de", "fr"])), "abd"),
        (where(("lang", "==", "de"), ("year", "==", 2020), joined="not"), "bd"),
        (where(MetadataFilter(key="lang", value="de")), "c"),
        (MetadataFilters(filters=[]), "abcd"),
    ],
    ids=str,
)
def test_filters_find_what_they_describe(store, filters, expected):
    assert sorted(ids(store, filters=filters)) == list(expected)
    assert [each.node_id for each in store.get_nodes(filters=filters)] == list(expected)


@pytest.mark.parametrize("phase", ["serving"], indirect=True)
@pytest.mark.parametrize("operator", ["text_match", "text_match_insensitive", "is_empty"])
def test_an_operator_that_a_collection_does_not_know_is_refused(store, operator):
    with pytest.raises(InvalidArgumentError, match=f"the operator '{operator}', expected one of =="):
        ids(store, filters=where(("lang", operator, "en")))


@pytest.mark.parametrize("phase", ["half filled"], indirect=True)
@pytest.mark.parametrize(
    ("operator", "value", "expected"), [("contains", "x", "e"), ("any", ["x", "z"], "ef"), ("all", ["y", "x"], "e")]
)
def test_lists_are_looked_into(store, operator, value, expected):
    store.add([node("e", "an ember", tags=["x", "y"]), node("f", "a flame", tags=["z"])])
    assert sorted(ids(store, filters=where(("tags", operator, value)))) == list(expected)


def test_a_name_with_a_dot_is_one_name(store):
    store.add([node("e", "an ember", **{"a.b": 1, "or": 2})])
    assert ids(store, filters=where(("a.b", "==", 1), ("or", "==", 2))) == ["e"]


def test_a_query_is_held_to_documents_and_nodes(store):
    assert sorted(ids(store, doc_ids=["tents"])) == ["a", "c"]
    assert ids(store, node_ids=["b"]) == ["b"]


def test_diverse_nodes_are_found(store):
    store.add([node("e", "a red tent", year=2020, lang="en")])
    mode = VectorStoreQueryMode.MMR
    near, diverse = ids(store, "a red tent", 2), ids(store, "a red tent", 2, mode=mode, mmr_threshold=0.2)
    assert set(near) == {"a", "e"}
    assert set(diverse) != {"a", "e"}


@pytest.mark.parametrize("phase", ["at rest"], indirect=True)
def test_another_mode_is_refused(store):
    with pytest.raises(InvalidArgumentError, match="'hybrid', expected 'default' or 'mmr'"):
        ids(store, mode=VectorStoreQueryMode.HYBRID)
    with pytest.raises(InvalidArgumentError, match="neither node_ids nor filters"):
        store.delete_nodes()


async def test_everything_is_there_for_coroutines(collection):
    store = RevectorVectorStore(collection)
    await store.async_add(NODES)
    found = await store.aquery(VectorStoreQuery(query_str="year: 2020\nlang: en\n\na red tent", similarity_top_k=1))
    assert found.nodes == [NODES[0]]
    await store.adelete("tents")
    await store.adelete_nodes(["d"])
    assert await store.aget_nodes() == [NODES[1]]
    await store.aclear()
    assert await store.aget_nodes() == []


async def test_the_embedding_is_that_of_the_model_that_serves(collection):
    model, rows = RevectorEmbedding(collection), collection.embed(["a red tent"]).vectors
    expected = rows[0].tolist()
    assert model.get_query_embedding("a red tent") == expected
    assert await model.aget_query_embedding("a red tent") == expected
    assert model.get_text_embedding_batch(["a red tent"]) == [
        collection.embed(["a red tent"], kind="document").vectors[0].tolist()
    ]
    assert await model.aget_text_embedding("a red tent") == model.get_text_embedding("a red tent")


def test_a_vector_of_the_embedding_finds_what_its_text_finds(store, collection):
    vector = RevectorEmbedding(collection).get_query_embedding("a red tent")
    assert store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=1)).ids == ["a"]
    with pytest.raises(InvalidArgumentError, match="whose space nobody knows"):
        store.query(VectorStoreQuery(query_embedding=list(vector)))


def test_documents_that_others_have_written_are_text_nodes(collection):
    collection.upsert(["x"], ["a yak"], [{"n": 1}])
    found = RevectorVectorStore(collection).get_nodes()
    assert found == [TextNode(id_="x", text="a yak", metadata={"n": 1})]


class Counting(HashEncoder):
    """Counts the documents that it embeds."""

    embedded = 0

    def encode(self, texts, *, kind="document"):
        self.embedded += len(texts) * (kind == "document")
        return super().encode(texts, kind=kind)


def test_an_index_with_a_mock_embedding_embeds_nothing_twice_and_moves(tmp_path):
    """The application's own code, unchanged, before, in and after a migration."""
    old, new = Counting(64, seed=1, name="old"), HashEncoder(96, seed=2, name="new")
    with Collection.open(tmp_path / "docs.db", old) as docs:
        known = old.embedded  # the texts by which a model is known again
        context = StorageContext.from_defaults(vector_store=RevectorVectorStore(docs))
        documents = [Document(text=text, id_=text) for text in ("a red tent", "a blue tent", "the stars at night")]
        index = VectorStoreIndex.from_documents(documents, context, embed_model=MockEmbedding(embed_dim=1))
        assert old.embedded == known + 3
        retriever, vector = index.as_retriever(similarity_top_k=1), RevectorEmbedding(docs).get_query_embedding("tent")

        def answer():
            return [each.node.ref_doc_id for each in retriever.retrieve("stars night")]

        migration = docs.migrate(new)
        for step in (migration.start, migration.run, lambda: migration.verify(sample=3), migration.cutover):
            assert answer() == ["the stars at night"]
            step()
        assert answer() == ["the stars at night"]
        asked, store = VectorStoreQuery(query_embedding=vector), RevectorVectorStore(docs)
        assert store.query(asked).ids  # its space is there until the end
        migration.retire(confirm=True, force=True)
        with pytest.raises(SpaceMismatchError):
            store.query(asked)
        index.delete_ref_doc("the stars at night")
        assert answer() != ["the stars at night"]
