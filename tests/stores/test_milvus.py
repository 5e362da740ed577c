"""Milvus as a store of vectors, against a server of 2.3.5."""

from __future__ import annotations

import subprocess
import sys
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


def test_the_reads_of_a_snapshot_wait_once(backend, monkeypatch):
    backend.store.create("docs_rv2", 4, "cosine")
    connection = backend.store._client._get_connection()
    told, ask = [], connection.alloc_timestamp
    monkeypatch.setattr(connection, "alloc_timestamp", lambda **options: told.append(ask(**options)) or told[-1])
    for waits in (1, 2):
        with backend.snapshot(), backend.snapshot():
            for _ in range(3):
                assert backend.store.search("docs_rv2", np.eye(4, dtype=np.float32), 3)
                assert backend.store.read("docs_rv2", ["1"]).ids == []
        assert len(told) == waits
    assert told[0] < told[1]


def test_a_scan_finds_at_once_what_another_process_has_written(server, store, client):
    """Also where the collection's own level of consistency is a weaker one."""
    create(client, consistency_level="Bounded")
    code = f"""
import sys
from pymilvus import MilvusClient
client = MilvusClient({server.place.uri!r})
for line in sys.stdin:
    client.upsert("docs", [{{"pk": int(line), "body": "", "emb": [1, 2, 3, 4]}}])
    print("written", flush=True)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as other:
        for key in range(1, 6):
            other.stdin.write(f"{key}\n")
            assert other.stdout.readline() == "written\n"
            assert [id_ for page in store.scan("docs", batch=3) for id_ in page.ids] == [str(n + 1) for n in range(key)]


def test_a_scan_is_whole_across_segments(store, client):
    n, order = 4_000, np.random.default_rng(0).permutation(4_000)
    store.create("docs", 4, "cosine")
    for part in np.split(order, 4):
        store.put("docs", [str(place) for place in part], np.ones((1_000, 4), np.float32), [{}] * 1_000)
        client.flush("docs")
    store.put("docs", [str(place) for place in order[:300]], np.ones((300, 4), np.float32), [{}] * 300)
    store.delete("docs", [str(place) for place in order[300:400]])
    found = [id_ for page in store.scan("docs", batch=700) for id_ in page.ids]
    assert len(found) == n - 100
    assert set(found) == {str(place) for place in np.delete(order, slice(300, 400))}


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
