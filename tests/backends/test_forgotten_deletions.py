"""Deletions that no index has to be told of are given back, and no reader misses one, however long it was away."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from index_worlds import DIMENSION, SECONDS, BuildsHeldUp, IndexWorld, graph_files, small_graphs
from revector.backends.sqlite import SqliteBackend, reclaiming

KEPT = 8


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(reclaiming, "DELETIONS_KEPT", KEPT)
    monkeypatch.setattr(reclaiming, "ROWS_A_SLICE", 16)
    found = IndexWorld(tmp_path)
    yield found
    found.backend.close()


@pytest.fixture
def asleep(world):
    """Another process, which has the first forty documents in its view."""
    world.put_many("a", 40)
    with closing(SqliteBackend.open(world.backend.place)) as backend:
        assert found_by(world, backend) == set(world.live)
        yield backend


def found_by(world, backend):
    """Every key that a search finds."""
    return set(backend.index.search(world.generation, np.ones((1, DIMENSION), np.float32), 1000)[1][0].tolist())


def reclaim(world):
    while world.backend.reclaim():
        pass


def deletions(world):
    with world.backend.snapshot() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM tombstones").scalar_one()


@pytest.mark.parametrize("graphs", [True, False])
def test_deletions_do_not_pile_up(world, monkeypatch, graphs):
    small_graphs(monkeypatch, rest_limit=64 if graphs else 1 << 20)
    left, rounds = [], 12
    world.put(["stays"])
    for turn in range(rounds):
        world.put_many(turn, 40)
        world.delete([f"{turn}{i}" for i in range(20)])
        world.delete([f"{turn}{i}" for i in range(20, 40)])
        world.settle()
        reclaim(world)
        left.append(deletions(world))
    assert bool(graph_files(world.folder)) == graphs
    assert max(left[rounds // 2 :]) <= (KEPT + 64 if graphs else KEPT)


def test_whoever_builds_a_graph_gives_back_the_deletions_it_makes_needless(world, monkeypatch):
    small_graphs(monkeypatch)
    world.put_many("a", 100)
    for i in range(50):
        world.delete([f"a{i}"])
    world.settle()
    assert deletions(world) == KEPT


def test_deletions_that_the_graphs_have_not_taken_in_stay(world, monkeypatch):
    small_graphs(monkeypatch)
    world.put_many("a", 100)
    world.settle()
    for i in range(30):
        world.delete([f"a{i}"])
    reclaim(world)
    assert deletions(world) == 30


def test_deletions_stay_while_the_index_is_that_of_an_earlier_release(world):
    world.backend.keep_index_note(world.generation.id, "0123456789abcdef0123456789abcdef")
    world.put_many("a", 40)
    world.delete([f"a{i}" for i in range(30)])
    world.delete(["a30"])
    reclaim(world)
    assert deletions(world) == 31


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("most", [5, 39])
def test_a_process_that_was_asleep_finds_nothing_that_was_deleted(world, asleep, monkeypatch, graphs, most):
    if graphs:
        small_graphs(monkeypatch, rest_limit=32)
        world.settle()
        world.settle(asleep.index)
    for i in range(most):
        world.delete([f"a{i}"])
    world.put_many("b", 60)
    world.settle()
    reclaim(world)
    assert found_by(world, asleep) == set(world.live)
    world.settle(asleep.index)
    assert found_by(world, asleep) == set(world.live)


def test_a_process_that_was_asleep_writes_on_what_is_there(world, asleep):
    for i in range(30):
        world.delete([f"a{i}"])
    reclaim(world)
    with asleep.transaction():
        assert found_by(world, asleep) == set(world.live)
    assert found_by(world, asleep) == set(world.live)


def test_a_snapshot_from_before_finds_what_there_was(world, asleep):
    before = set(world.live)
    with asleep.snapshot():
        asleep.generations.last_seq()
        writer = threading.Thread(target=lambda: (world.delete([f"a{i}" for i in range(30)]), reclaim(world)))
        writer.start()
        writer.join(SECONDS)
        assert found_by(world, asleep) == before
    assert found_by(world, asleep) == set(world.live)


def test_vectors_of_a_moment_before_a_deletion_that_was_given_back_are_known(world):
    keys = world.put_many("a", 40)

    def delete_all():
        world.delete([f"a{i}" for i in range(40)])
        reclaim(world)
        found_by(world, backend)

    with closing(SqliteBackend.open(world.backend.place)) as backend, backend.snapshot():
        assert backend.generations.last_seq() > 0
        writer = threading.Thread(target=delete_all)
        writer.start()
        writer.join(SECONDS)
        assert backend.index.vectors(world.generation, keys)[0].all()


def test_graphs_that_end_before_deletions_that_were_given_back_are_not_trusted(world, monkeypatch, caplog):
    small_graphs(monkeypatch)
    world.put_many("a", 260)
    world.settle()
    for i in range(30):
        world.delete([f"a{i}"])
    world.put_many("b", 100)
    world.settle()
    reclaim(world)
    first, last = world.view().names
    for file in world.folder.glob(f"*{last.token}*"):
        file.unlink()
    with closing(SqliteBackend.open(world.backend.place)) as backend:
        assert found_by(world, backend) == set(world.live)
        assert [segment.name.token for segment in world.settle(backend.index).segments] != [first.token]
        assert found_by(world, backend) == set(world.live)


def test_a_first_graph_that_deletions_have_overtaken_is_built_anew(world, monkeypatch):
    small_graphs(monkeypatch)
    builds = BuildsHeldUp(monkeypatch)
    keys = world.put_many("a", 100)
    world.find(keys[0])
    assert builds.begun.wait(SECONDS)
    for i in range(30):
        world.delete([f"a{i}"])
    reclaim(world)
    builds.let_go()
    world.settle()
    with closing(SqliteBackend.open(world.backend.place)) as backend:
        assert found_by(world, backend) == set(world.live)
        view = world.settle(backend.index)
        assert (view.reason, found_by(world, backend)) == ("", set(world.live))


def test_a_backup_restored_under_a_process_knows_of_its_own_deletions_alone(world, asleep, tmp_path):
    world.delete(["a0"])
    live = set(world.live)
    world.backend.backup(tmp_path / "backup")
    for i in range(1, 30):
        world.delete([f"a{i}"])
    reclaim(world)
    assert found_by(world, asleep) == set(world.live)
    backup, place = tmp_path / "backup" / "docs.db", world.backend.place
    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(place)) as target:
        source.backup(target)
    assert found_by(world, asleep) == live


def test_nothing_is_left_of_what_a_dropped_generation_had_forgotten(world):
    world.put_many("a", 40)
    for i in range(30):
        world.delete([f"a{i}"])
    reclaim(world)
    world.backend.generations.drop(world.generation.id)
    reclaim(world)
    with world.backend.snapshot() as connection:
        names = connection.exec_driver_sql("SELECT key FROM meta").scalars().all()
    assert not [name for name in names if name.startswith(reclaiming.FORGOTTEN)]
