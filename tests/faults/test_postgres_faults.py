"""PostgreSQL killed, cut off, locked, full, restored: a run goes on by itself, or says why not, and nothing is lost."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from mortal_server import MortalServer, Network
from revector.migration.strategies.background import Background
from worlds import NEW, World

DOCUMENTS, BATCH = 400, 8
_serial = itertools.count()


class Counted:
    """The new encoder, at a pace that leaves time for mischief; knows how often it embedded each text."""

    space, source = NEW.space, None

    def __init__(self, seconds=0.02):
        self.counts, self._seconds = Counter(), seconds

    def encode(self, texts, *, kind="document"):
        time.sleep(self._seconds)
        self.counts.update(texts)
        return NEW.encode(texts, kind=kind)


@pytest.fixture(scope="module")
def server():
    server = MortalServer()
    yield server
    server.cleanup()


@pytest.fixture
def place(server):
    return f"{server.url}#n{next(_serial)}"


@contextmanager
def meanwhile(mischief, encoder):
    """Do something, again and again, once something has been embedded."""
    over, failed = threading.Event(), []

    def do():
        try:
            while not encoder.counts and not over.is_set():
                time.sleep(0.005)
            while not over.is_set():
                mischief()
                over.wait(random.uniform(0, 0.3))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failed


def once(mischief):
    def first():
        if not done:
            done.append(True)
            mischief()

    done = []
    return first


def started(place):
    world, encoder = World.create(place, DOCUMENTS), Counted()
    migration = world.started(strategy=Background(batch=BATCH))
    world.encoders.add(encoder)
    return world, migration, encoder


def assert_all_embedded_once(world, migration, encoder):
    world.assert_exact(migration.record.target_generation, NEW)
    assert set(encoder.counts.values()) == {1}
    world.close()


@pytest.mark.parametrize("end", [MortalServer.kill, MortalServer.stop_at_once])
def test_a_run_goes_on_after_the_server_was_killed_and_started_again(server, place, end):
    def restart():
        end(server)
        time.sleep(0.5)
        server.start()

    world, migration, encoder = started(place)
    with meanwhile(once(restart), encoder):
        migration.run()
    assert_all_embedded_once(world, migration, encoder)


def test_a_run_goes_on_while_its_sessions_are_terminated(server, place):
    world, migration, encoder = started(place)
    with meanwhile(server.terminate, encoder):
        migration.run()
    assert_all_embedded_once(world, migration, encoder)


def test_a_run_goes_on_while_its_connections_are_cut(server, place):
    network = Network(server.url)
    world, migration, encoder = started(place.replace(server.url, network.url))
    with meanwhile(network.cut, encoder):
        migration.run()
    assert_all_embedded_once(world, migration, encoder)
    network.close()


def test_a_commit_without_an_answer_is_done_again(server, place):
    network, rng = Network(server.url), random.Random(3)
    world, migration, encoder = started(place.replace(server.url, network.url))
    network.loses_answer = lambda sent: b"COMMIT\0" in sent and rng.random() < 0.2
    migration.run()
    assert_all_embedded_once(world, migration, encoder)
    network.close()
