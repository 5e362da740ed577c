from __future__ import annotations

from revector.backends.conformance.owners import dead_owner
from revector.ledger.dialect import RUN
from revector.ledger.jobs import JobRequest
from revector.ledger.owners import LONGEST_LEASE_SECONDS, is_dead, new_owner

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
