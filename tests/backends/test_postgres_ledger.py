"""Claims and changes of jobs beside each other, which only PostgreSQL lets happen."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from ledger_statements import VALUES, statements
from revector.backends.conformance.owners import ME, YOU, dead_owner
from revector.backends.conformance.threads import at_once
from revector.backends.postgres.queue import DIALECT
from revector.ledger.jobs import JobRequest

G = 1


@pytest.fixture(scope="module")
def kind():
    return "postgres"


@pytest.fixture
def jobs(empty_world):
    jobs = empty_world.backend.ledger.jobs
    jobs.enqueue(G, [JobRequest(key, "a", 1) for key in range(100)])
    return jobs


@pytest.fixture
def others_hold(empty_world):
    """Return what lets somebody else lock jobs, until the test ends."""
    ended, locked = threading.Event(), threading.Event()

    def hold(condition):
        with empty_world.backend.transaction() as connection:
            connection.exec_driver_sql(f"SELECT FROM jobs WHERE {condition} FOR UPDATE")
            locked.set()
            ended.wait()

    def begin(condition):
        holder.extend([threading.Thread(target=hold, args=(condition,))])
        holder[0].start()
        locked.wait()

    holder = []
    yield begin
    ended.set()
    for thread in holder:
        thread.join()


def _claimed(jobs, owner=ME, seconds=60.0):
    return [claim.document_key for claim in jobs.claim(G, owner, 1000, seconds)]


def test_whoever_claims_waits_for_nobody(jobs, others_hold):
    others_hold("document_key < 40")
    assert sorted(_claimed(jobs)) == list(range(40, 100))


def test_whoever_claims_frees_the_leases_that_ran_out_but_those_in_hand(jobs, others_hold):
    _claimed(jobs, YOU, seconds=0.0)
    others_hold("document_key < 95")
    assert sorted(_claimed(jobs)) == list(range(95, 100))


def test_whoever_frees_the_jobs_of_the_dead_waits_for_nobody(jobs, others_hold):
    _claimed(jobs, dead_owner())
    others_hold("document_key < 40")
    assert jobs.release_dead_owners() == 60


def test_many_that_change_the_same_jobs_do_not_deadlock(jobs):
    def change(number):
        keys = sorted(range(100), reverse=number % 2)
        for _ in range(50):
            jobs.enqueue(G, [JobRequest(key, f"of {number}", 1) for key in keys])
            jobs.extend(ME, 60.0)
            jobs.complete(G, dict.fromkeys(keys[::3], f"of {number}"))
            jobs.retry_failed(G)
            jobs.settle(G, keys[::7])
            _claimed(jobs)
            jobs.release(ME)

    assert at_once(4, change) == [None] * 4


@pytest.mark.parametrize("statement", statements(DIALECT).values(), ids=statements(DIALECT))
def test_every_statement_finds_an_index(empty_world, statement):
    said = []
    with empty_world.backend.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        sa.event.listen(connection, "before_cursor_execute", lambda *call: said.append(call[2:4]))
        connection.execute(statement, VALUES)
        ask = connection.connection.driver_connection.execute
        plan = [row[0] for text, values in said for row in ask(f"EXPLAIN {text}", values)]
    assert any("on jobs" in step or "on jobs_" in step for step in plan)
    assert not [step for step in plan if "Seq Scan on jobs" in step]
