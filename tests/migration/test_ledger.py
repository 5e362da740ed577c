from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from revector.errors import IllegalTransitionError, LedgerConflictError, MigrationError
from revector.ledger.state import TRANSITIONS, Phase
from worlds import ALIAS, NEW


def _plan(world, alias=ALIAS):
    return world.backend.ledger.plan(
        alias=alias,
        alias_version=1,
        source_generation=1,
        target_space=NEW.space,
        target_encoder_source="models/new",
        strategy={"name": "background"},
        retention_seconds=60.0,
    )


def test_a_plan_is_found_again_as_written(world):
    planned = _plan(world)
    assert world.backend.ledger.active(ALIAS) == planned == world.backend.ledger.record(planned.id)
    assert planned.target_space == NEW.space
    assert (planned.phase, planned.target_generation, planned.paused) == (Phase.PLANNED, None, False)


def test_one_migration_at_a_time_for_an_alias(world):
    _plan(world)
    with pytest.raises(LedgerConflictError, match="migration 1") as caught:
        _plan(world)
    assert caught.value.alias == ALIAS
    assert _plan(world, alias="another").id == 2


def test_a_retired_migration_makes_room_for_the_next(world):
    first = _plan(world)
    world.backend.ledger.advance(first.id, Phase.ROLLED_BACK, "rollback")
    world.backend.ledger.advance(first.id, Phase.RETIRED, "retire")
    assert _plan(world).id > first.id


def test_one_of_many_concurrent_plans_wins(world):
    outcomes = []

    def plan():
        try:
            outcomes.append(_plan(world))
        except LedgerConflictError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=plan) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert len(outcomes) == 6


def test_a_transition_writes_its_event(world):
    planned = _plan(world)
    world.backend.ledger.advance(planned.id, Phase.FILLING, "start", {"why": "because"}, target_generation=7)
    last = world.backend.ledger.events(planned.id)[-1]
    assert (last.name, last.from_phase, last.to_phase) == ("start", Phase.PLANNED, Phase.FILLING)
    assert last.details == {"why": "because"}
    assert world.backend.ledger.record(planned.id).target_generation == 7


@pytest.mark.parametrize("phase", sorted(set(Phase) - TRANSITIONS[Phase.PLANNED]))
def test_an_illegal_transition_changes_nothing(world, phase):
    planned = _plan(world)
    with pytest.raises(IllegalTransitionError):
        world.backend.ledger.advance(planned.id, phase, "leap")
    assert world.backend.ledger.record(planned.id) == planned
    assert [event.name for event in world.backend.ledger.events(planned.id)] == ["plan"]


def test_a_note_changes_no_phase(world):
    planned = _plan(world)
    assert world.backend.ledger.note(planned.id, "pause", paused=True).paused
    with pytest.raises(TypeError, match="advance"):
        world.backend.ledger.note(planned.id, "sneak", phase="serving")


def test_an_unknown_migration_is_an_error(world):
    with pytest.raises(MigrationError, match="99"):
        world.backend.ledger.record(99)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE migrations SET phase = 'unheard of'",
        "UPDATE migrations SET phase = 'filling'",
        "UPDATE migrations SET target_generation = source_generation",
        "UPDATE migrations SET phase = 'serving', target_generation = 2",
        "INSERT INTO jobs (generation, document_key, content_hash, priority, state) VALUES (1, 1, '', 1, 'leased')",
        "INSERT INTO jobs (generation, document_key, content_hash, priority, state) VALUES (1, 1, '', 1, 'failed')",
        "INSERT INTO events (migration_id, at, name, to_phase, details) VALUES (99, 0, '', 'planned', '{}')",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(world, statement):
    _plan(world)
    with closing(sqlite3.connect(world.backend.database.path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
