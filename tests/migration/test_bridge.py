from __future__ import annotations

import numpy as np
import pytest

from revector.errors import NumericalError
from revector.mapping import Procrustes
from revector.migration.filling.bridge import BridgeKeeper, fit_bridge
from revector.migration.strategies.background import Background
from worlds import NEW, OLD, World


@pytest.fixture
def moving(tmp_path):
    """A world of 300 documents, with its migration started in small batches."""
    world = World.create(tmp_path / "moving.db", 300)
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
    seen = []
    migration.run(on_progress=lambda progress: seen.append((progress.done, _stored_map(world) is not None)))
    needed = 4 * NEW.space.dimension
    assert [has_map for done, has_map in seen if done < needed] == [False] * 4
    assert all(has_map for done, has_map in seen if done >= needed)


def test_the_map_is_fitted_again_when_the_pairs_have_doubled(moving):
    world, migration = moving
    record, fits = migration.record, []
    keeper = BridgeKeeper(world.backend, record.source_generation, record.target_generation, _recorder(fits))
    for _ in range(40):
        keeper.landed(10)
    assert len(fits) == 4  # at 50, 100, 200 and 400 pairs


def _recorder(fits):
    def fit(backend, source, target):
        fits.append(1)
        return 100

    return fit


def test_a_map_that_can_not_be_fitted_stops_nothing(tmp_path, caplog):
    world = World.create(tmp_path / "same.db")
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
