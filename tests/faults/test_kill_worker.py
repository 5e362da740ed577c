"""kill -9 of a worker at a random moment, twenty times in a row, then resume."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import numpy as np

from children import fork_server
from revector.backends.contracts import content_hash
from revector.migration.filling.lander import MOST_WAITING
from revector.migration.strategies.background import Background
from revector.testing import RecordingEncoder
from worlds import ALIAS, NEW, OLD, World

DOCUMENTS, BATCH, KILLS = 2000, 8, 20


class Slow:
    """The new encoder, at a pace that leaves time to be killed."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        time.sleep(0.002)
        return NEW.encode(texts, kind=kind)


def _work(path, record):
    world = World.open(path)
    world.encoders.add(RecordingEncoder(Slow(), record))
    world.active().run()
    world.close()


def _served_as_before(path, expected):
    world = World.open(path)
    found = world.vectors(world.backend.generations.alias(ALIAS).generation)
    world.close()
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(np.array([found[id_] for id_ in expected]), np.array(list(expected.values())))


def _kill_at_a_random_moment(path, record, rng):
    worker = fork_server().Process(target=_work, args=(path, record))
    done = len(record.read_bytes())
    worker.start()
    while worker.is_alive() and len(record.read_bytes()) == done:  # until it has embedded something
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.1))
    worker.kill()
    worker.join()
    assert worker.exitcode in (-signal.SIGKILL, 0)
    return worker.exitcode != 0


def test_resume_after_twenty_kills_embeds_nothing_twice_but_what_had_not_landed(tmp_path, places):
    path, record, rng = places / "world.db", tmp_path / "record", random.Random(7)
    record.touch()
    world = World.create(path, DOCUMENTS)
    world.started(strategy=Background(batch=BATCH))
    world.close()
    expected = {f"d{place}": OLD.encode([f"text number {place}"])[0] for place in range(DOCUMENTS)}

    kills = 0
    for _ in range(KILLS):
        kills += _kill_at_a_random_moment(path, record, rng)
        _served_as_before(path, expected)
    _work(path, record)

    world = World.open(path)
    world.assert_exact(world.active().record.target_generation, NEW)
    counts = Counter(record.read_text().split())
    assert counts.keys() == {content_hash(f"text number {place}") for place in range(DOCUMENTS)}
    assert sum(counts.values()) - DOCUMENTS <= kills * BATCH * (1 + MOST_WAITING)
    assert kills == KILLS, "the worker was done too early for the test to mean anything"
    assert world.backend.check() == []
    world.close()
