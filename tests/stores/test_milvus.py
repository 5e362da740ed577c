"""Milvus as a store of vectors, against a server of 2.3.5."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from milvus_own import MilvusOwn, create

from milvus_server import MilvusServer
from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.milvus import MilvusKind, MilvusStore
from revector.errors import StoreError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    yield server
    server.kill()


@pytest.fixture
def store(server):
    with closing(MilvusStore(server.place)) as store:
        for name in store.names():
            store.drop(name)
        yield store


@pytest.fixture
def client(server, store):
    from pymilvus import MilvusClient

    with closing(MilvusClient(server.place.uri)) as client:
        yield client


@pytest.fixture
def backend(server, store, tmp_path):
    with closing(MilvusKind.open(f"{server.url()}?ledger={tmp_path}/docs.db#docs")) as backend:
        yield backend


class TestMilvusBackend(BackendConformance):
    """What every backend promises, of a collection in Milvus with its ledger in a file."""


class TestMilvusStore(MilvusOwn, VectorStoreConformance):
    """What every store of vectors promises, but for one thing that this one cannot do, and what is Milvus' own."""

    text_index = "Trie"

    def test_a_long_text_comes_back_whole(self, store):
        """One that is too long is refused, and nothing is written."""
        store.create("docs", 4, "cosine")
        text = "x" * 65_000
        store.put("docs", ["1"], np.eye(4, dtype=np.float32)[:1], [{"text": text}])
        with pytest.raises(StoreError, match="65,535 bytes"):
            store.put("docs", ["1"], np.eye(4, dtype=np.float32)[:1], [{"text": "x" * 66_000}])
        assert store.read("docs", ["1"]).payloads == [{"text": text}]


def test_the_parameters_of_the_graph_are_those_of_the_other_collection(store, client):
    create(client)
    store.create("new", 7, "cosine", like="docs")
    assert store.shape("new").options == {"M": "24", "efConstruction": "123"}


def test_what_was_written_is_sealed_and_indexed_once_it_has_settled(store, client):
    n = 5_000
    store.create("docs", 64, "cosine")
    matrix = np.random.default_rng(0).standard_normal((n, 64), dtype=np.float32)
    store.put("docs", [str(place) for place in range(n)], matrix, [{}] * n)
    store.settle("docs")
    told = client.describe_index("docs", "_vector")
    assert (told["indexed_rows"], told["pending_index_rows"]) == (n, 0)
    found = [ids[0] for ids, _ in store.search("docs", matrix[:50], 1)]
    assert found == [str(place) for place in range(50)]
