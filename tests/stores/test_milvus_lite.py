"""Milvus as a store of vectors, against Milvus Lite in this process."""

from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import VectorStoreConformance
from revector.backends.milvus.places import Place
from revector.backends.milvus.store import MilvusStore

pytest.importorskip("pymilvus", reason="no client of Milvus (make test-stores installs it)")
pytest.importorskip("milvus_lite", reason="no Milvus Lite (make test-stores installs it)")


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "docs.db"))


@pytest.fixture
def store(place):
    with closing(MilvusStore(place)) as store:
        yield store


class TestMilvusLiteStore(VectorStoreConformance):
    """What every store of vectors promises."""
