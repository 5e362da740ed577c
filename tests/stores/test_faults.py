"""Redis and Milvus killed and cut off, and their workers killed at every write: nothing is lost, nothing is stale."""

from __future__ import annotations

import itertools
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from milvus_server import MilvusServer
from network import Network
from redis_server import RedisServer
from revector.errors import MigrationError, StoreUnavailableError, UnknownDocumentError
from revector.migration.strategies import Background
from worlds import NEW, OLD, World

SERVERS = {"redis": RedisServer, "milvus": MilvusServer}
DOCUMENTS = {"redis": 400, "milvus": 80}
BATCH = 8
pytestmark = pytest.mark.timeout(900)
_serial = itertools.count()


@pytest.fixture(scope="module", params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def server(kind, tmp_path_factory):
    server = SERVERS[kind](tmp_path_factory.mktemp(kind))
    yield server
    server.kill()


@pytest.fixture
def place(server, tmp_path):
    """Return a function that names a new collection, perhaps by way of another port."""

    def named(port=None):
        name = f"c{next(_serial)}"
        return f"{server.url(port)}?ledger={tmp_path}/{name}.db#{name}"

    return named


class Slow:
    """The new encoder, at a pace that leaves time for mischief."""

    space, source = NEW.space, None

    def __init__(self):
        self.has_begun = threading.Event()

    def encode(self, texts, *, kind="document"):
        time.sleep(0.02)
        self.has_begun.set()
        return NEW.encode(texts, kind=kind)


@contextmanager
def meanwhile(mischief, encoder):
    """Do something on a thread once something has been embedded, until the block ends."""
    over, failed = threading.Event(), []

    def do():
        try:
            encoder.has_begun.wait(60)
            while not over.is_set() and mischief() is not False:
                over.wait(random.uniform(0.1, 0.5))
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


def started(place, documents):
    world, encoder = World.create(place, documents), Slow()
    migration = world.started(strategy=Background(batch=BATCH))
    world.encoders.add(encoder)
    return world, migration, encoder


def assert_moved(world, migration):
    target = migration.record.target_generation
    world.assert_exact(target, NEW)
    world.assert_exact(world.served, OLD)
    for collection in world.backend.collections.values():
        assert world.backend.store.count(collection) == world.backend.documents.count()
    world.close()


def test_a_run_goes_on_after_the_server_was_killed_and_started_again(server, kind, place):
    def restart():
        server.kill()
        time.sleep(0.5)
        server.start()
        return False

    world, migration, encoder = started(place(), DOCUMENTS[kind])
    with meanwhile(restart, encoder):
        migration.run()
    assert_moved(world, migration)


def test_a_run_goes_on_while_its_connections_are_cut(server, kind, place):
    network = Network(lambda: socket.create_connection(("127.0.0.1", server.port)))
    world, migration, encoder = started(place(network.port), DOCUMENTS[kind])
    with meanwhile(network.cut, encoder):
        migration.run()
    assert_moved(world, migration)
    network.close()


def test_a_server_that_stays_away_is_told_after_a_while_and_nothing_is_changed(server, place, monkeypatch):
    monkeypatch.setattr("revector.backends.beside.calling.OUTAGE_SECONDS", 1.0)
    network = Network(lambda: socket.create_connection(("127.0.0.1", server.port)))
    world = World.create(place(network.port), 3)
    network.close()
    with pytest.raises(StoreUnavailableError, match="connection"):
        world.write({"d1": "changed"})
    assert world.backend.documents.by_id(["d1"])[0].text == "text number 1"
    world.close()


_CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from worlds import World

left = {after}

def count():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def dying(write, is_batch):
    def written(name, *arguments, **options):
        if is_batch and left == 1:  # half of a batch arrives
            half = len(arguments[0]) // 2
            write(name, *(each[:half] for each in arguments), **options)
        count()
        write(name, *arguments, **options)
        count()
    return written

world = World.open({place!r})
for name in ("create", "drop", "put", "delete", "point"):
    setattr(world.backend.store, name, dying(getattr(world.backend.store, name), name in ("put", "delete")))
{act}
world.close()
"""
_ACTS = {
    "run": (World.started, "world.active().run()"),
    "cutover": (World.proving, "world.active().verify(); world.active().cutover()"),
    "start": (World.plan, "world.active().start()"),
    "write": (World.started, "world.write({'d1': 'changed', 'more': 'text'})"),
    "delete": (World.proving, "world.delete('d1', 'd2')"),
    "retire": (World.serving, "world.migration(1).retire(confirm=True); world.backend.reclaim()"),
}


@pytest.mark.parametrize("act", _ACTS)
def test_a_worker_that_is_killed_at_any_write_leaves_what_another_one_completes(place, act):
    prepare, code = _ACTS[act]
    for after in range(1, 50):
        there = place()
        world = World.create(there, 6)
        prepare(world, strategy=Background(batch=3), retention_seconds=0)
        world.close()
        child = _CHILD.format(tests=str(Path(__file__).parents[1]), after=after, place=there, act=code)
        done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        with closing(World.open(there)) as world:
            complete(world, code)
            assert_sound(world)
        if done.returncode == 0:
            assert after > 1
            return
    pytest.fail("it never ended")


def complete(world, code):
    """Do what was cut off once more, and let the work go on."""
    with suppress(MigrationError, UnknownDocumentError):  # nothing was left to do
        exec(code, {"world": world})
    for verb in ("start", "run"):
        with suppress(MigrationError):  # it serves already, or is over
            getattr(world.migration(1), verb)()
    while world.backend.reclaim():
        pass


def assert_sound(world):
    """Every generation that is read has one vector of the present text of each document; the alias leads to it."""
    backend, record = world.backend, world.backend.ledger.record(1)
    assert world.served == record.serving_generation
    assert backend.store.aliased(backend.url.partition("#")[2]) == backend.collections[world.served]
    encoders = {encoder.space.fingerprint: encoder for encoder in (OLD, NEW)}
    for generation in backend.generations.all():
        if generation.id in (world.served, record.target_generation):
            world.assert_exact(generation.id, encoders[generation.space.fingerprint])
            assert backend.store.count(backend.collections[generation.id]) == backend.documents.count()
