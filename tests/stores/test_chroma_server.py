"""Chroma's real server: what a store promises, a backend on top of it, and a server that dies in mid-batch."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from chroma_server import ChromaServer, chroma_command
from revector.backends.chroma import ChromaKind
from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.collection import Collection
from revector.errors import StoreUnavailableError
from revector.testing import HashEncoder

pytest.importorskip("chromadb", reason="pip install 'revector[chroma]'")
pytestmark = pytest.mark.skipif(chroma_command() is None, reason="there is no program 'chroma'")

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ChromaServer(tmp_path_factory.mktemp("chroma"))
    yield server
    server.kill()


@pytest.fixture
def store(server):
    with closing(ChromaKind.connect(server.url)) as store:
        for name in store.names():
            store.drop(name)
        yield store


class TestChromaStore(VectorStoreConformance):
    pass


class TestChromaBackend(BackendConformance):
    @pytest.fixture
    def backend(self, server, store, tmp_path):
        with closing(ChromaKind.open(f"{server.url}?ledger={tmp_path}/docs.db#docs")) as backend:
            yield backend


def test_a_write_outlasts_a_server_that_is_killed_and_comes_back(server, store):
    store.create("docs", 32, "cosine")
    ids, rows = [str(place) for place in range(6_000)], np.ones((6_000, 32), np.float32)
    server.kill()
    again = threading.Timer(1.5, server.start)
    again.start()
    store.put("docs", ids, rows, [{"text": id_} for id_ in ids])
    again.join()
    assert store.count("docs") == 6_000


def test_a_server_that_stays_away_is_an_error_that_says_so(server, store, monkeypatch):
    monkeypatch.setattr("revector.backends.beside.calling.OUTAGE_SECONDS", 1.0)
    server.kill()
    try:
        with pytest.raises(StoreUnavailableError, match="is the server running"):
            store.names()
    finally:
        server.start()


def test_a_migration_outlasts_a_server_that_is_killed_in_mid_batch(server, store, tmp_path):
    place = f"{server.url}?ledger={tmp_path}/docs.db#docs"
    texts = {f"d{n}": f"text number {n}" for n in range(1_500)}
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        docs.upsert(list(texts), list(texts.values()))
        migration = docs.migrate(NEW)
        migration.start()
        run = threading.Thread(target=migration.run)
        run.start()
        time.sleep(0.4)
        server.kill()
        docs.documents(["d1"])  # the ledger goes on meanwhile
        server.start()
        run.join(120)
        assert not run.is_alive()
        target = migration.record.target_generation
        vectors = docs._backend.generations
        assert (vectors.count_stale(target), vectors.count(target)) == (0, 1_500)
        keys, found = next(vectors.scan(target, batch=2_000))
        by_key = {document.key: document.text for document in docs._backend.documents.by_key(keys.tolist())}
        expected = NEW.encode([by_key[key] for key in keys.tolist()])
        np.testing.assert_allclose(found, expected, atol=1e-5)
