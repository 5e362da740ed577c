"""PostgreSQL killed, cut off, locked, full, restored: a run goes on by itself, or says why not, and nothing is lost."""

from __future__ import annotations

import itertools
import random
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from children import elsewhere
from mortal_server import MortalServer, PostgresNetwork
from revector.errors import GateRefusedError, ReadOnlyError, StoreError, StoreUnavailableError
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
    network = PostgresNetwork(server.url)
    world, migration, encoder = started(place.replace(server.url, network.url))
    with meanwhile(network.cut, encoder):
        migration.run()
    assert_all_embedded_once(world, migration, encoder)
    network.close()


def test_a_commit_without_an_answer_is_done_again(server, place):
    network, rng = PostgresNetwork(server.url), random.Random(3)
    world, migration, encoder = started(place.replace(server.url, network.url))
    network.loses_answer = lambda sent: b"COMMIT\0" in sent and rng.random() < 0.2
    migration.run()
    assert_all_embedded_once(world, migration, encoder)
    network.close()


@contextmanager
def setting(server, name, value):
    """Set something for the whole server, sessions that are open included."""

    def apply(statement):
        server.sql(statement)
        server.sql("SELECT pg_reload_conf()")

    apply(f"ALTER SYSTEM SET {name} = '{value}'")
    try:
        yield
    finally:
        apply(f"ALTER SYSTEM RESET {name}")
        while server.sql(f"SHOW {name}") == [(value,)]:
            time.sleep(0.01)


@contextmanager
def locked(server, place, table, seconds):
    """Let somebody else hold a lock on a table for some time."""
    import psycopg

    with psycopg.connect(server.url) as connection:
        connection.execute(f"LOCK TABLE {schema_of(place)}.{table}")
        release = threading.Timer(seconds, connection.rollback)
        release.start()
        yield
        release.join()


def schema_of(place):
    return "revector_" + place.partition("#")[2]


@pytest.mark.parametrize("table", ["documents", "jobs", "vectors_2"])
def test_a_run_goes_on_after_others_held_a_lock_for_longer_than_a_statement_may_take(server, place, table):
    world, migration, encoder = started(place)
    with setting(server, "statement_timeout", "200ms"), locked(server, place, table, 0.7):
        migration.run()
    assert_all_embedded_once(world, migration, encoder)


def test_a_session_that_was_ended_while_nobody_used_it_is_made_anew(server, place):
    world = World.create(place, 3)
    with setting(server, "idle_session_timeout", "50ms"):
        time.sleep(0.3)
        assert len(world.vectors(world.served)) == 3
    world.close()


def test_a_transaction_that_the_server_found_idle_for_too_long_is_undone_and_says_so(server, place):
    def delete_slowly():
        with world.backend.transaction():
            world.delete("d1")
            time.sleep(0.8)

    idle_for_longer = pytest.raises(StoreUnavailableError, match="idle for longer")
    with setting(server, "idle_in_transaction_session_timeout", "300ms"):
        world = World.create(place, 3)
        with idle_for_longer:
            delete_slowly()
    assert len(world.vectors(world.served)) == 3
    world.close()


def test_a_writer_that_is_stopped_holds_nobody_up_for_longer_than_a_limit(server, place, monkeypatch):
    def write_and_stop():
        with stopped.backend.transaction():
            stopped.backend.documents.upsert(["d1"], ["of the one that was stopped"])
            elsewhere(lambda: other.write({"d1": "of the other"})).join(10)
            stopped.backend.documents.upsert(["d2"], ["of the one that was stopped"])

    monkeypatch.setattr("revector.backends.postgres.database.database.IDLE_SECONDS", 0.5)
    stopped, other = World.create(place, 3), World.open(place)
    with pytest.raises(StoreUnavailableError):
        write_and_stop()
    found = [document.text for batch in other.backend.documents.scan() for document in batch]
    assert found == ["text number 0", "of the other", "text number 2"]
    stopped.close()
    other.close()


def test_a_transaction_that_went_on_after_a_failed_statement_is_not_taken_for_committed(server, place):
    def delete_and_divide():
        with world.backend.transaction() as connection:
            world.delete("d1")
            with suppress(StoreError), world.backend.snapshot():
                connection.exec_driver_sql("SELECT 1 / 0")

    world = World.create(place, 3)
    with pytest.raises(StoreError, match="was undone"):
        delete_and_divide()
    world.close()


def test_a_server_that_becomes_read_only_ends_the_run_which_goes_on_later(server, place):
    world, migration, _ = started(place)
    with setting(server, "default_transaction_read_only", "on"), pytest.raises(ReadOnlyError):
        migration.run()
    migration.run()
    world.assert_exact(migration.record.target_generation, NEW)
    world.close()


@pytest.fixture
def role(server):
    """Return somebody who may do what is needed, and no more."""
    server.sql("CREATE EXTENSION IF NOT EXISTS vector; CREATE SCHEMA IF NOT EXISTS revector")
    server.sql("CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; GRANT ALL ON SCHEMA revector TO app")
    yield "app"
    server.sql("DROP OWNED BY app CASCADE; DROP ROLE app")


def test_a_permission_that_is_withdrawn_ends_the_run_which_goes_on_once_it_is_given(server, place, role):
    world, migration, _ = started(place.replace("postgres:@", f"{role}@"))
    server.sql(f"REVOKE INSERT ON {schema_of(place)}.vectors_2 FROM {role}")
    with pytest.raises(StoreError, match="permission"):
        migration.run()
    server.sql(f"GRANT INSERT ON {schema_of(place)}.vectors_2 TO {role}")
    migration.run()
    world.assert_exact(migration.record.target_generation, NEW)
    world.close()


def test_a_run_goes_on_where_there_is_one_connection_for_all_its_threads(server, place, role):
    world, migration, encoder = started(place.replace("postgres:@", f"{role}@"))
    server.sql(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    migration.run()
    assert_all_embedded_once(world, migration, encoder)


def test_without_any_connection_left_opening_says_so(server, place, role):
    server.sql(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises(StoreUnavailableError, match="no connections left"):
        World.open(place.replace("postgres:@", f"{role}@"))


@pytest.fixture
def restored(server, place):
    """Return a collection whose migration was verified, restored by a dump where transactions have lower numbers."""
    world = World.create(place, 20)
    world.proving().verify()
    world.close()
    fresh = MortalServer()
    fresh.sql("CREATE EXTENSION vector")
    assert server.sql("SELECT pg_current_xact_id()::text::int") > fresh.sql("SELECT pg_current_xact_id()::text::int")
    server.copy_to(fresh, schema_of(place))
    world = World.open(place.replace(server.url, fresh.url))
    yield world
    world.close()
    fresh.cleanup()


def test_a_collection_that_was_restored_elsewhere_is_verified_anew_and_goes_on(restored, monkeypatch):
    monkeypatch.setattr("revector.migration.gates.STALE_VERIFICATION_VECTORS", 0)
    migration, generations = restored.active(), restored.backend.generations
    with pytest.raises(GateRefusedError, match="verif"):
        migration.cutover()
    point = generations.last_seq()
    restored.write({"new": "text"})
    assert generations.count(migration.record.target_generation, since=point) == 1
    migration.verify()
    migration.cutover()
    restored.assert_exact(restored.served, NEW)


@pytest.fixture
def small_disk(server):
    """Return a database on a disk that can be filled to the last byte, and emptied."""
    folder = Path(tempfile.mkdtemp(prefix="revector-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size=64m,uid={server.uid}", "tmpfs", folder]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        folder.rmdir()
        pytest.skip("only root may mount a small disk")
    server.sql(f"CREATE TABLESPACE small LOCATION '{folder}'")
    server.sql("CREATE DATABASE small TABLESPACE small")
    yield SmallDisk(folder)
    server.sql("DROP DATABASE small WITH (FORCE)")
    server.sql("DROP TABLESPACE small")
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


class SmallDisk:
    def __init__(self, folder):
        self._filler = folder / "filler"

    def fill(self):
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))

    def empty(self):
        self._filler.unlink()


def test_a_full_disk_ends_the_run_which_goes_on_once_there_is_room(server, place, small_disk):
    world, migration, encoder = started(place.replace("/postgres?", "/small?"))
    small_disk.fill()
    with pytest.raises(StoreError, match="disk is full"):
        migration.run()
    small_disk.empty()
    migration.run()
    world.assert_exact(migration.record.target_generation, NEW)
    assert max(encoder.counts.values()) <= 2
    world.close()
