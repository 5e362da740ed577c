"""Milvus as a store of vectors, against Milvus Lite in this process."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from milvus_own import AXES, MilvusOwn, create, rows

from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.milvus import MilvusKind, MilvusStore
from revector.backends.milvus.places import Place
from revector.errors import StoreError

pytest.importorskip("pymilvus", reason="no client of Milvus (make test-stores installs it)")
pytest.importorskip("milvus_lite", reason="no Milvus Lite (make test-stores installs it)")


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "docs.db"))


@pytest.fixture
def store(place):
    with closing(MilvusStore(place)) as store:
        yield store


@pytest.fixture
def backend(place, tmp_path):
    with closing(MilvusKind.open(f"{place.url}?ledger={tmp_path}/ledger.db#docs")) as backend:
        yield backend


@pytest.fixture
def client(place, store):
    from pymilvus import MilvusClient

    with closing(MilvusClient(place.uri)) as client:
        yield client


class TestMilvusLiteStore(MilvusOwn, VectorStoreConformance):
    """What every store of vectors promises, and what is Milvus' own."""


class TestMilvusLiteBackend(BackendConformance):
    """What every backend promises, of a collection in a file of Milvus Lite with its ledger in another one."""


MORE = (
    ("small", "FLOAT_VECTOR", {"dim": 2}),
    ("words", "SPARSE_FLOAT_VECTOR", {}),
)
INDEXES = (
    {"field_name": "small", "index_type": "FLAT", "metric_type": "IP"},
    {"field_name": "words", "index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"},
)


def test_other_vectors_are_carried_along(store, client):
    create(client, more=MORE, indexes=INDEXES)
    client.upsert("docs", [{**rows(7)[0], "small": [1, 2], "words": {3: 0.5, 100: 1.0}}])
    assert store.describe("docs")["others"] == ["small", "words"]
    store.create("new", 7, "cosine", like="docs")
    store.put("new", ["7"], np.ones((1, 7), np.float32), [{"body": "new"}], like="docs")
    (found,) = client.query("new", filter="pk == 7", output_fields=["body", "small", "words"])
    assert (found["body"], found["small"], found["words"]) == ("new", [1, 2], {3: 0.5, 100: 1.0})


def test_of_several_vectors_the_one_that_is_chosen_is_searched(place, store, client):
    create(client, more=MORE, indexes=INDEXES)
    client.upsert("docs", [{**rows(7)[0], "small": [1, 2], "words": {3: 0.5}}])
    with closing(MilvusKind.connect(f"{place.url}?vector=small")) as chosen:
        assert (chosen.describe("docs")["dimension"], chosen.describe("docs")["others"]) == (2, ["emb", "words"])
        assert chosen.search("docs", AXES[:1, :2], 1) == [(["7"], [1.0])]
    with closing(MilvusKind.connect(f"{place.url}?vector=ghost")) as chosen, pytest.raises(StoreError, match="emb"):
        chosen.describe("docs")


def test_a_field_that_a_point_no_longer_has_is_gone(store):
    """Milvus Lite itself would keep it."""
    store.create("docs", 4, "cosine")
    store.put("docs", ["1", "2"], AXES[:2], [{"old": 1, "text": "a"}, {"text": "b"}])
    store.put("docs", ["1", "2"], AXES[:2], [{"text": "c"}, {"text": "d"}])
    page = store.read("docs", ["1", "2"])
    assert dict(zip(page.ids, page.payloads, strict=True)) == {"1": {"text": "c"}, "2": {"text": "d"}}
