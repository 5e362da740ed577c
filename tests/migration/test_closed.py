"""What is closed: closing it again does nothing, and using it is one error of ours, before anything is embedded."""

from __future__ import annotations

import logging
import re
import threading

import numpy as np
import pytest

from revector.backends.contracts import content_hash
from revector.backends.opening import open_backend
from revector.collection import Collection
from revector.errors import ClosedError
from revector.migration.filling.worker import Worker
from revector.testing import HashEncoder


class Counting(HashEncoder):
    sent = 0

    def encode(self, texts, *, kind="document"):
        self.sent += len(texts)
        return super().encode(texts, kind=kind)


OLD, NEW = Counting(8), Counting(12)
QUERIES, QRELS = {"q1": "text 1", "q2": "text 2"}, {"q1": {"d1": 1}, "q2": {"d2": 1}}


def _opened(path):
    docs = Collection.open(path, OLD, encoders=[NEW])
    docs.upsert(["d1", "d2"], ["text 1", "text 2"])
    docs.search("text 1")
    return docs


@pytest.fixture
def closed(places):
    docs = _opened(places / "docs.db")
    docs.migrate(NEW).start()
    docs.kept = docs.migration
    docs.worker = Worker(docs._backend, NEW, 2)
    docs.close()
    OLD.sent = NEW.sent = 0
    return docs


def test_closing_again_does_nothing(places, caplog):
    caplog.set_level(logging.INFO)
    with _opened(places / "docs.db") as docs:
        docs.close()
        caplog.clear()
        docs.close()
    assert not caplog.records


def test_two_threads_may_close(places):
    docs, errors = _opened(places / "docs.db"), []
    hook, threading.excepthook = threading.excepthook, lambda raised: errors.append(raised)
    threads = [threading.Thread(target=docs.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    threading.excepthook = hook
    assert not errors


def test_a_store_is_closed_twice(places):
    backend = open_backend(places / "docs.db")
    backend.close()
    backend.close()
    with pytest.raises(ClosedError, match=re.escape(f"{backend.place} was closed; open it again")):
        backend.documents.count()


USES = {
    "upsert": lambda docs: docs.upsert(["new"], ["a new text"]),
    "upsert of nothing": lambda docs: docs.upsert([], []),
    "delete": lambda docs: docs.delete(["d1"]),
    "documents": lambda docs: docs.documents(["d1"]),
    "info": lambda docs: docs.info(["d1"]),
    "ids": lambda docs: docs.ids(),
    "len": len,
    "search": lambda docs: docs.search("text 1"),
    "search of many": lambda docs: docs.search(["text 1", "text 2"]),
    "search_vector": lambda docs: docs.search_vector(np.ones(8), OLD.space),
    "embed": lambda docs: docs.embed(["text 1"]),
    "answering": lambda docs: docs.answering,
    "serving_space": lambda docs: docs.serving_space,
    "check": lambda docs: docs.check(),
    "prepare": lambda docs: docs.prepare(),
    "backup": lambda docs: docs.backup("backup"),
    "assess": lambda docs: docs.assess(NEW, QUERIES, QRELS),
    "migrate": lambda docs: docs.migrate(HashEncoder(16)),
    "migration": lambda docs: docs.migration,
    "status": lambda docs: docs.kept.status(),
    "failures": lambda docs: docs.kept.failures(),
    "retry_failed": lambda docs: docs.kept.retry_failed(),
    "start": lambda docs: docs.kept.start(),
    "run": lambda docs: docs.kept.run(),
    "verify": lambda docs: docs.kept.verify(),
    "cutover": lambda docs: docs.kept.cutover(),
    "rollback": lambda docs: docs.kept.rollback(),
    "retire": lambda docs: docs.kept.retire(confirm=True, force=True),
    "pause": lambda docs: docs.kept.pause(),
    "resume": lambda docs: docs.kept.resume(),
    "worker": lambda docs: docs.worker.run(),
    "transaction": lambda docs: docs._backend.transaction().__enter__(),
    "put_vectors": lambda docs: docs._backend.generations.put(1, [1], [content_hash("text 1")], np.ones((1, 8))),
    "record_access": lambda docs: docs._backend.documents.record_access([1]),
    "scan_vectors": lambda docs: next(docs._backend.generations.scan(1)),
    "alias": lambda docs: docs._backend.generations.alias("live"),
    "damage": lambda docs: docs._backend.check(),
}


@pytest.mark.parametrize("use", USES)
def test_use_after_close_is_one_error_and_embeds_nothing(closed, use):
    with pytest.raises(ClosedError) as caught:
        USES[use](closed)
    assert caught.value.path == closed._backend.place
    assert (OLD.sent, NEW.sent) == (0, 0)


def test_a_collection_that_was_closed_can_be_opened_again(closed):
    with Collection.open(closed._backend.place, OLD) as docs:
        assert docs.search("text 1")[0].id == "d1"
