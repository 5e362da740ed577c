"""What a retired generation took is given back: rows, pages of the file, and its index in every process."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from worlds import NEW, OLD, World


@pytest.fixture
def serving(tmp_path):
    """A world of 3,000 documents that has moved."""
    world = World.create(tmp_path / "moved.db", 3000)
    yield world, world.serving(retention_seconds=0)
    world.close()


def _free_pages(world):
    with world.backend.snapshot() as connection:
        return connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()


def _size(world):
    with closing(sqlite3.connect(world.backend.database.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return world.backend.database.path.stat().st_size


def test_the_file_shrinks_and_its_history_goes_on(serving):
    world, migration = serving
    before, history = _size(world), world.backend.history()
    migration.retire(confirm=True)
    assert _free_pages(world) == 0
    assert _size(world) < 0.85 * before
    assert world.backend.history() == history
    assert world.backend.check() == []


def test_a_file_of_an_earlier_release_keeps_its_free_pages(serving):
    world, _ = serving
    path = world.backend.database.path
    world.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    world.backend = World.open(path).backend
    world.migration(1).retire(confirm=True)
    assert _free_pages(world) > 0


def test_another_process_lets_go_of_the_index_that_it_holds(serving, monkeypatch):
    world, migration = serving
    monkeypatch.setattr("revector.backends.local_index.local.LOOK_EVERY_SECONDS", 0.0)
    elsewhere = World.open(world.backend.database.path)
    index, generations = elsewhere.backend.index, elsewhere.backend.generations.all()
    for generation in generations:
        index.search(generation, np.ones((1, generation.space.dimension), dtype=np.float32), 1)
    migration.retire(confirm=True)
    index.search(generations[-1], np.ones((1, NEW.space.dimension), dtype=np.float32), 1)
    deadline = time.monotonic() + 10
    while len(index._indexes) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [id_ for id_, *_ in index._indexes] == [generations[-1].id]
    elsewhere.close()


def test_a_retire_that_was_cut_off_is_finished_by_the_next_run(serving, monkeypatch):
    world, migration = serving
    monkeypatch.setattr("revector.migration.ending.in_slices", lambda *_: False)
    migration.retire(confirm=True)
    monkeypatch.undo()
    with world.backend.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM vectors").scalar_one() == 6000
    world.started(encoder=OLD).run()
    with world.backend.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT DISTINCT generation FROM vectors").scalars().all() == [2, 3]
