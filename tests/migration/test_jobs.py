from __future__ import annotations

import pytest
import sqlalchemy as sa

from revector.backends.conformance.owners import dead_owner
from revector.backends.sqlite.queue import DIALECT
from revector.ledger.dialect import RUN
from revector.ledger.jobs import JobRequest
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead, new_owner
from revector.ledger.statements import COUNT, NEXT_DUE, SUSPECT, Statements

G = 1


def _enqueue(world, *keys):
    world.backend.ledger.jobs.enqueue(G, [JobRequest(key, "a", 4) for key in keys])


def _claimed(world, owner="me:1:1:1", limit=10, lease_seconds=60.0):
    return world.backend.ledger.jobs.claim(G, owner, limit, lease_seconds)


def test_a_process_that_ended_is_dead_and_this_one_is_not():
    assert is_dead(dead_owner())
    assert not is_dead(new_owner())


def test_a_process_id_that_was_given_away_again_is_another_owner():
    machine, pid, _, serial = new_owner().split(":")
    assert is_dead(f"{machine}:{pid}:1:{serial}")


def test_processes_of_other_machines_are_not_judged():
    _, *rest = dead_owner().split(":")
    assert not is_dead(":".join(["elsewhere", *rest]))


def test_neighbours_have_their_turn_together(world):
    _enqueue(world, *range(100 * RUN))
    claimed = {claim.document_key // RUN for claim in _claimed(world, limit=4 * RUN)}
    assert len(claimed) == 4


def test_a_lease_by_a_clock_that_is_ahead_is_said_in_the_log(world, caplog):
    _enqueue(world, 1)
    _claimed(world, lease_seconds=LONGEST_LEASE_SECONDS + 3600.0)
    _claimed(world, owner="you:1:1:1")
    assert "clock that is ahead" in caplog.text


def _leave_done(world, *keys):
    """Leave jobs as an earlier release left those that were done."""
    _enqueue(world, *keys)
    with world.backend.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'done'")


def test_what_an_earlier_release_left_as_done_does_not_count(world):
    _leave_done(world, 1, 2)
    assert world.backend.ledger.jobs.counts(G).total == 0
    assert world.backend.ledger.jobs.seconds_until_due(G) is None


def _plan(connection, run):
    """Return the steps by which SQLite takes what is executed."""
    said = []
    sa.event.listen(connection, "before_cursor_execute", lambda *call: said.append(call[2:4]))
    run()
    explain = connection.connection.driver_connection.execute
    return [row[3] for statement, values in said for row in explain(f"EXPLAIN QUERY PLAN {statement}", values)]


NUMBERS = ("of_generation", "now", "longest", "most", "until")
STATEMENTS = {
    "next": DIALECT.next,
    "leased": DIALECT.leased,
    **{name: value for name, value in vars(Statements(DIALECT)).items() if name != "forget_some"},
    "suspect": SUSPECT,
    "count": COUNT,
    "next_due": NEXT_DUE,
}
VALUES = {"keys": "[]", "hashes": "{}", "owner": "me:1:1:1", **dict.fromkeys(NUMBERS, 1)}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_no_statement_reads_the_whole_queue(world, statement):
    with world.backend.transaction() as connection:
        plan = _plan(connection, lambda: connection.execute(statement, VALUES))
    searched = [step for step in plan if " jobs " in f"{step} "]
    indexed = ("jobs_waiting (generation=? AND", "jobs_ended (generation=? AND", "jobs_by_lease (lease_until")
    narrow = (*indexed, "(generation=? AND document_key=?)")
    assert searched
    assert all(step.startswith("SEARCH") and any(part in step for part in narrow) for step in searched)


def test_no_verb_reads_the_whole_queue(world):
    jobs = world.backend.ledger.jobs

    def use_them_all():
        jobs.claim(G, "me:1:1:1", 1, 1.0)
        jobs.extend("me:1:1:1", 1.0)
        jobs.release("me:1:1:1")
        for of_generation in (jobs.failures, jobs.retry_failed, jobs.counts):
            of_generation(G)
        jobs.release_all()
        jobs.release_dead_owners()

    with world.backend.transaction() as connection:
        steps = _plan(connection, use_them_all)
    assert any("jobs_by_lease" in step for step in steps)
    assert not [step for step in steps if step.startswith("SCAN jobs")]
