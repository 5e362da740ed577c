"""An index is prepared before readers are sent to its generation, and the ledger keeps what that took."""

from __future__ import annotations

import pytest

from revector.backends.contracts import Generation, IndexShape, Preparation
from revector.errors import GateRefusedError
from worlds import World


class RecordingIndexes:
    """Notes which generations it prepares, and which one readers are sent to meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[tuple[int, int]] = []

    def close(self) -> None:
        """Nothing to save."""

    def shape(self, generation: Generation) -> IndexShape:
        return IndexShape("hnsw")

    def prepare(self, generation: Generation) -> Preparation:
        self.calls.append((generation.id, self.world.served))
        return Preparation(vectors=40, built=40, seconds=0.5)


def test_an_index_is_prepared_before_readers_are_sent_to_its_generation(world: World) -> None:
    indexes = world.backend.index = RecordingIndexes(world)
    migration = world.serving()
    migration.rollback()
    old, new = migration.record.source_generation, migration.record.target_generation
    assert indexes.calls == [(new, old), (new, old), (old, new)]  # verify, cutover, rollback


def test_a_cutover_that_is_refused_prepares_nothing(world: World) -> None:
    indexes = world.backend.index = RecordingIndexes(world)
    migration = world.proving()
    with pytest.raises(GateRefusedError):
        migration.cutover()
    assert indexes.calls == []


def test_the_ledger_keeps_what_it_took(world: World) -> None:
    world.backend.index = RecordingIndexes(world)
    migration = world.serving()
    details = {event.name: event.details for event in world.backend.ledger.events(migration.record.id)}
    assert details["verify"]["details"]["index_seconds"] == 0.5
    assert details["cutover"]["index"] == {"vectors": 40, "built": 40, "seconds": 0.5}
