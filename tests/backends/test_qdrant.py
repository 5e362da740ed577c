"""Qdrant by the local mode of its client: what only a server does is not tested, for none can be obtained here."""

from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.qdrant import QdrantKind

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
