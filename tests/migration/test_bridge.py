from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from revector.errors import NumericalError, StoreError
from revector.mapping import Procrustes
from revector.migration.filling.bridge import BridgeKeeper, fit_bridge
from revector.migration.strategies.background import Background
from worlds import NEW, OLD, World


@pytest.fixture
def moving(places):
    """A world of 300 documents, with its migration started in small batches."""
    world = World.create(places / "moving.db", 300)
    yield world, world.started(strategy=Background(batch=10), fit=fit_bridge)
    world.close()


def _stored_map(world):
    blob = world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint)
    return None if blob is None else Procrustes.from_bytes(blob)


def test_the_map_leads_from_the_old_space_to_the_new_one(moving):
    world, migration = moving
    migration.run()
    fitted = _stored_map(world)
    assert fitted.diagnostics.n_pairs == 300
    mapped = fitted.transform(OLD.encode(["text number 5"]), space=OLD.space)
    assert mapped.shape == (1, NEW.space.dimension)


def test_the_map_is_there_before_the_migration_is(moving):
    world, migration = moving
    enough, seen = 4 * NEW.space.dimension, []

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


def test_the_map_is_fitted_again_when_the_pairs_have_doubled(moving):
    world, migration = moving
    record, fits = migration.record, []
    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, _recorder(fits)) as keeper:
        for _ in range(40):
            if (fit := keeper.landed(10)) is not None:
                fit.result()
    assert len(fits) == 4  # at 50, 100, 200 and 400 pairs


def test_one_of_several_processes_fits_the_map_and_another_one_when_it_has_ended(moving):
    world, migration = moving
    record, fits = migration.record, []
    arguments = (world.backend, record.source_generation, record.target_generation)
    with BridgeKeeper(*arguments, lambda *_: fits.append("second") or 100) as second:
        with BridgeKeeper(*arguments, lambda *_: fits.append("first") or 100) as first:
            first.landed(50).result()
            second.landed(50).result()
        second.landed(50).result()
    assert fits == ["first", "second"]


def test_a_ledger_that_fails_stops_nothing_but_the_map(moving, monkeypatch, caplog):
    world, migration = moving
    record, fits = migration.record, []

    def fail(*arguments):
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.backend.ledger.leases, "acquire", fail)
    with BridgeKeeper(world.backend, record.source_generation, record.target_generation, _recorder(fits)) as keeper:
        keeper.landed(50).result()
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
    monkeypatch.setattr("revector.migration.filling.bridge.MAX_PAIRS", 50)
    record = migration.record
    assert fit_bridge(world.backend, record.source_generation, record.target_generation) == 50
    first = world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint)
    fit_bridge(world.backend, record.source_generation, record.target_generation)
    assert world.backend.generations.load_map(OLD.space.fingerprint, NEW.space.fingerprint) == first
    assert np.isfinite(_stored_map(world).diagnostics.residual)
