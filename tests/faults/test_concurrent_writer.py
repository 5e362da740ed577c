"""Inserts, updates and deletes at random while the migration runs, from another process and from threads."""

from __future__ import annotations

import random
import threading
import time

import numpy as np

from children import fork_server
from revector.errors import UnknownDocumentError
from revector.ledger.state import Phase
from revector.migration.strategies.background import Background
from worlds import NEW, OLD, World


class Slow:
    """The new encoder, at a pace that leaves time for writers."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        time.sleep(0.02)
        return NEW.encode(texts, kind=kind)


def _write_at_random(world, seed, rounds, encoders=(OLD, NEW)):
    """Change a collection; embed some writes with both models, some with one, some with none."""
    rng = random.Random(seed)
    for turn in range(rounds):
        id_ = f"d{rng.randrange(260)}"
        kind = rng.random()
        if kind < 0.25:
            try:
                world.delete(id_)
            except UnknownDocumentError:
                continue
        else:
            at_hand = rng.sample(encoders, rng.randint(0, len(encoders)))
            world.write({id_: rng.choice([f"text {seed} {turn}", "a text that many share", ""])}, encoders=at_hand)
        time.sleep(rng.uniform(0, 0.004))


def _write_from_another_process(path, seed, rounds):
    world = World.open(path)
    _write_at_random(world, seed, rounds)
    world.close()


def _assert_complete(world, migration):
    world.assert_exact(migration.record.source_generation, OLD)
    world.assert_exact(migration.record.target_generation, NEW)


def test_a_writer_in_another_process_loses_nothing(places):
    path = places / "world.db"
    world = World.create(path, 200)
    migration = world.started(strategy=Background(batch=8))
    world.encoders.add(Slow())
    writer = fork_server().Process(target=_write_from_another_process, args=(path, 1, 120))
    writer.start()
    migration.run()
    writer.join()
    assert writer.exitcode == 0
    migration.run()
    assert migration.phase is Phase.PROVING
    _assert_complete(world, migration)
    world.close()


def test_writers_in_threads_lose_nothing_from_start_to_rollback(places):
    world = World.create(places / "world.db", 200)
    migration = world.plan(strategy=Background(batch=8))
    writers = [threading.Thread(target=_write_at_random, args=(world, seed, 80)) for seed in (2, 3)]
    for writer in writers:
        writer.start()
    migration.start()
    migration.run()
    for writer in writers:
        writer.join()
    migration.run()
    migration.verify()
    migration.cutover()
    _assert_complete(world, migration)
    _write_at_random(world, 4, 60)
    migration.rollback()
    world.assert_exact(world.served, OLD)
    world.close()


def test_readers_see_one_generation_or_the_other(places):
    """Flip the alias under readers: what they find through it is complete in a single space."""
    world = World.create(places / "world.db", 30)
    migration = world.serving()
    spaces = {8: OLD, 12: NEW}
    stop, errors, reads = threading.Event(), [], []

    def read():
        while not stop.is_set():
            with world.backend.snapshot():
                ((keys, vectors),) = world.backend.generations.scan(world.served)
                texts = [document.text for document in world.backend.documents.by_key(keys)]
            reads.append(vectors.shape[1])
            if not np.array_equal(vectors, spaces[vectors.shape[1]].encode(texts)):
                errors.append(vectors.shape)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(5):
        migration.rollback()
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
    stop.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert set(reads) == {8, 12}
    world.close()
