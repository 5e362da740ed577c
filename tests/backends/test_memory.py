from __future__ import annotations

from contextlib import closing

import pytest

from children import in_child
from revector.backends.conformance import BackendConformance
from revector.errors import ReadOnlyError, StoreError
from revector.testing.memory import ApartMemoryBackend, MemoryBackend, forget


@pytest.fixture
def backend(tmp_path):
    place = f"memory://{tmp_path}"
    with closing(MemoryBackend.open(place)) as backend:
        yield backend
    forget(place)


class TestMemory(BackendConformance):
    pass


class TestMemoryApart(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path):
        place = f"memory-apart://{tmp_path}"
        with closing(ApartMemoryBackend.open(place)) as backend:
            yield backend
        forget(place)


def test_what_was_written_is_there_after_reopening_until_it_is_forgotten(tmp_path):
    place = f"memory://{tmp_path}/docs"
    with closing(MemoryBackend.open(place)) as backend:
        written = backend.documents.upsert(["a"], ["text"])
    with closing(MemoryBackend.open(place, read_only=True)) as backend:
        assert backend.documents.by_id(["a"]) == written
    forget(place)
    assert not MemoryBackend.is_there(place)


def test_nothing_is_written_to_what_is_only_read(tmp_path):
    place = f"memory://{tmp_path}/docs"
    MemoryBackend.open(place).close()
    with closing(MemoryBackend.open(place, read_only=True)) as backend:
        for write in (
            lambda: backend.documents.upsert(["a"], ["text"]),
            lambda: backend.ledger.jobs.retry_failed(1),
            lambda: backend.transaction().__enter__(),
        ):
            with pytest.raises(ReadOnlyError):
                write()
    forget(place)


def test_a_forked_child_is_told_that_the_memory_is_its_parents(backend):
    def told():
        with pytest.raises(StoreError, match="is in the memory of process"):
            backend.documents.count()
        return True

    assert in_child(told)
