from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa

from revector.ledger import dialect
from revector.ledger.dialect import RUN
from revector.ledger.jobs import MAX_ATTEMPTS, JobRequest
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead, new_owner

G = 1


def _enqueue(world, *keys, text="a", priority=4):
    world.backend.ledger.jobs.enqueue(G, [JobRequest(key, text, priority) for key in keys])


def _claimed(world, owner="me:1:1:1", limit=10, lease_seconds=60.0):
    return world.backend.ledger.jobs.claim(G, owner, limit, lease_seconds)


def test_claims_come_in_the_order_of_priority(world):
    _enqueue(world, 1, 2, priority=4)
    _enqueue(world, 3, priority=0)
    assert [claim.document_key for claim in _claimed(world, limit=2)] == [3, 1]
    assert [claim.document_key for claim in _claimed(world)] == [2]


def test_a_leased_job_is_not_claimed_twice(world):
    _enqueue(world, 1)
    assert _claimed(world)
    assert not _claimed(world, owner="you:1:1:1")


def test_a_lease_runs_out(world):
    _enqueue(world, 1)
    _claimed(world, lease_seconds=0.0)
    assert _claimed(world, owner="you:1:1:1")


def test_a_heartbeat_lengthens_the_lease(world):
    _enqueue(world, 1)
    _claimed(world, lease_seconds=0.0)
    world.backend.ledger.jobs.extend("me:1:1:1", 60.0)
    assert not _claimed(world, owner="you:1:1:1")


def test_completion_counts_whoever_holds_the_lease(world):
    _enqueue(world, 1)
    _claimed(world, lease_seconds=0.0)
    _claimed(world, owner="you:1:1:1")
    assert world.backend.ledger.jobs.complete(G, {1: "a"}) == 1
    assert world.backend.ledger.jobs.complete(G, {1: "a"}) == 0
    assert world.backend.ledger.jobs.counts(G).total == 0


def test_completion_of_an_old_text_changes_nothing(world):
    _enqueue(world, 1)
    _claimed(world)
    _enqueue(world, 1, text="newer")
    assert world.backend.ledger.jobs.complete(G, {1: "a"}) == 0
    assert [claim.content_hash for claim in _claimed(world)] == ["newer"]


def test_asking_again_for_the_same_text_leaves_a_running_job_alone(world):
    _enqueue(world, 1)
    _claimed(world)
    _enqueue(world, 1)
    assert world.backend.ledger.jobs.counts(G).leased == 1


def test_asking_again_for_a_done_job_reopens_it(world):
    _enqueue(world, 1)
    world.backend.ledger.jobs.complete(G, {1: "a"})
    _enqueue(world, 1)
    assert world.backend.ledger.jobs.counts(G).pending == 1


def _fail(world, times):
    for _ in range(times):
        (claim,) = _claimed(world)
        world.backend.ledger.jobs.fail(claim, "me:1:1:1", f"broken after {claim.attempts} attempts")


def test_a_failing_job_is_tried_three_times_then_listed(world, monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)
    _enqueue(world, 1)
    _fail(world, MAX_ATTEMPTS)
    assert not _claimed(world)
    (failure,) = world.backend.ledger.jobs.failures(G)
    assert (failure.document_key, failure.attempts, failure.error) == (1, MAX_ATTEMPTS, "broken after 2 attempts")


def test_a_failed_job_is_left_alone_until_it_is_retried_or_the_text_changes(world, monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)
    _enqueue(world, 1)
    _fail(world, MAX_ATTEMPTS)
    _enqueue(world, 1)
    assert world.backend.ledger.jobs.counts(G).failed == 1
    assert world.backend.ledger.jobs.retry_failed(G) == 1
    _fail(world, MAX_ATTEMPTS)
    _enqueue(world, 1, text="newer")
    assert [claim.attempts for claim in _claimed(world)] == [0]


def test_an_attempt_that_failed_waits_before_the_next(world):
    _enqueue(world, 1)
    _fail(world, 1)
    assert not _claimed(world)
    assert 0 < world.backend.ledger.jobs.seconds_until_due(G) <= 0.5


def test_whoever_lost_the_lease_can_not_fail_the_job(world):
    _enqueue(world, 1)
    (claim,) = _claimed(world, lease_seconds=0.0)
    _claimed(world, owner="you:1:1:1")
    world.backend.ledger.jobs.fail(claim, "me:1:1:1", "too late")
    assert world.backend.ledger.jobs.counts(G).leased == 1


def test_postponed_jobs_come_later_without_an_attempt(world):
    _enqueue(world, *range(1, 1201))
    claims = _claimed(world, limit=2000)
    world.backend.ledger.jobs.postpone(claims[:600], "me:1:1:1", 60.0)
    world.backend.ledger.jobs.postpone(claims[600:], "me:1:1:1", 0.0)
    assert [claim.attempts for claim in _claimed(world, limit=2000)] == [0] * 600


def test_release_frees_all_jobs_of_an_owner_and_no_other(world):
    _enqueue(world, 1, 2)
    _claimed(world, limit=1)
    _claimed(world, owner="you:1:1:1", limit=1)
    assert world.backend.ledger.jobs.release("me:1:1:1") == 1
    assert [claim.document_key for claim in _claimed(world)] == [1]


def test_forgotten_documents_have_no_jobs(world):
    _enqueue(world, 1, 2)
    world.backend.ledger.jobs.forget([G, 2], [1])
    assert world.backend.ledger.jobs.counts(G).total == 1
    world.backend.ledger.jobs.forget_generation(G)
    assert world.backend.ledger.jobs.counts(G).total == 0


def test_nothing_is_due_when_nothing_is_outstanding(world):
    assert world.backend.ledger.jobs.seconds_until_due(G) is None
    _enqueue(world, 1)
    assert world.backend.ledger.jobs.seconds_until_due(G) == 0.0
    _claimed(world, lease_seconds=5.0)
    assert 4.0 < world.backend.ledger.jobs.seconds_until_due(G) <= 5.0


@pytest.fixture
def dead_owner():
    code = "from revector.ledger.owners import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_that_ended_is_dead_and_this_one_is_not(dead_owner):
    assert is_dead(dead_owner)
    assert not is_dead(new_owner())


def test_a_process_id_that_was_given_away_again_is_another_owner():
    machine, pid, _, serial = new_owner().split(":")
    assert is_dead(f"{machine}:{pid}:1:{serial}")


def test_processes_of_other_machines_are_not_judged(dead_owner):
    _, *rest = dead_owner.split(":")
    assert not is_dead(":".join(["elsewhere", *rest]))


def test_leases_of_dead_owners_are_freed_at_once(world, dead_owner):
    _enqueue(world, 1, 2)
    _claimed(world, owner=dead_owner, limit=1)
    _claimed(world, owner=new_owner(), limit=1)
    assert world.backend.ledger.jobs.release_dead_owners() == 1
    assert [claim.document_key for claim in _claimed(world)] == [1]


def test_half_a_generation_holds_a_fair_share_of_old_and_new_documents(world):
    _enqueue(world, *range(100 * RUN))
    claimed = [claim.document_key for claim in _claimed(world, limit=50 * RUN)]
    old = sum(key < 50 * RUN for key in claimed)
    assert 15 * RUN < old < 35 * RUN


def test_neighbours_have_their_turn_together(world):
    _enqueue(world, *range(100 * RUN))
    claimed = {claim.document_key // RUN for claim in _claimed(world, limit=4 * RUN)}
    assert len(claimed) == 4


def test_the_order_is_another_one_in_every_generation(world):
    world.backend.ledger.jobs.enqueue(2, [JobRequest(key, "a", 4) for key in range(100 * RUN)])
    _enqueue(world, *range(100 * RUN))
    assert {claim.document_key for claim in _claimed(world, limit=10 * RUN)} != {
        claim.document_key for claim in world.backend.ledger.jobs.claim(2, "me:1:1:1", 10 * RUN, 60.0)
    }


def test_a_lease_by_a_clock_that_is_ahead_is_cut_to_the_longest_one(world, caplog):
    _enqueue(world, 1, 2)
    _claimed(world, limit=1, lease_seconds=LONGEST_LEASE_SECONDS + 3600.0)
    _claimed(world, owner="you:1:1:1", limit=1)
    world.backend.ledger.jobs.release("you:1:1:1")
    world.backend.ledger.jobs.forget([G], [2])
    assert "clock" in caplog.text
    assert world.backend.ledger.jobs.seconds_until_due(G) <= LONGEST_LEASE_SECONDS


def _leave_done(world, *keys):
    """Leave jobs as an earlier release left those that were done."""
    _enqueue(world, *keys)
    with world.backend.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'done'")


def test_what_an_earlier_release_left_as_done_does_not_count(world):
    _leave_done(world, 1, 2)
    assert world.backend.ledger.jobs.counts(G).total == 0
    assert world.backend.ledger.jobs.seconds_until_due(G) is None


def test_what_an_earlier_release_left_as_done_is_removed_by_and_by(world):
    _leave_done(world, *range(3000))
    for _ in range(2):
        assert not _claimed(world)
    with world.backend.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == 0


@pytest.mark.parametrize(
    "statement",
    [name for name, value in vars(dialect).items() if isinstance(value, sa.TextClause) and name != "FORGET_SOME"],
)
def test_no_statement_reads_the_whole_queue(world, statement):
    values = dict.fromkeys(["generation", "now", "longest", "most", "owner", "until"], 1)
    with world.backend.snapshot() as connection:
        text = str(getattr(dialect, statement)).replace("IN (__[POSTCOMPILE_keys])", "IN (1, 2)")
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    searched = [step for step in plan if " jobs " in f"{step} "]
    narrow = ("jobs_in_turn (generation=? AND", "jobs_by_lease (lease_until", "(generation=? AND document_key=?)")
    assert searched
    assert all(step.startswith("SEARCH") and any(part in step for part in narrow) for step in searched)


def test_the_leases_of_an_owner_are_found_without_reading_the_whole_queue(world):
    with world.backend.snapshot() as connection:
        rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN UPDATE jobs SET lease_until = 5 WHERE lease_owner = 'me'")
        assert all("COVERING INDEX jobs_by_owner" in row[3] for row in rows)
