"""Chroma in a folder; its server is in test_chroma_server.py."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from revector.backends.chroma import ChromaKind
from revector.backends.chroma.payloads import KEPT, payload_of, stored_of
from revector.backends.conformance import VectorStoreConformance
from revector.errors import InvalidArgumentError, StoreError, StoreUnavailableError

chromadb = pytest.importorskip("chromadb", reason="pip install 'revector[chroma]'")


@pytest.fixture
def store(tmp_path):
    with closing(ChromaKind.connect(f"chroma://{tmp_path}/chroma")) as store:
        yield store


@pytest.fixture
def users(store):
    """A collection of an application."""
    graph = {"space": "cosine", "max_neighbors": 20, "ef_construction": 77}
    made = store._api.create_collection("users", embedding_function=None, configuration={"hnsw": graph})
    made.add(
        ids=["a", "b"],
        embeddings=np.eye(2, 4, dtype=np.float32),
        documents=["first", "second"],
        metadatas=[{"year": 2020, "tags": ["x", "y"]}, None],
    )
    return made


class TestChromaStore(VectorStoreConformance):
    pass


def test_a_users_collection_is_copied_with_its_documents_and_metadata(store, users):
    store.create("new", 8, "cosine", like="users")
    page = next(store.scan("users"))
    store.put("new", page.ids, np.ones((2, 8), np.float32), page.payloads, like="users")
    copied, source = (store._named(name).get(include=["documents", "metadatas"]) for name in ("new", "users"))
    assert [copied[name] for name in ("ids", "documents", "metadatas")] == [
        source[name] for name in ("ids", "documents", "metadatas")
    ]
    assert store.shape("new").options == {"max_neighbors": "20", "ef_construction": "77", "ef_search": "100"}


def test_what_chroma_cannot_hold_is_kept_as_json(store):
    payload = {"text": "t", "scalar": 1, "null": None, "large": 2**70, "mixed": [1, "a"], "none": [], "": 0}
    document, metadata = stored_of(payload, "text")
    assert (document, metadata["scalar"], set(metadata)) == ("t", 1, {"scalar", KEPT})
    assert payload_of(document, metadata, "text") == payload


def test_a_scan_goes_on_after_points_before_it_were_deleted(store):
    store.create("docs", 2, "cosine")
    ids = [str(place) for place in range(30)]
    store.put("docs", ids, np.ones((30, 2), np.float32), [{}] * 30)
    first = next(store.scan("docs", batch=10))
    store.delete("docs", ids[2:9])
    rest = [id_ for page in store.scan("docs", batch=10, after=first.next) for id_ in page.ids]
    assert rest == ids[10:]
    store.delete("docs", first.ids)  # the last one that was read as well
    assert [id_ for page in store.scan("docs", batch=10, after=first.next) for id_ in page.ids] == ids[10:]


def test_a_collection_gets_the_name_of_another_one_in_two_steps(store, users):
    store.create("users_rv2", 8, "cosine", like="users")
    with pytest.raises(StoreError, match="'users' already"):
        store.rename("users_rv2", "users")
    store.rename("users", "users_old")
    store.rename("users_rv2", "users")
    assert store.describe("users")["dimension"] == 8


def test_vectors_of_another_distance_are_refused(store):
    store._api.create_collection("far", embedding_function=None)
    with pytest.raises(StoreError, match="distance 'l2', expected cosine or ip"):
        store.describe("far")


def test_a_server_that_is_not_there_is_named_without_the_key(monkeypatch):
    monkeypatch.setenv("CHROMA_API_KEY", "very-secret-key")
    with pytest.raises(StoreUnavailableError, match=r"chroma://127\.0\.0\.1:9 cannot be reached") as lost:
        ChromaKind.connect("chroma://127.0.0.1:9")
    assert "very-secret" not in str(lost.value)


@pytest.mark.parametrize("wrong", ["chroma://", "chroma://me:pw@host", "chroma://host:port", "chroma:///"])
def test_a_url_that_is_not_well_formed_is_refused_without_its_password(wrong):
    with pytest.raises(InvalidArgumentError) as refused:
        ChromaKind.connect(wrong)
    assert "pw" not in str(refused.value)
