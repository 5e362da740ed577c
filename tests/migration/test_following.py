"""A process that follows embeds what others write, whatever phase a migration is in, until it is told to stop."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from revector import Collection
from revector.ledger.state import Phase
from worlds import NEW, OLD, World


class Slow:
    """The new model, a fifth of a second a text."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        time.sleep(0.2 * len(texts))
        return NEW.encode(texts, kind=kind)


@pytest.fixture
def place(places):
    World.create(places / "docs.db", documents=20).close()
    return places / "docs.db"


@contextmanager
def following(place, new=NEW):
    with Collection.open(place, encoders=[OLD, new]) as docs:
        stop = threading.Event()
        thread = threading.Thread(target=docs.follow, args=(stop,))
        thread.start()
        try:
            yield docs
        finally:
            stop.set()
            thread.join()


def _comes_true(question, seconds=20.0):
    end = time.monotonic() + seconds
    while not question() and time.monotonic() < end:
        time.sleep(0.02)
    return question()


def test_a_new_generation_is_filled_and_proved(place):
    with following(place) as docs:
        migration = docs.migrate(NEW)
        migration.start()
        assert _comes_true(lambda: migration.phase is Phase.PROVING)


@pytest.mark.parametrize("phase", ["none", "proving", "serving", "rolled back", "retired"])
def test_what_is_written_without_models_is_embedded_in_every_live_generation(place, phase):
    world = World.open(place)
    if phase != "none":
        migration = world.proving(retention_seconds=0)
        if phase in ("serving", "rolled back", "retired"):
            migration.verify()
            migration.cutover()
        if phase == "rolled back":
            migration.rollback()
        if phase == "retired":
            migration.retire(confirm=True)
    with following(place):
        world.write({"d3": "another text", "more": "a new one"}, encoders=[])
        generations = [generation.id for generation in world.backend.generations.all()]
        count_stale = world.backend.generations.count_stale
        assert _comes_true(lambda: not any(count_stale(generation) for generation in generations))
    world.close()


def test_what_serves_is_kept_up_to_date_while_a_new_generation_fills(place, monkeypatch):
    monkeypatch.setattr("revector.migration.following.TURN_SECONDS", 0.2)
    world = World.open(place)
    with following(place, Slow()) as docs:
        migration = docs.migrate(Slow())
        migration.start()
        world.write({"more": "a new one"}, encoders=[])
        assert _comes_true(lambda: not world.backend.generations.count_stale(world.served))
        assert migration.phase is Phase.FILLING
    world.close()


def test_it_ends_when_it_is_told_to(place):
    began = time.monotonic()
    with following(place):
        time.sleep(0.2)
    assert time.monotonic() - began < 10
