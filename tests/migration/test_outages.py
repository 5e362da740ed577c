"""A store that is lost, or busy, for a while in the middle of a run."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter

import pytest

from revector.errors import StoreBusyError, StoreUnavailableError
from revector.migration.filling.worker import Worker
from revector.migration.landing import land
from worlds import NEW

LOST = StoreUnavailableError("lost while it committed", committing=True)
BUSY = StoreBusyError("somebody holds a lock", waited_seconds=0.1)


class Counted:
    space, source = NEW.space, None

    def __init__(self):
        self.counts = Counter()

    def encode(self, texts, *, kind="document"):
        self.counts.update(texts)
        return NEW.encode(texts, kind=kind)


def failing(step, *errors, after):
    """Return a step that fails with each of some errors: after it was done, or before."""
    left = list(errors)

    def attempt(*args, **options):
        if not after and left:
            raise left.pop()
        result = step(*args, **options)
        if left:
            raise left.pop()
        return result

    return attempt


@pytest.fixture
def generation(empty_world):
    return empty_world.queue(*(f"text {place}" for place in range(100)))


@pytest.mark.parametrize("error", [LOST, BUSY])
@pytest.mark.parametrize("step", ["ledger.jobs.claim", "ledger.jobs.complete", "documents.texts"])
def test_what_could_not_be_done_is_done_again_and_nothing_is_embedded_twice(
    empty_world, generation, monkeypatch, step, error
):
    encoder, (part, name) = Counted(), step.rsplit(".", 1)
    owner = attrgetter(part)(empty_world.backend)
    monkeypatch.setattr(owner, name, failing(getattr(owner, name), error, error, after=False))
    Worker(empty_world.backend, encoder, generation, batch=8).run()
    empty_world.assert_exact(generation, NEW)
    assert set(encoder.counts.values()) == {1}


def test_jobs_whose_claim_got_no_answer_are_done(empty_world, generation, monkeypatch):
    jobs = empty_world.backend.ledger.jobs
    monkeypatch.setattr(jobs, "claim", failing(jobs.claim, LOST, LOST, after=True))
    Worker(empty_world.backend, NEW, generation, batch=8).run()
    empty_world.assert_exact(generation, NEW)


def test_a_landing_whose_commit_got_no_answer_is_landed_again(empty_world, generation, monkeypatch):
    encoder = Counted()
    monkeypatch.setattr("revector.migration.filling.lander.land", failing(land, LOST, LOST, after=True))
    report = Worker(empty_world.backend, encoder, generation, batch=8).run()
    empty_world.assert_exact(generation, NEW)
    assert report.embedded == 100
    assert set(encoder.counts.values()) == {1}


def test_a_failure_whose_commit_got_no_answer_counts_as_one_attempt(empty_world, monkeypatch):
    generation, jobs = empty_world.queue("a bad text"), empty_world.backend.ledger.jobs
    claim = jobs.claim(generation, "me:1:1:1", 1, 60)[0]
    jobs.fail(claim, "me:1:1:1", "bad")
    jobs.fail(claim, "me:1:1:1", "bad")
    monkeypatch.setattr("time.time", lambda: 1e12)
    assert jobs.claim(generation, "me:1:1:1", 1, 60)[0].attempts == 1


def test_a_store_that_stays_away_ends_the_run(empty_world, generation, monkeypatch):
    monkeypatch.setattr("revector.migration.patience.OUTAGE_SECONDS", 0.5)
    jobs = empty_world.backend.ledger.jobs
    monkeypatch.setattr(jobs, "claim", failing(jobs.claim, *[LOST] * 100, after=False))
    with pytest.raises(StoreUnavailableError, match="committed"):
        Worker(empty_world.backend, NEW, generation).run()


def test_a_heartbeat_that_fails_ends_no_run(empty_world, generation, monkeypatch):
    jobs = empty_world.backend.ledger.jobs
    monkeypatch.setattr(jobs, "extend", failing(jobs.extend, *[LOST] * 100, after=False))
    Worker(empty_world.backend, NEW, generation, batch=8, lease_seconds=0.01).run()
    empty_world.assert_exact(generation, NEW)
