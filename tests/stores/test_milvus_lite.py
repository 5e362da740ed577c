"""Milvus as a store of vectors, against Milvus Lite in this process."""

from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.milvus import MilvusKind, MilvusStore
from revector.backends.milvus.places import Place

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


class TestMilvusLiteStore(VectorStoreConformance):
    """What every store of vectors promises."""


class TestMilvusLiteBackend(BackendConformance):
    """What every backend promises, of a collection in a file of Milvus Lite with its ledger in another one."""
