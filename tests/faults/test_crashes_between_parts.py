"""A crash at every single write where the ledger does not commit together with documents, vectors and aliases."""

from __future__ import annotations

from contextlib import suppress

import pytest
from test_crash_points import STEPS, Crash, CrashingWrites, _prepared

from revector.errors import IllegalTransitionError, MigrationError, UnknownDocumentError
from worlds import World


class CrashingParts(CrashingWrites):
    """Raises `Crash` in place of the n-th write, of the ledger or of another part."""

    def __init__(self, world, after):
        super().__init__(world.backend.database.ledger, after)
        database = world.backend.database
        self._change, database.change = database.change, self._changing

    def _changing(self, *timeout):
        self._count()
        return self._change(*timeout)


def _come_back(world, act):
    """Repeat the step, unless nothing is left of it to do, and let the work go on where there is a migration."""
    with suppress(IllegalTransitionError, UnknownDocumentError):
        act(world)
    with suppress(IllegalTransitionError):  # it serves already, or is over
        world.migration(1).start()
    with suppress(MigrationError):  # it is over
        world.migration(1).run()


def _assert_sound(world):
    """Alias and phase agree, and every document has its vector in every generation that writes reach."""
    record = world.backend.ledger.record(1)
    assert world.served == record.serving_generation
    live = {world.served, record.target_generation} & {generation.id for generation in world.backend.generations.all()}
    for generation in live:
        assert world.backend.generations.count_stale(generation) == 0
        assert world.backend.ledger.jobs.counts(generation).total == 0


@pytest.fixture(scope="module")
def kind():
    return "memory-apart"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_was_cut_off_between_two_parts_can_be_repeated(places, step, monkeypatch, record_property):
    monkeypatch.setattr("revector.migration.asking.DOCUMENTS_A_SLICE", 2)
    monkeypatch.setattr("revector.migration.asking.REQUESTS_A_SLICE", 2)
    phase, act = STEPS[step]
    for after in range(1, 200):
        _prepared(places / after, phase)
        world = World.open(places / after)
        CrashingParts(world, after)
        try:
            act(world)
        except Crash:
            world.close()
        else:
            assert after > 2
            record_property("moments", after - 1)
            return
        world = World.open(places / after)
        _come_back(world, act)
        _assert_sound(world)
        world.close()
    pytest.fail("the step never ended")
