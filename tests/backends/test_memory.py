from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import (
    BackendConformance,
    FilterConformance,
    JobConformance,
    LeaseConformance,
    LedgerConformance,
)
from revector.testing.memory import MemoryBackend, forget


@pytest.fixture
def backend(tmp_path):
    place = f"memory://{tmp_path}"
    with closing(MemoryBackend.open(place)) as backend:
        yield backend
    forget(place)


class TestMemory(BackendConformance, FilterConformance, LedgerConformance, JobConformance, LeaseConformance):
    pass
