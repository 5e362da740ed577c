"""The suite that the queue of every ledger passes. It needs pytest."""

from __future__ import annotations

import time

from revector.backends.conformance.owners import ME, YOU, dead_owner
from revector.backends.conformance.threads import at_once
from revector.backends.contracts import Backend, Jobs
from revector.ledger.jobs import MAX_ATTEMPTS, Claim, JobCounts, JobRequest
from revector.ledger.owners import UNTIL_GIVEN_BACK_SECONDS, batch_owner, new_owner

_G = 1
_PRIORITIES = 5


def _ask(backend: Backend, *keys: int, text: str = "a", priority: int = 4, generation: int = _G) -> Jobs:
    backend.ledger.jobs.enqueue(generation, [JobRequest(key, text, priority) for key in keys])
    return backend.ledger.jobs


def _claim(jobs: Jobs, owner: str = ME, limit: int = 10, seconds: float = 60.0) -> list[Claim]:
    return jobs.claim(_G, owner, limit, seconds)


def _claimed(jobs: Jobs, owner: str = ME, limit: int = 10, seconds: float = 60.0) -> list[int]:
    return [claim.document_key for claim in _claim(jobs, owner, limit, seconds)]


def _fail_for_good(jobs: Jobs) -> None:
    """Fail the one job that waits until it is not tried again."""
    while (due := jobs.seconds_until_due(_G)) is not None:
        time.sleep(due)  # at most 0.5 s, then 1 s
        for claim in _claim(jobs):
            jobs.fail(claim, ME, f"broken after {claim.attempts} attempts")


class JobConformance:
    """What `revector.backends.contracts.Jobs` promises, one behaviour a test."""

    # Order

    def test_claims_come_in_the_order_of_priority(self, backend: Backend) -> None:
        """The lowest first, whatever was asked for first."""
        for priority in reversed(range(_PRIORITIES)):
            jobs = _ask(backend, priority + 10, priority=priority)
        assert [_claimed(jobs, limit=1) for _ in range(_PRIORITIES)] == [[10], [11], [12], [13], [14]]

    def test_half_a_generation_holds_a_fair_share_of_old_and_new_documents(self, backend: Backend) -> None:
        """Among equals the order is random, not that of the keys."""
        jobs = _ask(backend, *range(6400))
        old = sum(key < 3200 for key in _claimed(jobs, limit=3200))
        assert 960 < old < 2240

    def test_the_order_is_another_one_in_every_generation(self, backend: Backend) -> None:
        """No document comes late in all of them."""
        _ask(backend, *range(6400), generation=2)
        jobs = _ask(backend, *range(6400))
        assert {claim.document_key for claim in jobs.claim(2, ME, 640, 60.0)} != set(_claimed(jobs, limit=640))

    def test_no_job_is_claimed_twice_or_left_out(self, backend: Backend) -> None:
        """However small the portions are."""
        jobs = _ask(backend, *range(1000))
        claimed = [key for _ in range(15) for key in _claimed(jobs, limit=70)]
        assert sorted(claimed) == list(range(1000))

    def test_whoever_claims_at_the_same_time_gets_other_jobs(self, backend: Backend) -> None:
        """Each of them is claimed once, by one or the other."""
        jobs = _ask(backend, *range(400))

        def claim_all(number: int) -> list[int]:
            portions = iter(lambda: _claimed(jobs, f"elsewhere:{number}:1:1", limit=7), [])
            return [key for portion in portions for key in portion]

        claimed = at_once(4, claim_all)
        assert sorted(key for keys in claimed if isinstance(keys, list) for key in keys) == list(range(400))

    # Leases

    def test_a_leased_job_is_not_claimed_by_another(self, backend: Backend) -> None:
        """Nor by its owner."""
        jobs = _ask(backend, 1)
        assert [_claimed(jobs), _claimed(jobs, YOU), _claimed(jobs)] == [[1], [], []]

    def test_a_lease_runs_out(self, backend: Backend) -> None:
        """Then the job is free."""
        jobs = _ask(backend, 1)
        _claim(jobs, seconds=0.0)
        assert _claimed(jobs, YOU) == [1]

    def test_a_heartbeat_lengthens_the_lease(self, backend: Backend) -> None:
        """It had run out, and nobody had noticed."""
        jobs = _ask(backend, 1)
        _claim(jobs, seconds=0.0)
        jobs.extend(ME, 60.0)
        assert not _claimed(jobs, YOU)

    def test_release_frees_all_jobs_of_an_owner_and_no_other(self, backend: Backend) -> None:
        """They are claimed again at once."""
        jobs = _ask(backend, 1, 2)
        mine = _claimed(jobs, limit=1)
        _claim(jobs, YOU, limit=1)
        assert jobs.release(ME) == 1
        assert _claimed(jobs) == mine

    def test_release_all_frees_the_jobs_of_everybody(self, backend: Backend) -> None:
        """In a copy nobody works on them."""
        jobs = _ask(backend, 1, 2)
        _claim(jobs, limit=1)
        _claim(jobs, YOU, limit=1)
        assert jobs.release_all() == 2
        assert sorted(_claimed(jobs)) == [1, 2]

    def test_jobs_of_a_process_that_ended_are_freed_at_once(self, backend: Backend) -> None:
        """Those of a process that lives are not."""
        jobs = _ask(backend, 1, 2)
        dead = _claimed(jobs, dead_owner(), limit=1)
        _claim(jobs, new_owner(), limit=1)
        assert jobs.release_dead_owners() == 1
        assert _claimed(jobs) == dead

    def test_a_lease_by_a_clock_that_is_ahead_is_cut_short(self, backend: Backend) -> None:
        """It would be waited for in vain once its owner has died."""
        jobs = _ask(backend, 1)
        _claim(jobs, seconds=10_000.0)
        _claim(jobs, YOU)
        due = jobs.seconds_until_due(_G)
        assert due is not None
        assert due < 1_000.0

    def test_a_lease_until_it_is_given_back_outlasts_everybody(self, backend: Backend) -> None:
        """Neither other claims nor the end of processes free it, and it is listed by its owner."""
        jobs, owner = _ask(backend, 1, 2), batch_owner("a")
        _claim(jobs, owner, seconds=UNTIL_GIVEN_BACK_SECONDS)
        assert (_claim(jobs, YOU), jobs.release_dead_owners()) == ([], 0)
        _ask(backend, 2, text="newer")
        assert [(claim.document_key, claim.content_hash) for claim in jobs.held(owner)] == [(1, "a")]
        jobs.release(owner)
        assert [(claim.document_key, claim.unfinished) for claim in _claim(jobs)] == [(1, 0), (2, 0)]

    # What is done

    def test_a_job_that_is_done_is_gone(self, backend: Backend) -> None:
        """Whoever holds its lease."""
        jobs = _ask(backend, 1)
        _claim(jobs, seconds=0.0)
        _claim(jobs, YOU)
        assert [jobs.complete(_G, {1: "a"}), jobs.complete(_G, {1: "a"})] == [1, 0]
        assert jobs.counts(_G).total == 0

    def test_completion_of_an_old_text_changes_nothing(self, backend: Backend) -> None:
        """The vector of the new one is still missing."""
        jobs = _ask(backend, 1)
        _claim(jobs)
        _ask(backend, 1, text="newer")
        assert jobs.complete(_G, {1: "a"}) == 0
        assert [claim.content_hash for claim in _claim(jobs)] == ["newer"]

    def test_whoever_stored_the_present_vector_settles_the_job_of_any_text(self, backend: Backend) -> None:
        """A write needs not know what the job was for."""
        jobs = _ask(backend, 1, 2)
        jobs.settle(_G, [1])
        assert _claimed(jobs) == [2]

    def test_asking_again_for_what_is_done_asks_anew(self, backend: Backend) -> None:
        """Somebody found that the vector is missing."""
        jobs = _ask(backend, 1)
        jobs.complete(_G, {1: "a"})
        _ask(backend, 1)
        assert _claimed(jobs) == [1]

    def test_asking_again_for_the_same_text_leaves_a_running_job_alone(self, backend: Backend) -> None:
        """It is not done twice."""
        jobs = _ask(backend, 1)
        _claim(jobs)
        _ask(backend, 1)
        assert not _claimed(jobs, YOU)

    def test_forgotten_documents_have_no_jobs(self, backend: Backend) -> None:
        """Not in any of the generations named."""
        jobs = _ask(backend, 1, 2)
        _ask(backend, 1, 2, generation=2)
        jobs.forget([_G, 2], [1])
        assert [jobs.counts(_G).total, jobs.counts(2).total] == [1, 1]

    def test_a_generation_is_forgotten_and_no_other(self, backend: Backend) -> None:
        """However many jobs it has."""
        jobs = _ask(backend, *range(5000))
        _ask(backend, 1, 2, generation=2)
        jobs.forget_generation(_G)
        assert [jobs.counts(_G).total, jobs.counts(2).total] == [0, 2]

    # Failures

    def test_a_failing_job_is_tried_a_few_times_then_listed(self, backend: Backend) -> None:
        """With the last error."""
        jobs = _ask(backend, 1)
        _fail_for_good(jobs)
        (failure,) = jobs.failures(_G)
        assert (failure.document_key, failure.attempts, failure.error) == (1, MAX_ATTEMPTS, "broken after 2 attempts")

    def test_a_failed_job_is_left_alone_until_it_is_retried(self, backend: Backend) -> None:
        """Asking for the same text does not help; a new text does, and begins anew."""
        jobs = _ask(backend, 1)
        _fail_for_good(jobs)
        _ask(backend, 1)
        assert jobs.counts(_G).failed == 1
        assert jobs.retry_failed(_G) == 1
        assert [claim.attempts for claim in _claim(jobs)] == [0]

    def test_a_failed_job_begins_anew_with_a_new_text(self, backend: Backend) -> None:
        """The other one was at fault."""
        jobs = _ask(backend, 1)
        _fail_for_good(jobs)
        _ask(backend, 1, text="newer")
        assert [claim.attempts for claim in _claim(jobs)] == [0]

    def test_an_attempt_that_failed_waits_before_the_next(self, backend: Backend) -> None:
        """Others come first."""
        jobs = _ask(backend, 1)
        (claim,) = _claim(jobs)
        jobs.fail(claim, ME, "broken")
        due = jobs.seconds_until_due(_G)
        assert due is not None
        assert due > 0

    def test_whoever_lost_the_lease_cannot_fail_the_job(self, backend: Backend) -> None:
        """It is in other hands."""
        jobs = _ask(backend, 1)
        (claim,) = _claim(jobs, seconds=0.0)
        _claim(jobs, YOU)
        jobs.fail(claim, ME, "too late")
        assert jobs.counts(_G).leased == 1

    def test_postponed_jobs_come_later_without_an_attempt(self, backend: Backend) -> None:
        """More than fit into one statement."""
        jobs = _ask(backend, *range(1200))
        claims = _claim(jobs, limit=2000)
        jobs.postpone(claims[:600], ME, 60.0)
        jobs.postpone(claims[600:], ME, 0.0)
        assert [claim.attempts for claim in _claim(jobs, limit=2000)] == [0] * 600

    # Workers that die

    def test_documents_whose_worker_died_come_last(self, backend: Backend) -> None:
        """One of them may have killed it."""
        jobs = _ask(backend, *range(10))
        suspects = _claimed(jobs, limit=5, seconds=0.0)
        assert not set(suspects) & set(_claimed(jobs, limit=5))
        assert [claim.unfinished for claim in _claim(jobs, YOU)] == [1] * 5

    def test_suspects_are_not_claimed_beside_others(self, backend: Backend) -> None:
        """Whatever their next worker holds when it dies would be suspected as well."""
        jobs = _ask(backend, 1)
        _claim(jobs, seconds=0.0)
        assert not jobs.claim(_G, ME, 10, 60.0, suspects=False)

    def test_a_document_that_is_alone_with_every_death_fails(self, backend: Backend) -> None:
        """The others are not held up by it for ever."""
        jobs = _ask(backend, 1)
        for _ in range(20):
            _claim(jobs, seconds=0.0)
        assert jobs.counts(_G).failed == 1

    # Counts

    def test_jobs_are_counted_by_state(self, backend: Backend) -> None:
        """Those of other generations are not."""
        jobs = _ask(backend, 9)
        _ask(backend, 1, 2, 3, generation=2)
        _fail_for_good(jobs)
        _ask(backend, *range(5))
        _claim(jobs, limit=3)
        assert jobs.counts(_G) == JobCounts(pending=2, leased=3, failed=1)

    def test_nothing_is_due_when_nothing_is_outstanding(self, backend: Backend) -> None:
        """What waits is due now, what is leased when the lease runs out."""
        jobs = backend.ledger.jobs
        assert jobs.seconds_until_due(_G) is None
        _ask(backend, 1)
        assert jobs.seconds_until_due(_G) == 0.0
        _claim(jobs)
        due = jobs.seconds_until_due(_G)
        assert due is not None
        assert 0 < due <= 60

    def test_jobs_that_wait_can_be_given_another_priority(self, backend: Backend) -> None:
        """Those under lease keep theirs, and others are not touched."""
        jobs = _ask(backend, 11, 12, 13, 14)
        (held,) = _claimed(jobs, limit=1)
        left = [key for key in (11, 12, 13, 14) if key != held]
        assert jobs.waiting(_G, 4, 0, 10) == left
        assert jobs.waiting(_G, 4, left[0], 1) == [left[1]]
        jobs.set_priority(_G, [held, left[2]], 1)
        assert jobs.waiting(_G, 4, 0, 10) == left[:2]
        assert [(claim.document_key, claim.priority) for claim in _claim(jobs, limit=1)] == [(left[2], 1)]
