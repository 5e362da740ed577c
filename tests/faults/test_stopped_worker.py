"""A worker that is stopped for longer than its lease, and continued when others have done its work."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import psutil

from children import fork_server
from revector.backends.contracts import content_hash
from revector.migration.filling.lander import MOST_WAITING
from revector.migration.strategies.background import Background
from revector.testing import RecordingEncoder
from worlds import NEW, World

DOCUMENTS, BATCH, LEASE_SECONDS = 200, 8, 0.5


class StopsItself:
    """The new encoder; its process stops in the middle of the work, before what is in its hands is embedded."""

    space, source = NEW.space, None

    def __init__(self, path):
        self._calls, self._path = 0, str(path)

    def encode(self, texts, *, kind="document"):
        self._calls += 1
        if self._calls == 5:
            time.sleep(0.2)  # what is on its way lands
            if Path(self._path).is_file():  # where there is one writer, everybody would wait for its heartbeat
                with closing(sqlite3.connect(self._path, timeout=30)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
            os.kill(os.getpid(), signal.SIGSTOP)
        return NEW.encode(texts, kind=kind)


def _work(path, record, encoder):
    world = World.open(path)
    world.encoders.add(RecordingEncoder(encoder, record))
    world.active().run()
    world.close()


def _until_stopped(pid):
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


def test_what_a_stopped_worker_held_is_done_by_others_and_it_does_no_harm_later(tmp_path, places):
    path, record = places / "world.db", tmp_path / "record"
    world = World.create(path, DOCUMENTS)
    migration = world.started(strategy=Background(batch=BATCH, lease_seconds=LEASE_SECONDS))
    worker = fork_server().Process(target=_work, args=(path, record, StopsItself(path)))
    worker.start()
    _until_stopped(worker.pid)
    _work(path, record, NEW)
    world.write({"d7": "another text"}, encoders=[])
    os.kill(worker.pid, signal.SIGCONT)
    worker.join()
    migration.run()
    assert worker.exitcode == 0
    world.assert_exact(migration.record.target_generation, NEW)
    counts = Counter(record.read_text().split())
    assert counts.keys() == {
        content_hash(text) for text in [*(f"text number {i}" for i in range(DOCUMENTS)), "another text"]
    }
    assert sum(counts.values()) - len(counts) <= BATCH * (1 + MOST_WAITING)
    world.close()
