"""A collection that moves to another store, with what it holds and nothing half-written."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import CancelledError, InvalidArgumentError, MigrationError, NoCollectionError
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
TEXTS = {f"d{n}": f"text number {n}" for n in range(1_200)}


@pytest.fixture(scope="module", params=["sqlite", "memory-beside"])
def kind(request):
    return request.param


@pytest.fixture
def docs(tmp_path):
    with Collection.open(tmp_path / "from.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()), [{"n": n, "deep": {"er": [n]}} for n in range(len(TEXTS))])
        yield docs


def contents(docs):
    """All documents by id, with their vectors."""
    backend, serving = docs._backend, docs._serving.read().serving
    found = {}
    for some in backend.documents.scan():
        keys, rows = backend.generations.vectors(serving.id, [document.key for document in some], current=True)
        vectors = dict(zip(keys.tolist(), rows.tolist(), strict=True))
        found |= {document.id: (document.text, document.metadata, vectors.get(document.key)) for document in some}
    return found


def test_documents_and_vectors_are_the_same_afterwards(docs, places):
    seen = []
    moved = docs.move(places / "to.db", on_progress=lambda done, total: seen.append((done, total)))
    assert (moved.documents, moved.written, moved.without_vector) == (1_200, 1_200, 0)
    assert seen[-1] == (1_200, 1_200)
    with Collection.open(places / "to.db", encoders=[OLD]) as there:
        assert contents(there) == contents(docs)
        assert [hit.id for hit in there.search("text number 7", k=3)] == [
            hit.id for hit in docs.search("text number 7", k=3)
        ]
    assert len(docs) == 1_200


def test_one_that_was_called_off_is_no_collection_and_goes_on(docs, places):
    stop = threading.Event()
    with pytest.raises(CancelledError):
        docs.move(places / "to.db", on_progress=lambda done, total: stop.set(), stop=stop)
    with pytest.raises(NoCollectionError):
        Collection.open(places / "to.db", encoders=[OLD])
    docs.delete(["d1"])
    docs.upsert(["d2", "new"], ["changed", "added"], [{}, {}])
    moved = docs.move(places / "to.db")
    assert (moved.documents, moved.written) == (1_200, 1_200 - 512 + 3)
    with Collection.open(places / "to.db", encoders=[OLD]) as there:
        assert contents(there) == contents(docs)


def test_it_is_refused_while_a_migration_is_under_way(docs, places):
    docs.migrate(NEW).start()
    with pytest.raises(MigrationError, match="is filling; retire it"):
        docs.move(places / "to.db")


def test_nothing_is_moved_into_a_collection(docs, places):
    with Collection.open(places / "to.db", OLD) as there:
        there.upsert(["mine"], ["my own text"])
    with pytest.raises(InvalidArgumentError, match="is a collection already"):
        docs.move(places / "to.db")


def test_documents_without_a_vector_get_one_there(docs, places):
    docs._backend.documents.upsert(["d1", "bare"], ["another text", "a text without a vector"])
    assert docs.move(places / "to.db").without_vector == 2
    with Collection.open(places / "to.db", encoders=[OLD]) as there:
        stop = threading.Event()
        run = threading.Thread(target=there.follow, args=(stop,))
        run.start()
        while there._backend.generations.count_stale(there._serving.read().serving.id):
            stop.wait(0.05)
        stop.set()
        run.join()
        np.testing.assert_array_equal(contents(there)["bare"][2], OLD.encode(["a text without a vector"])[0])


def test_a_migration_goes_on_from_the_new_place(docs, places):
    docs.move(places / "to.db")
    with Collection.open(places / "to.db", encoders=[OLD, NEW]) as there:
        migration = there.migrate(NEW)
        migration.start()
        migration.run()
        assert there._backend.generations.count_stale(migration.record.target_generation) == 0
