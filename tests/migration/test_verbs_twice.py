"""A script that was interrupted is run again: each verb goes on, or says where the migration stands and what helps."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from revector.errors import LedgerConflictError, MigrationError
from revector.ledger.state import Phase
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder
from worlds import ALL_KINDS, NEW, World


@pytest.fixture(scope="module", params=ALL_KINDS)
def kind(request):
    return request.param


OTHER = HashEncoder(10, seed=3, name="other")


def _rolled_back(world, of=World.proving):
    migration = of(world)
    migration.rollback()
    return migration


def _verified(world):
    migration = world.proving()
    migration.verify()
    return migration


def _paused(world):
    migration = world.started()
    migration.pause()
    return migration


def _retired(world):
    migration = world.serving()
    migration.retire(confirm=True, force=True)
    return migration


STATES = {
    "planned": World.plan,
    "filling": World.started,
    "paused": _paused,
    "proving": World.proving,
    "verified": _verified,
    "serving": World.serving,
    "rolled back": _rolled_back,
    "rolled back from the plan": lambda world: _rolled_back(world, World.plan),
    "retired": _retired,
}
VERBS = {
    "start": lambda migration: migration.start(),
    "run": lambda migration: migration.run(),
    "verify": lambda migration: migration.verify(),
    "cutover": lambda migration: migration.cutover(),
    "rollback": lambda migration: migration.rollback(),
    "retire": lambda migration: migration.retire(confirm=True, force=True),
    "pause": lambda migration: migration.pause(),
    "resume": lambda migration: migration.resume(),
}


def _refusal(call):
    try:
        call()
    except MigrationError as error:
        return str(error)
    return None


def _ways_out(message):
    """Return the verbs that a message names: some that each help, or some that help one after the other."""
    remedy = message.rpartition(";")[2]
    verbs = re.findall(r"(\w+)\(", remedy)
    return [[verb] for verb in verbs] if " or " in remedy else [verbs]


def _follow(migration, verb, most=4):
    """Do a verb, after whatever its refusal recommends."""
    refusal = _refusal(lambda: VERBS[verb](migration))
    if refusal is not None:
        assert most, refusal
        for step in _ways_out(refusal)[0]:
            _follow(migration, step, most - 1)
        VERBS[verb](migration)


@pytest.fixture
def new_world(places):
    worlds = []

    def make():
        worlds.append(World.create(places / f"{len(worlds)}.db", documents=5))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", STATES)
def test_what_a_refused_verb_recommends_works(new_world, state, verb):
    refusal = _refusal(lambda: VERBS[verb](STATES[state](new_world())))
    if refusal is None or "it is over" in refusal:
        return
    for way in _ways_out(refusal):
        migration = STATES[state](new_world())
        assert way
        for step in way:
            _follow(migration, step)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", STATES)
def test_a_verb_twice_is_harmless_or_names_the_phase(new_world, state, verb):
    migration = STATES[state](new_world())
    if _refusal(lambda: VERBS[verb](migration)) is not None:
        return
    after = migration.record
    refusal = _refusal(lambda: VERBS[verb](migration))
    assert refusal is None or after.phase.value in refusal
    assert migration.phase is after.phase


@pytest.mark.parametrize("state", [state for state in STATES if state != "retired"])
def test_what_is_recommended_before_another_migration_works(new_world, state):
    world = new_world()
    migration = STATES[state](world)
    with pytest.raises(LedgerConflictError) as caught:
        world.plan(OTHER)
    for step in caught.value.steps:
        VERBS[step](migration)
    assert world.plan(OTHER).phase is Phase.PLANNED


@pytest.mark.parametrize("state", [state for state in STATES if state not in ("retired", "serving")])
def test_a_migration_to_the_same_space_goes_on(new_world, state):
    world = new_world()
    before = STATES[state](world).record
    assert world.plan(NEW).record == before


def test_the_plan_of_an_interrupted_start_takes_what_is_said_now(new_world):
    world = new_world()
    world.plan(strategy=Background(batch=3), retention_seconds=5.0)
    record = world.plan(strategy=Background(batch=7), retention_seconds=9.0).record
    assert (record.strategy["batch"], record.retention_seconds) == (7, 9.0)
    assert world.plan().record == record


def test_two_scripts_that_start_at_once_start_one_migration(new_world):
    world = new_world()
    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(lambda _: _started(world), range(4)))
    assert {(record.id, record.phase) for record in records} == {(1, Phase.FILLING)}
    assert len(world.backend.generations.all()) == 2


def _started(world):
    migration = world.plan()
    migration.start()
    return migration.record


def test_a_script_run_twice_at_any_point_ends_as_if_run_once(new_world):
    world = new_world()
    for verbs in (["start"], ["start", "run"], ["start", "run", "verify"], ["start", "run", "verify", "cutover"]):
        migration = world.plan()
        for verb in verbs:
            VERBS[verb](migration)
    world.assert_exact(world.served, NEW)
