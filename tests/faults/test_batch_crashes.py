"""A crash at every step of a fill by batch jobs: each write, before and after each request; and kill -9 at random."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter

import numpy as np
import pytest

from batch_desk import BatchDesk
from children import fork_server
from crashing import Crash, CrashingWrites
from revector.encoders.service.api import Endpoint
from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.encoders.service.pacing import Pacer
from revector.ledger.state import Phase
from revector.migration.batches.filler import BatchFiller
from revector.migration.batches.jobs import BatchJobs
from services import DIMENSION, MODEL, FakeClock, Service, running
from worlds import World

DOCUMENTS, JOBS = 3, BatchJobs(requests=2)
WAITS = {
    "filler": ("FIRST_POLL_SECONDS", "LONGEST_POLL_SECONDS"),
    "sending": ("FIRST_RETRY_SECONDS", "LONGEST_RETRY_SECONDS"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits for long."""
    _be_quick(monkeypatch)


def _be_quick(monkeypatch):
    for module, names in WAITS.items():
        for name in names:
            monkeypatch.setattr(f"revector.migration.batches.{module}.{name}", 0.01)


def _encoder(url):
    return OpenAIEncoder(
        "a-model",
        base_url=url,
        dimensions=DIMENSION,
        pacer=Pacer(clock=FakeClock()),
        retries=RetryPolicy(attempts=2),
        check_model=False,
    )


def _started(path, url, documents=DOCUMENTS):
    world, encoder = World.create(path, documents), _encoder(url)
    world.started(encoder=encoder)
    encoder.close()
    world.close()


def _opened(path, url):
    world = World.open(path)
    world.encoders.add(_encoder(url))
    return world


def _close(world):
    for encoder in world.encoders.loaded:
        if isinstance(encoder, OpenAIEncoder):
            encoder.close()
    world.close()


def _assert_filled_once(world, service):
    """Each document has one vector of its present text, and each text was paid for once."""
    migration, desk = world.active(), service.desk
    found, target = world.vectors(migration.record.target_generation), migration.record.target_generation
    with world.backend.snapshot():
        texts = {d.id: d.text for batch in world.backend.documents.scan() for d in batch}
    assert migration.phase is Phase.PROVING
    assert found.keys() == texts.keys()
    np.testing.assert_allclose(np.array([found[id_] for id_ in texts]), MODEL.encode(list(texts.values())), atol=1e-6)
    assert world.backend.ledger.jobs.counts(target).total == 0
    paid = desk.paid + Counter(text for batch in service.batches for text in batch if text in texts.values())
    assert paid == Counter(texts.values())


class WritesOfTheRun(CrashingWrites):
    """Spares the threads that only say how the run is; they write when they like."""

    def _count(self):
        if threading.current_thread() is threading.main_thread():
            super()._count()


class CrashingRequests:
    """Raises `Crash` before or after the n-th request to the batch jobs of a service."""

    def __init__(self, world, *, answered):
        self.left = 0
        endpoint = next(each for each in world.encoders.loaded if isinstance(each, OpenAIEncoder))._endpoint

        def crashing(request, **options):
            self.left -= 1
            if self.left == 0 and not answered:
                raise Crash
            reply = Endpoint.send(endpoint, request, **options)
            if self.left == 0:
                raise Crash
            return reply

        endpoint.send = crashing


def _only_in_jobs(monkeypatch, crashing, after):
    """Let it crash while there are batch jobs to do; what comes before and behind is tested elsewhere."""
    monkeypatch.undo()
    _be_quick(monkeypatch)
    run = BatchFiller.run

    def counted(filler, stop):
        crashing.left = after
        try:
            return run(filler, stop)
        finally:
            crashing.left = 0

    monkeypatch.setattr(BatchFiller, "run", counted)


def _crashes(places, monkeypatch, crash):
    """Crash at one moment after another, until there is none left; each time the next run makes good."""
    for after in range(1, 200):
        path = places / f"{after}.db"
        with running(Service(desk=BatchDesk(refuses=lambda text: text.endswith("2")))) as service:
            _started(path, service.url)
            world = _opened(path, service.url)
            crashing = crash(world)
            _only_in_jobs(monkeypatch, crashing, after)
            try:
                world.active().run(batch_jobs=JOBS)
            except Crash:
                world.backend.ledger.leases.release_all()  # as of a process that has ended
            else:
                _assert_filled_once(world, service)
                _close(world)
                return after - 1
            _close(world)
            world = _opened(path, service.url)
            if world.active().phase is Phase.FILLING:
                world.active().run(batch_jobs=JOBS)
            _assert_filled_once(world, service)
            _close(world)
    return pytest.fail("the run never ended")


@pytest.mark.timeout(900)  # 68 moments, two runs each
def test_a_crash_at_any_write_loses_no_text_and_pays_for_none_twice(places, monkeypatch, record_property):
    moments = _crashes(places, monkeypatch, lambda world: WritesOfTheRun(world.backend.database, 0))
    assert moments > 20
    record_property("moments", moments)


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_crash_at_any_request_loses_no_text_and_pays_for_none_twice(places, monkeypatch, answered, record_property):
    moments = _crashes(places, monkeypatch, lambda world: CrashingRequests(world, answered=answered))
    assert moments > 8
    record_property("moments", moments)


def _work(path, url):
    from revector.migration.batches import filler, sending

    for module, names in ((filler, WAITS["filler"]), (sending, WAITS["sending"])):
        for name in names:
            setattr(module, name, 0.01)
    world = _opened(path, url)
    if world.active().phase is Phase.FILLING:
        world.active().run(batch_jobs=BatchJobs(requests=25))
    _close(world)


def test_kills_at_random_moments_lose_no_text_and_pay_for_none_twice(places):
    path, rng, kills = places / "world.db", random.Random(3), 0
    with running(Service(desk=BatchDesk(looks=2))) as service:
        _started(path, service.url, documents=300)
        for _ in range(15):
            worker = fork_server().Process(target=_work, args=(path, service.url))
            asked = len(service.desk.asked)
            worker.start()
            while worker.is_alive() and len(service.desk.asked) == asked:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.15))
            worker.kill()
            worker.join()
            assert worker.exitcode in (-signal.SIGKILL, 0)
            kills += worker.exitcode != 0
        _work(path, service.url)
        world = _opened(path, service.url)
        _assert_filled_once(world, service)
        _close(world)
    assert kills >= 3, "the worker was done too early for the test to mean anything"
