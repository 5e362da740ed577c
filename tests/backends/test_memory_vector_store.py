from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from revector.backends.conformance import VectorStoreConformance
from revector.testing.memory import MemoryVectorStore

URL = "memory-store://tests"


@pytest.fixture
def store():
    with closing(MemoryVectorStore(URL)) as store:
        yield store
    MemoryVectorStore.forget(URL)


class TestMemoryVectorStore(VectorStoreConformance):
    pass


def test_other_vectors_are_taken_along(store):
    for name in ("old", "new"):
        store.create(name, 2, "cosine")
    store.put("old", ["1"], np.ones((1, 2), np.float32), [{}])
    store.give("old", "1", {"sparse": {"indices": [3], "values": [0.5]}})
    store.put("new", ["1"], np.ones((1, 2), np.float32), [{}], like="old")
    assert store.others("new", "1") == store.others("old", "1") == {"sparse": {"indices": [3], "values": [0.5]}}


def test_stores_of_one_url_share_their_collections_until_they_are_forgotten(store):
    store.create("docs", 2, "cosine")
    assert MemoryVectorStore(URL).names() == ["docs"]
    MemoryVectorStore.forget(URL)
    assert MemoryVectorStore(URL).names() == []
