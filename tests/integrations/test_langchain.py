"""LangChain on a collection: scores, filters, vectors, and an application that goes on while its collection moves."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core (make test-integrations)")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from phases import OLD
from revector.collection import Collection
from revector.encoders.base import Kind
from revector.errors import InvalidArgumentError, SpaceMismatchError
from revector.integrations.langchain import RevectorEmbeddings, RevectorVectorStore
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder

pytestmark = pytest.mark.integrations
NEW = HashEncoder(96, seed=2, name="new")
TEXTS = ["a red tent", "a red bicycle", "a blue tent", "the stars at night"]


@pytest.fixture
def store(collection):
    store = RevectorVectorStore(collection)
    store.add_texts(TEXTS, [{"n": n} for n in range(4)], ids=list("abcd"))
    return store


def ids(documents):
    return [document.id for document in documents]


def test_half_of_the_documents_have_moved_where_it_says_so(collection, store, phase):
    migration = collection.migration
    share = None if migration is None else migration.status().share
    assert (0 < share < 1) if phase == "half filled" else share in (None, 0, 1)


def test_scores_are_those_of_the_collection(collection, store):
    found = store.similarity_search_with_score("a red tent", 4)
    assert [(document.id, score) for document, score in found] == [
        (hit.id, hit.score) for hit in collection.search("a red tent", 4)
    ]


def test_relevance_is_between_0_and_1_and_falls(store):
    scores = [score for _, score in store.similarity_search_with_relevance_scores("a red tent", 4)]
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0


async def test_a_threshold_leaves_out_what_is_below(store):
    assert ids(
        doc for doc, _ in store.similarity_search_with_relevance_scores("a red tent", 4, score_threshold=0.95)
    ) == ["a"]
    found = await store.asimilarity_search_with_relevance_scores("a red tent", 4, score_threshold=0.95)
    assert ids(document for document, _ in found) == ["a"]


def test_searches_are_filtered(store):
    assert ids(store.similarity_search("a red tent", filter={"n": {"$gte": 1, "$lt": 3}})) in (["b", "c"], ["c", "b"])
    assert ids(store.max_marginal_relevance_search("a red tent", 2, filter={"n": 3})) == ["d"]


def test_retrievers_find(store):
    assert ids(store.as_retriever(search_kwargs={"k": 1}).invoke("a red tent")) == ["a"]
    diverse = store.as_retriever(search_type="mmr", search_kwargs={"k": 4, "fetch_k": 4})
    assert sorted(ids(diverse.invoke("a red tent"))) == list("abcd")
    near = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.95})
    assert ids(near.invoke("a red tent")) == ["a"]


def test_a_vector_of_the_embeddings_finds_what_its_text_finds(store):
    vector = store.embeddings.embed_query("a red tent")
    assert ids(store.similarity_search_by_vector(vector, 1, filter={"n": 0})) == ["a"]


def test_metadata_come_back_as_they_were_and_are_replaced_as_a_whole(store):
    metadata = {"list": [1, "a"], "nested": {"x": None}, "a.b": 1.5}
    store.add_documents([Document(id="a", page_content="a red tent", metadata=metadata)])
    assert store.get_by_ids(["a"])[0].metadata == metadata
    store.add_texts(["a red tent"], ids=["a"])
    assert store.get_by_ids(["a"])[0].metadata == {}


def test_all_documents_are_deleted_without_ids(store, collection):
    assert store.delete()
    assert len(collection) == 0


def test_documents_are_added_to_the_collection_of_the_embeddings(collection):
    documents = [Document(id="a", page_content="a red tent"), Document(page_content="a blue tent")]
    store = RevectorVectorStore.from_documents(documents, RevectorEmbeddings(collection))
    assert store.similarity_search("a red tent", 1)[0].id == "a"
    assert len(collection) == 2


@pytest.fixture
def resting(tmp_path):
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        yield docs


def test_a_vector_from_before_the_cut_over_is_answered_until_its_space_is_gone(resting):
    store = RevectorVectorStore(resting)
    store.add_texts(TEXTS)
    vector = store.embeddings.embed_query("a red tent")
    with pytest.raises(InvalidArgumentError, match="whose space nobody knows"):
        store.similarity_search_by_vector(list(vector))
    before = store.similarity_search_by_vector(vector)
    cut_over(resting)
    assert store.similarity_search_by_vector(vector) == before
    resting.migration.retire(confirm=True, force=True)
    with pytest.raises(SpaceMismatchError):
        store.similarity_search_by_vector(vector)


def test_only_embeddings_whose_space_is_known_make_a_store():
    with pytest.raises(InvalidArgumentError, match="expected RevectorEmbeddings"):
        RevectorVectorStore.from_texts(["a"], DeterministicFakeEmbedding(size=6))


def test_an_argument_that_nobody_knows_is_refused(resting):
    store = RevectorVectorStore(resting)
    with pytest.raises(InvalidArgumentError, match="add_texts got 'namespace'"):
        store.add_texts(["a"], namespace="x")


class Unbounded(HashEncoder):
    """Vectors of any length, compared by their dot product."""

    def __init__(self):
        super().__init__(8, seed=1)
        self.space = EmbeddingSpace("long", 8, "1", normalized=False, metric="dot")

    def encode(self, texts, *, kind: Kind = "document"):
        return 3 * super().encode(texts, kind=kind)


def test_scores_without_bounds_are_not_called_relevance(tmp_path):
    with Collection.open(tmp_path / "docs.db", Unbounded()) as docs:
        store = RevectorVectorStore(docs)
        store.add_texts(TEXTS)
        assert store.similarity_search_with_score("a red tent", 1)[0][1] == pytest.approx(9, abs=1e-4)
        with pytest.raises(InvalidArgumentError, match="without bounds"):
            store.similarity_search_with_relevance_scores("a red tent")


def test_a_threshold_is_read_as_the_collection_reads_it_on_both_sides_of_a_cut_over(resting):
    store = RevectorVectorStore(resting)
    words = ["red", "blue", "tent", "bicycle", "night", "stars", "rain", "road"]
    store.add_texts([f"{one} {two} {three}" for one in words for two in words for three in words])
    for step in (lambda _: None, cut_over):
        step(resting)
        found = store.similarity_search_with_relevance_scores("red tent rain", 300, score_threshold=0.6)
        expected = resting.search("red tent rain", 300, threshold=0.6)
        assert 0 < len(found) < 300
        assert [document.id for document, _ in found] == [hit.id for hit in expected]


def cut_over(docs):
    migration = docs.migrate(NEW)
    migration.start()
    migration.run()
    assert migration.verify(sample=4).passed
    migration.cutover()
