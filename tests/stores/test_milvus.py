"""Milvus as a store of vectors, against a server of 2.3.5."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from milvus_server import MilvusServer
from revector.backends.conformance import VectorStoreConformance
from revector.backends.milvus.store import MilvusStore
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


class TestMilvusStore(VectorStoreConformance):
    """What every store of vectors promises, but for one thing that this one cannot do."""

    def test_a_long_text_comes_back_whole(self, store):
        """One that is too long is refused, and nothing is written."""
        store.create("docs", 4, "cosine")
        text = "x" * 65_000
        store.put("docs", ["1"], np.eye(4, dtype=np.float32)[:1], [{"text": text}])
        with pytest.raises(StoreError, match="65,535 bytes"):
            store.put("docs", ["1"], np.eye(4, dtype=np.float32)[:1], [{"text": "x" * 66_000}])
        assert store.read("docs", ["1"]).payloads == [{"text": text}]
