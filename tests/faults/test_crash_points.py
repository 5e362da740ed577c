"""A crash at every single write: before each SQL statement that writes, and before each commit, of each verb."""

from __future__ import annotations

from contextlib import suppress

import pytest

from crashing import Crash, CrashingWrites
from revector.errors import IllegalTransitionError
from revector.ledger.state import Phase
from revector.migration.asking import is_asking
from revector.migration.strategies import Background, Rollout
from revector.rollout import Arm, Evidence, Ramp
from worlds import World


def _prepared(path, phase):
    world = World.create(path, 6)
    reach = {
        Phase.PLANNED: World.plan,
        Phase.FILLING: World.started,
        Phase.PROVING: World.proving,
        Phase.SERVING: World.serving,
    }
    migration = reach[phase](world, strategy=Background(batch=3), retention_seconds=0)
    if phase is Phase.PROVING:
        migration.verify()
    world.close()


def _write(world):
    world.write({"d1": "changed", "more": "text"})


def _write_later(world):
    world.write({"d1": "changed", "more": "text"}, encoders=[])


ROLLED_OUT = (Background(batch=3), Rollout(Ramp((0.5, 1.0), min_events=1)))


def _roll_out_to_a_stop(world):
    """Show the new model to half of the readers, and see nothing but failures."""
    migration = world.active(strategies=ROLLED_OUT)
    if migration.rollout is None:
        migration.roll_out(to=0.5)
    stage = migration.rollout.stage
    seen = Evidence(Arm(500), Arm(500, errors=400))
    world.backend.ledger.observations.add(migration.record.id, stage.name, seen.to_json())
    migration.judge()


BY_RULE = Background(batch=3, priority=lambda fact: 1 + fact.key)
MANY_TRANSACTIONS = ("start", "start by a rule", "run", "retire", "a rollout", "a rollout that stops")
STEPS = {
    "start": (Phase.PLANNED, lambda world: world.active().start()),
    "start by a rule": (Phase.PLANNED, lambda world: world.active(strategies=(BY_RULE,)).start()),
    "run": (Phase.FILLING, lambda world: world.active().run()),
    "write while filling": (Phase.FILLING, _write),
    "write without models": (Phase.SERVING, _write_later),
    "delete": (Phase.SERVING, lambda world: world.delete("d1", "d2")),
    "verify": (Phase.PROVING, lambda world: world.active().verify()),
    "cutover": (Phase.PROVING, lambda world: world.active().cutover()),
    "a rollout": (Phase.PROVING, lambda world: world.active(strategies=ROLLED_OUT).roll_out()),
    "a rollout that stops": (Phase.PROVING, _roll_out_to_a_stop),
    "rollback": (Phase.SERVING, lambda world: world.active().rollback()),
    "retire": (Phase.SERVING, lambda world: world.migration(1).retire(confirm=True)),
}


def _facts(world):
    """What must change together: phase, alias, documents, generations."""
    record = world.backend.ledger.active("live")
    alias = world.backend.generations.alias("live")
    return (
        record and (record.phase, record.alias_version, record.target_generation),
        alias,
        list(world.backend.documents.ids()),
        [generation.id for generation in world.backend.generations.all()],
        len(world.backend.ledger.events(1)),
    )


def _assert_sound(world):
    """The served generation is complete, alias and phase agree, events and phase agree."""
    record = world.backend.ledger.record(1)
    assert world.served == record.serving_generation
    assert world.backend.ledger.events(1)[-1].to_phase is record.phase
    waiting = world.backend.ledger.jobs.counts(world.served).outstanding
    assert world.backend.generations.count_stale(world.served) == waiting
    for generation in world.backend.generations.all():
        found = world.backend.generations.count_stale(generation.id)
        asked = world.backend.ledger.jobs.counts(generation.id).outstanding
        assert found == asked or is_asking(world.backend, 1), "a document without a vector has no job"


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_write_leaves_a_sound_collection_and_the_step_can_be_repeated(
    places, step, monkeypatch, record_property
):
    monkeypatch.setattr("revector.backends.sqlite.reclaiming.ROWS_A_SLICE", 2)
    monkeypatch.setattr("revector.migration.asking.DOCUMENTS_A_SLICE", 2)
    monkeypatch.setattr("revector.migration.asking.REQUESTS_A_SLICE", 2)
    phase, act = STEPS[step]
    for after in range(1, 200):
        path = places / f"{after}.db"
        _prepared(path, phase)
        world = World.open(path)
        before = _facts(world)
        crashing = CrashingWrites(world.backend.database, after)
        try:
            act(world)
        except Crash:
            world.close()
        else:
            assert crashing.left > 0
            assert after > 1
            crashing.stop()
            world.close()
            record_property("moments", after - 1)
            break
        world = World.open(path)
        _assert_sound(world)
        if step not in MANY_TRANSACTIONS:
            assert _facts(world) == before
        with suppress(IllegalTransitionError):  # nothing was left to do
            act(world)
        _assert_sound(world)
        assert not is_asking(world.backend, 1)
        assert step != "retire" or not world.backend.reclaim()
        world.close()
    else:
        pytest.fail("the step never ended")
