"""Clocks that jump, forwards and back, while workers embed: nothing is lost, and the end is that of a steady clock."""

from __future__ import annotations

import random
import threading
import time

import pytest

from revector.ledger.state import Phase
from revector.migration.strategies import Background
from worlds import NEW, OLD, World


@pytest.fixture
def jumping(monkeypatch):
    """Let each look at the clock of the day find it up to a day ahead or behind, now and then."""
    rng, steady, lock = random.Random(3), time.time, threading.Lock()
    ahead = 0.0

    def now():
        nonlocal ahead
        with lock:
            if rng.random() < 0.05:
                ahead = rng.uniform(-86_400, 86_400)
            return steady() + ahead

    monkeypatch.setattr(time, "time", now)


def _worker(place, failures):
    world = World.open(place)
    try:
        world.active().run()
    except BaseException as error:  # is raised in the test's own thread
        failures.append(error)
    finally:
        world.close()


def test_two_workers_on_a_clock_that_jumps_embed_everything_and_the_migration_goes_there_and_back(places, jumping):
    place, failures = places / "docs.db", []
    world = World.create(place, 120)
    migration = world.started(strategy=Background(batch=4, lease_seconds=5), retention_seconds=0)
    workers = [threading.Thread(target=_worker, args=(place, failures)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for turn in range(20):
        world.write({f"d{turn}": f"changed in turn {turn}"}, encoders=[OLD])
    for worker in workers:
        worker.join(timeout=120)
    assert not failures
    migration.run()  # what was written last
    assert migration.phase is Phase.PROVING
    world.assert_exact(migration.record.target_generation, NEW)
    migration.verify()
    migration.cutover()
    world.assert_exact(world.served, NEW)
    migration.rollback()
    world.assert_exact(world.served, OLD)
    world.close()
