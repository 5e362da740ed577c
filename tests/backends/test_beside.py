from __future__ import annotations

import pytest

from revector.backends.conformance import BackendConformance
from revector.testing.memory import MemoryBesideKind, MemoryVectorStore


@pytest.fixture
def place(tmp_path):
    yield f"memory-beside://{tmp_path}?ledger={tmp_path}/docs.db#docs"
    MemoryVectorStore.forget(f"memory-beside://{tmp_path}")


@pytest.fixture
def backend(place):
    backend = MemoryBesideKind.open(place)
    yield backend
    backend.close()


class TestMemoryBeside(BackendConformance):
    pass
