"""Qdrant by the local mode of its client: what only a server does is not tested, for none can be obtained here."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.qdrant import QdrantKind
from revector.errors import InvalidArgumentError, StoreError, StoreUnavailableError

pytest.importorskip("qdrant_client", reason="pip install 'revector[qdrant]'")


@pytest.fixture
def store(tmp_path):
    with closing(QdrantKind.connect(f"qdrant://{tmp_path}/qdrant")) as store:
        yield store


class TestQdrantStore(VectorStoreConformance):
    pass


class TestQdrantBackend(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path):
        with closing(QdrantKind.open(f"qdrant://{tmp_path}/qdrant?ledger={tmp_path}/docs.db#docs")) as backend:
            yield backend


def test_of_several_vectors_the_one_that_is_named_is_moved_and_the_others_go_along(tmp_path):
    from qdrant_client import models

    sizes = {"body": 4, "title": 3}
    dense = {name: models.VectorParams(size=size, distance=models.Distance.DOT) for name, size in sizes.items()}
    with closing(QdrantKind.connect(f"qdrant://{tmp_path}/qdrant?vector=body")) as store:
        store._client.create_collection(
            "old", vectors_config=dense, sparse_vectors_config={"words": models.SparseVectorParams()}
        )
        words = models.SparseVector(indices=[3, 8], values=[0.5, 2.0])
        given = {"body": [1.0, 0, 0, 0], "title": [1.0, 2, 3], "words": words}
        store._client.upsert("old", [models.PointStruct(id=7, vector=given, payload={"text": "a"})])
        assert store.describe("old")["others"] == ["title", "words"]
        store.create("new", 2, "dot", like="old")
        store.put("new", ["7", "8"], np.eye(2, dtype=np.float32), [{"text": "a"}, {}], like="old")
        (found,) = store._client.retrieve("new", [7], with_vectors=True)
        assert found.vector == {"body": [1.0, 0.0], "title": [1.0, 2.0, 3.0], "words": words}
        assert store.search("new", np.eye(2, dtype=np.float32)[:1], 1) == [(["7"], [1.0])]


def test_which_of_several_vectors_is_meant_has_to_be_said(store):
    from qdrant_client import models

    params = models.VectorParams(size=4, distance=models.Distance.COSINE)
    store._client.create_collection("docs", vectors_config={"body": params, "title": params})
    with pytest.raises(StoreError, match="body, title; say which is searched: --vector NAME"):
        store.describe("docs")


def test_a_metric_that_is_not_supported_is_refused(store):
    from qdrant_client import models

    params = models.VectorParams(size=4, distance=models.Distance.EUCLID)
    store._client.create_collection("docs", vectors_config=params)
    with pytest.raises(StoreError, match="Euclid, which is not supported"):
        store.describe("docs")


def test_payload_indexes_are_made_again_and_compared(store, monkeypatch):
    """The local mode keeps none: the client says here what a server would."""
    from qdrant_client import models

    store.create("docs", 4, "cosine")
    plain, made = store._client.get_collection, []

    def described(name):
        schema = {
            "tenant": models.PayloadIndexInfo(
                data_type="keyword", params=models.KeywordIndexParams(type="keyword", is_tenant=True), points=3
            ),
            "price": models.PayloadIndexInfo(data_type="float", points=3),
        }
        return plain(name).model_copy(update={"payload_schema": schema if name == "docs" else {}})

    def note(name, field, field_schema, wait):
        made.append((name, field, getattr(field_schema, "is_tenant", field_schema), wait))

    monkeypatch.setattr(store._client, "get_collection", described)
    monkeypatch.setattr(store._client, "create_payload_index", note)
    store.create("docs_rv2", 5, "cosine", like="docs")
    assert made == [("docs_rv2", "price", models.PayloadSchemaType.FLOAT, True), ("docs_rv2", "tenant", True, True)]
    assert store.describe("docs")["indexes"] == ["tenant (keyword)", "price (float)"]
    assert store.shape("docs") != store.shape("docs_rv2")


def test_ids_that_qdrant_does_not_have_are_refused(store):
    store.create("docs", 2, "cosine")
    with pytest.raises(StoreError, match="neither a whole number nor a UUID"):
        store.put("docs", ["a name"], np.eye(2, dtype=np.float32)[:1], [{}])
    store.put("docs", ["6f9619ff-8b86-d011-b42d-00c04fc964ff"], np.eye(2, dtype=np.float32)[:1], [{}])
    assert store.read("docs", ["6f9619ff-8b86-d011-b42d-00c04fc964ff"]).ids == ["6f9619ff-8b86-d011-b42d-00c04fc964ff"]


def test_a_server_that_is_away_is_told_without_the_key(monkeypatch):
    monkeypatch.setattr("revector.backends.qdrant.store.RETRY_SECONDS", 0.1)
    monkeypatch.setenv("QDRANT_API_KEY", "hunter2-hunter2")
    with (
        closing(QdrantKind.connect("qdrant+https://127.0.0.1:9")) as store,
        pytest.raises(StoreUnavailableError, match=r"https://127\.0\.0\.1:9 cannot be reached") as caught,
    ):
        store.names()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["qdrant://", "qdrant:///", "qdrant+grpc://host", "qdrant://host?other=1", "qdrant://h:x"]
)
def test_a_url_that_names_no_qdrant_is_refused(url):
    with pytest.raises(InvalidArgumentError, match="expected qdrant://HOST:PORT"):
        QdrantKind.connect(url)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its lock open
def test_a_folder_is_used_by_one_client(store):
    with pytest.raises(StoreError, match="already accessed"):
        QdrantKind.connect(store.url)


def test_a_collection_is_described_once_and_anew_after_it_was_made_again(store, monkeypatch):
    asked, describe = [], store._client.get_collection
    monkeypatch.setattr(store._client, "get_collection", lambda name: asked.append(name) or describe(name))
    for dimension in (4, 3):
        store.create("docs", dimension, "cosine")
        for _ in range(3):
            store.put("docs", ["1"], np.eye(1, dimension, dtype=np.float32), [{}])
            assert store.search("docs", np.eye(1, dimension, dtype=np.float32), 1)[0][0] == ["1"]
        assert store.read("docs", ["1"], vectors=True).vectors.shape == (1, dimension)
        store.drop("docs")
    assert len(asked) == 2
