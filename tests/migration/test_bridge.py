from __future__ import annotations

import math
import threading
import time

import pytest

from revector.errors import NumericalError, StoreError
from revector.evaluation import best_map
from revector.mapping import LocalResidualMap, Procrustes, RidgeMap, load_map
from revector.migration.filling import bridge
from revector.migration.filling.bridge import FIRST_PAIRS, BridgeKeeper, fit_bridge, fit_map, teach_bridge
from revector.migration.strategies.background import Background
from worlds import NEW, OLD, World


@pytest.fixture
def moving(places):
    """A world of 300 documents, with its migration started in small batches."""
    world = World.create(places / "moving.db", 300)
    yield world, world.started(strategy=Background(batch=10), fit=fit_bridge)
    world.close()


@pytest.fixture
def untiring(monkeypatch):
    """A keeper that never rests between two fits."""
    monkeypatch.setattr(bridge, "_SHARE_OF_TIME", math.inf)


def _stored_map(world, source=OLD, target=NEW):
    blob = world.backend.generations.load_map(source.space.fingerprint, target.space.fingerprint)
    return None if blob is None else load_map(blob)


def _pairs(world, migration):
    """Keys of all documents that have moved, and their vectors in the old and the new space."""
    generations = world.backend.generations
    keys = generations.sample(migration.record.target_generation, 1000, 0)
    sides = (migration.record.source_generation, migration.record.target_generation)
    return keys, *(generations.vectors(side, keys)[1] for side in sides)


@pytest.mark.parametrize(("source", "target"), [(OLD, NEW), (NEW, OLD)], ids=["there", "back"])
def test_maps_lead_from_the_old_space_to_the_new_one_and_back(moving, source, target):
    world, migration = moving
    migration.run()
    mapped = _stored_map(world, source, target).transform(source.encode(["text number 5"]), space=source.space)
    assert mapped.shape == (1, target.space.dimension)


def test_the_map_is_there_before_the_migration_is(moving):
    world, migration = moving
    enough, seen = FIRST_PAIRS, []

    def landed():
        return world.backend.generations.count(migration.record.target_generation)

    def wait_for_the_map(_):
        deadline = time.monotonic() + 5
        while landed() >= enough and _stored_map(world) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append((_stored_map(world) is not None, landed()))

    assert _stored_map(world) is None
    migration.run(on_progress=wait_for_the_map)
    assert not [vectors for has_map, vectors in seen if has_map and vectors < enough]  # how much lands at first differs
    assert [has_map for has_map, vectors in seen if enough <= vectors < 300][:1] == [True]


def test_the_map_is_fitted_again_when_the_pairs_have_doubled(moving, untiring):
    world, migration = moving
    record, fits = migration.record, []
    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, _recorder(fits)) as keeper:
        for _ in range(40):
            if (fit := keeper.landed(10)) is not None:
                fit.result()
    assert len(fits) == 3  # at 70, 140 and 280 pairs


def test_maps_take_a_twentieth_of_the_time_at_most(moving):
    world, migration = moving
    record = migration.record

    def fit(backend, source, target):
        time.sleep(0.05)
        return 100

    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, fit) as keeper:
        keeper.landed(100).result()
        assert keeper.landed(1000) is None
        assert keeper._rests_until - time.monotonic() > 10 * 0.05


def test_between_two_fits_maps_learn_what_was_embedded(moving, untiring):
    world, migration = moving
    migration.run()
    record, (keys, old, new) = migration.record, _pairs(world, migration)
    fit_map(world.backend, (OLD.space, NEW.space), old[:100], new[:100])
    fit_map(world.backend, (NEW.space, OLD.space), new[:100], old[:100])
    with BridgeKeeper(world.backend, record.source_generation, record.target_generation) as keeper:
        keeper._pairs, keeper._fit_at, keeper._next = 100, 200, 125
        assert keeper.landed(20, keys[100:120].tolist()) is None
        keeper.landed(10, keys[120:130].tolist()).result()
    assert [_stored_map(world, *way).n_pairs for way in ((OLD, NEW), (NEW, OLD))] == [130, 130]


def test_a_map_learns_no_more_pairs_than_it_may_hold_and_none_whose_text_has_changed(moving, monkeypatch):
    world, migration = moving
    migration.run()
    record, (keys, old, new) = migration.record, _pairs(world, migration)
    fit_map(world.backend, (OLD.space, NEW.space), old[:100], new[:100])
    world.write({"d150": "another text"}, encoders=[OLD])
    teach_bridge(world.backend, record.source_generation, record.target_generation, keys[150:152])
    assert _stored_map(world).n_pairs == 101
    monkeypatch.setattr(bridge, "MAX_PAIRS", 110)
    teach_bridge(world.backend, record.source_generation, record.target_generation, keys[200:250])
    assert _stored_map(world).n_pairs == 110


def test_a_map_that_has_to_be_fitted_anew_learns_nothing_in_between(moving):
    world, migration = moving
    migration.run()
    record, (keys, old, new) = migration.record, _pairs(world, migration)
    kept = Procrustes(source=OLD.space, target=NEW.space).fit(old[:100], new[:100]).to_bytes()
    world.backend.generations.save_map(OLD.space.fingerprint, NEW.space.fingerprint, kept)
    teach_bridge(world.backend, record.source_generation, record.target_generation, keys[100:])
    assert world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint) == kept


def test_a_small_collection_has_what_searches_find_most_through_at_once(moving, monkeypatch):
    world, migration = moving
    monkeypatch.setattr(bridge, "quick_map", lambda *pairs, **options: RidgeMap())
    migration.run()
    assert isinstance(_stored_map(world), RidgeMap)


def test_a_young_generation_has_a_rotation_and_an_older_one_what_searches_find_most_through(moving, monkeypatch):
    world, migration = moving
    monkeypatch.setattr(bridge, "SMALL", 0)
    migration.run()
    arguments = (world.backend, migration.record.source_generation, migration.record.target_generation)
    monkeypatch.setattr(bridge, "quick_map", lambda *pairs, **options: RidgeMap())
    fit_bridge(*arguments)
    assert isinstance(_stored_map(world), Procrustes)
    monkeypatch.setattr(bridge, "THOROUGH_AFTER_SECONDS", 0.0)
    fit_bridge(*arguments)
    assert [type(_stored_map(world, *way)) for way in ((OLD, NEW), (NEW, OLD))] == [RidgeMap, RidgeMap]


def test_beyond_some_pairs_the_kind_of_map_stays_what_it_was(moving, monkeypatch):
    world, migration = moving
    migration.run()
    _, old, new = _pairs(world, migration)
    monkeypatch.setattr(best_map, "CHOSEN_ON", 250)
    kept = LocalResidualMap(source=OLD.space, target=NEW.space).fit(old, new).to_bytes()
    world.backend.generations.save_map(OLD.space.fingerprint, NEW.space.fingerprint, kept)
    monkeypatch.setattr(best_map, "_choose", None)  # nothing is chosen
    fit_map(world.backend, (OLD.space, NEW.space), old, new)
    assert isinstance(_stored_map(world), LocalResidualMap)


def test_one_of_several_processes_fits_the_map_and_another_one_when_it_has_ended(moving, untiring):
    world, migration = moving
    record, fits = migration.record, []
    arguments = (world.backend, record.source_generation, record.target_generation)
    with BridgeKeeper(*arguments, lambda *_: fits.append("second") or 100) as second:
        with BridgeKeeper(*arguments, lambda *_: fits.append("first") or 100) as first:
            first.landed(70).result()
            second.landed(70).result()
        second.landed(70).result()
    assert fits == ["first", "second"]


def test_a_ledger_that_fails_stops_nothing_but_the_map(moving, monkeypatch, caplog):
    world, migration = moving
    record, fits = migration.record, []

    def fail(*arguments):
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.backend.ledger.leases, "acquire", fail)
    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, _recorder(fits)) as keeper:
        keeper.landed(70).result()
    assert (fits, "the disk is full" in caplog.text) == ([], True)


def test_nobody_waits_for_the_map(moving):
    world, migration = moving
    record, hold = migration.record, threading.Event()

    def wait(backend, source, target):
        hold.wait(5)
        return 100

    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, wait) as keeper:
        fit = keeper.landed(1000)
        assert keeper.landed(1000) is None
        assert not fit.done()
        hold.set()


def _recorder(fits):
    def fit(backend, source, target):
        fits.append(1)
        return 100

    return fit


def test_a_map_that_can_not_be_fitted_stops_nothing(places, caplog):
    world = World.create(places / "same.db")
    world.write({f"d{place}": "always the same" for place in range(60)})

    def refuse(backend, source, target):
        raise NumericalError("rows do not vary")

    migration = world.proving(fit=refuse)
    assert migration.phase.value == "proving"
    assert "rows do not vary" in caplog.text
    world.close()


def test_pairs_are_sampled_when_there_are_many(moving, monkeypatch):
    world, migration = moving
    migration.run()
    monkeypatch.setattr(bridge, "MAX_PAIRS", 50)
    record = migration.record
    monkeypatch.setattr(bridge, "THOROUGH_AFTER_SECONDS", 0.0)
    assert fit_bridge(world.backend, record.source_generation, record.target_generation) == 50
    first = world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint)
    fit_bridge(world.backend, record.source_generation, record.target_generation)
    assert world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint) == first
    assert _stored_map(world).n_pairs == 50


def test_wide_models_have_maps_of_fewer_pairs(moving, monkeypatch):
    world, migration = moving
    migration.run()
    monkeypatch.setattr(bridge, "MAX_NUMBERS", 1000)
    assert fit_bridge(world.backend, migration.record.source_generation, migration.record.target_generation) == 50
