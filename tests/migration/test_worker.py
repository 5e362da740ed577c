from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from revector.backends.arguments import checked_documents
from revector.errors import EncoderError, RateLimitedError, SpaceMismatchError, SpendCapError, StoreError
from revector.ledger.jobs import JobRequest
from revector.ledger.owners import new_owner
from revector.migration.filling import worker as worker_module
from revector.migration.filling.claims import Claims
from revector.migration.filling.worker import Worker
from revector.migration.landing import land
from revector.testing import HashEncoder, RecordingEncoder
from worlds import NEW, OLD


class Wrapped:
    """The new encoder, with something done to each call."""

    space, source = NEW.space, None

    def __init__(self, before=lambda texts: None, after=lambda texts, rows: rows):
        self._before, self._after = before, after
        self.calls = []

    def encode(self, texts, *, kind="document"):
        self.calls.append(list(texts))
        self._before(texts)
        return self._after(texts, NEW.encode(texts, kind=kind))


def _refuse_bad(texts):
    if any("bad" in text for text in texts):
        raise EncoderError("a bad text")


def _run(world, generation, encoder=NEW, **options):
    return Worker(world.backend, encoder, generation, **options).run()


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)


def test_every_document_gets_the_vector_of_its_text(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(150)))
    report = _run(empty_world, generation)
    empty_world.assert_exact(generation, NEW)
    assert (report.embedded, report.reused, report.failed) == (150, 0, 0)
    assert empty_world.backend.ledger.jobs.counts(generation).total == 0


def test_nothing_to_do_is_done_at_once(empty_world):
    generation = empty_world.queue()
    assert _run(empty_world, generation).embedded == 0


def test_an_empty_text_is_embedded_like_any_other(empty_world):
    generation = empty_world.queue("", "words")
    _run(empty_world, generation)
    empty_world.assert_exact(generation, NEW)


def test_identical_texts_are_embedded_once(empty_world, tmp_path):
    generation = empty_world.queue(*["same", "other"] * 50)
    report = _run(empty_world, generation, RecordingEncoder(NEW, tmp_path / "record"), batch=8)
    assert len((tmp_path / "record").read_text().splitlines()) == 2
    assert (report.embedded, report.reused) == (2, 98)
    empty_world.assert_exact(generation, NEW)


def test_the_wrong_model_is_refused(empty_world):
    with pytest.raises(SpaceMismatchError, match="new"):
        Worker(empty_world.backend, OLD, empty_world.queue("text"))


def test_bad_documents_are_isolated_retried_and_listed(empty_world, no_wait):
    texts = [f"text {place}" for place in range(40)]
    texts[7] = texts[30] = "a bad one"
    texts[31] = "another bad one"
    generation = empty_world.queue(*texts)
    report = _run(empty_world, generation, Wrapped(_refuse_bad), batch=16)
    counts = empty_world.backend.ledger.jobs.counts(generation)
    assert (counts.failed, counts.outstanding) == (3, 0)
    assert {failure.error for failure in empty_world.backend.ledger.jobs.failures(generation)} == {"a bad text"}
    assert report.failed == 9


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_text_whose_vector_is_not_finite_is_a_bad_document(empty_world, no_wait, broken):
    def spoil(texts, rows):
        rows[[("bad" in text) for text in texts]] = broken
        return rows

    generation = empty_world.queue("good", "bad", "fine")
    _run(empty_world, generation, Wrapped(after=spoil))
    (failure,) = empty_world.backend.ledger.jobs.failures(generation)
    assert "NaN or infinity" in failure.error
    assert empty_world.backend.generations.count(generation) == 2


def test_an_encoder_that_returns_another_shape_is_at_fault(empty_world, no_wait):
    generation = empty_world.queue("one", "two")
    _run(empty_world, generation, Wrapped(after=lambda texts, rows: rows[:, :5]))
    assert {"shape" in failure.error for failure in empty_world.backend.ledger.jobs.failures(generation)} == {True}


def test_an_encoder_that_only_fails_stops_the_run(empty_world, monkeypatch):
    monkeypatch.setattr(worker_module, "FAILURES_IN_A_ROW", 20)
    generation = empty_world.queue(*(f"bad {place}" for place in range(100)))
    with pytest.raises(EncoderError, match="in a row"):
        _run(empty_world, generation, Wrapped(_refuse_bad), batch=8)
    counts = empty_world.backend.ledger.jobs.counts(generation)
    assert (counts.pending, counts.leased, counts.failed) == (100, 0, 0)


def test_a_rate_limit_is_waited_for_and_counts_as_no_attempt(empty_world):
    refusals = iter([RateLimitedError("slow down", retry_after_seconds=0.02)] * 5)

    def refuse(texts):
        if (refusal := next(refusals, None)) is not None:
            raise refusal

    generation = empty_world.queue("one", "two")
    report = _run(empty_world, generation, Wrapped(refuse))
    assert (report.embedded, report.failed) == (2, 0)


@pytest.mark.parametrize("error", [SpendCapError("no money left"), RuntimeError("a bug")])
def test_an_error_that_is_not_the_documents_ends_the_run_and_frees_its_jobs(empty_world, error):
    def refuse(texts):
        raise error

    generation = empty_world.queue(*(f"text {place}" for place in range(30)))
    with pytest.raises(type(error)):
        _run(empty_world, generation, Wrapped(refuse), batch=8)
    counts = empty_world.backend.ledger.jobs.counts(generation)
    assert (counts.pending, counts.leased) == (30, 0)


def test_two_workers_share_the_work(empty_world, tmp_path):
    generation = empty_world.queue(*(f"text {place}" for place in range(200)))
    encoder = RecordingEncoder(Wrapped(lambda texts: time.sleep(0.01)), tmp_path / "record")
    workers = [Worker(empty_world.backend, encoder, generation, batch=8) for _ in range(2)]
    reports = []
    threads = [threading.Thread(target=lambda w=worker: reports.append(w.run())) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.embedded for report in reports) == 200
    assert min(report.embedded for report in reports) > 0
    assert len((tmp_path / "record").read_text().splitlines()) == 200
    empty_world.assert_exact(generation, NEW)


def test_a_worker_that_lost_its_lease_does_no_harm(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(8)))

    def lose_lease(texts):
        time.sleep(0.2)  # until the slow worker's read-ahead is over: it could claim the jobs itself
        with empty_world.backend.database.transaction() as connection:
            connection.exec_driver_sql("UPDATE jobs SET lease_until = 0 WHERE state = 'leased'")
        _run(empty_world, generation)

    slow = Wrapped(lose_lease)
    _run(empty_world, generation, slow)
    assert len(slow.calls) == 1
    empty_world.assert_exact(generation, NEW)
    assert empty_world.backend.ledger.jobs.counts(generation).total == 0


def test_a_heartbeat_keeps_the_lease_of_a_slow_encoder(empty_world):
    generation = empty_world.queue("one", "two")
    stolen = []

    def be_slow(texts):
        time.sleep(0.5)
        stolen.extend(empty_world.backend.ledger.jobs.claim(generation, "thief:1:1:1", 10, 60.0))

    _run(empty_world, generation, Wrapped(be_slow), lease_seconds=0.3)
    assert stolen == []


def test_a_text_that_changes_while_it_is_encoded_gets_the_newer_vector(empty_world):
    world = empty_world
    generation = world.queue("first", "other")

    def change(texts):
        if "first" in texts:
            (document,) = world.backend.documents.upsert(["q0"], ["second"])
            world.backend.ledger.jobs.enqueue(generation, [JobRequest(document.key, document.content_hash, 2)])

    _run(world, generation, Wrapped(change))
    world.assert_exact(generation, NEW)


def test_a_text_that_changes_without_a_job_is_noticed_by_the_worker(empty_world):
    generation = empty_world.queue("first", "other")
    empty_world.backend.documents.upsert(["q0"], ["second"])
    _run(empty_world, generation)
    empty_world.assert_exact(generation, NEW)


def test_a_text_that_changes_back_while_it_is_encoded_is_not_embedded_again(empty_world):
    world = empty_world
    generation = world.queue("first")

    def change_twice(texts):
        documents = [world.backend.documents.upsert(["q0"], [text])[0] for text in ("second", "first")]
        # One transaction: the worker reads ahead, and between two it may claim the second text.
        world.backend.ledger.jobs.enqueue(generation, [JobRequest(d.key, d.content_hash, 2) for d in documents])

    encoder = Wrapped(change_twice)
    _run(world, generation, encoder)
    assert encoder.calls == [["first"]]
    world.assert_exact(generation, NEW)


def test_a_document_that_is_deleted_while_it_is_encoded_stays_away(empty_world):
    generation = empty_world.queue("first", "other")
    encoder = Wrapped(lambda texts: empty_world.delete("q0") if "first" in texts else None)
    _run(empty_world, generation, encoder)
    empty_world.assert_exact(generation, NEW)
    assert empty_world.backend.ledger.jobs.counts(generation).total == 0


def test_a_document_that_is_deleted_and_written_again_is_a_new_one(empty_world):
    world = empty_world
    generation = world.queue("first", "other")
    world.backend.generations.create_alias("target", generation)

    def replace(texts):
        if "first" in texts:
            world.delete("q0")
            (document,) = world.backend.documents.upsert(["q0"], ["again"])
            world.backend.ledger.jobs.enqueue(generation, [JobRequest(document.key, document.content_hash, 2)])

    _run(world, generation, Wrapped(replace))
    world.assert_exact(generation, NEW)


def test_a_job_without_a_document_is_dropped(empty_world):
    generation = empty_world.queue("text")
    empty_world.backend.ledger.jobs.enqueue(generation, [JobRequest(999, "hash of nothing", 1)])
    _run(empty_world, generation)
    assert empty_world.backend.ledger.jobs.counts(generation).total == 0


def test_a_job_that_is_seen_before_its_document_waits_for_it(empty_world):
    world = empty_world
    generation, (first,) = world.queue("first"), world.backend.documents.by_id(["q0"])
    (promised,) = checked_documents(["late"], ["written in a moment"])
    world.backend.ledger.jobs.enqueue(generation, [JobRequest(first.key + 1, promised.content_hash, 1)])
    assert len(Claims(world.backend, generation, new_owner(), 60.0).take(10, suspects=False)) == 1
    (late,) = world.backend.documents.upsert(["late"], ["written in a moment"])
    assert late.key == first.key + 1
    world.backend.ledger.jobs.release_all()
    _run(world, generation)
    world.assert_exact(generation, NEW)


def test_progress_reaches_the_end(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(64)))
    seen = []
    _run(empty_world, generation, batch=16, on_progress=seen.append)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    last = seen[-1]
    assert (last.done, last.total, last.failed, last.share, last.seconds_left) == (64, 64, 0, 1.0, 0.0)
    assert last.documents_per_second > 0


def test_stop_ends_the_run_and_what_was_embedded_has_landed(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(640)))
    stop = threading.Event()
    worker = Worker(empty_world.backend, NEW, generation, batch=8, on_progress=lambda progress: stop.set())
    embedded = worker.run(stop=stop).embedded
    assert 8 <= embedded < 640
    assert empty_world.backend.generations.count(generation) == embedded
    counts = empty_world.backend.ledger.jobs.counts(generation)
    assert (counts.pending, counts.leased) == (640 - embedded, 0)


@pytest.mark.parametrize("stage", ["documents.texts", "generations.put"])
def test_an_error_of_any_stage_ends_the_run_and_frees_its_jobs(empty_world, monkeypatch, stage):
    def fail(*arguments):
        raise StoreError("the disk is full")

    generation = empty_world.queue(*(f"text {place}" for place in range(100)))
    part, method = stage.split(".")
    monkeypatch.setattr(getattr(empty_world.backend, part), method, fail)
    with pytest.raises(StoreError, match="disk is full"):
        _run(empty_world, generation, batch=8)
    counts = empty_world.backend.ledger.jobs.counts(generation)
    assert (counts.pending, counts.leased) == (100, 0)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_what_was_embedded_before_an_interruption_lands(empty_world, interruption):
    calls = []

    def interrupt(texts):
        calls.append(1)
        if len(calls) == 4:
            raise interruption

    generation = empty_world.queue(*(f"text {place}" for place in range(100)))
    with pytest.raises(interruption):
        _run(empty_world, generation, Wrapped(interrupt), batch=8)
    assert empty_world.backend.generations.count(generation) == 24


def _stopping(error, *, paid):
    """Return an encoder whose service stops in its first request, after some texts."""

    def stop(texts):
        nonlocal error
        if error is not None:
            raised, error = error, None
            raised.rows = np.full((len(texts), NEW.space.dimension), np.nan, np.float32)
            raised.rows[:paid] = NEW.encode(texts[:paid])
            raise raised

    return Wrapped(stop)


def test_what_a_service_had_embedded_before_it_stopped_is_landed(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(10)))
    with pytest.raises(SpendCapError):
        _run(empty_world, generation, _stopping(SpendCapError("no money left"), paid=6))
    assert empty_world.backend.generations.count(generation) == 6


def test_what_a_service_had_embedded_before_a_rate_limit_is_not_paid_for_again(empty_world):
    generation = empty_world.queue(*(f"text {place}" for place in range(10)))
    encoder = _stopping(RateLimitedError("slow down", retry_after_seconds=0.01), paid=6)
    report = _run(empty_world, generation, encoder)
    assert (report.embedded, [len(call) for call in encoder.calls]) == (10, [10, 4])
    empty_world.assert_exact(generation, NEW)


def test_a_text_is_embedded_once_although_its_vector_has_not_landed_yet(empty_world, monkeypatch, tmp_path):
    def land_late(*arguments, **options):
        time.sleep(0.05)
        return land(*arguments, **options)

    monkeypatch.setattr("revector.migration.filling.lander.land", land_late)
    generation = empty_world.queue(*(f"text {place % 70}" for place in range(210)))
    report = _run(empty_world, generation, RecordingEncoder(NEW, tmp_path / "record"))
    assert (report.embedded, report.reused) == (70, 140)
    assert len((tmp_path / "record").read_text().splitlines()) == 70


def test_what_waits_lands_in_transactions_that_keep_nobody_waiting_for_long(empty_world, monkeypatch):
    landed = []
    monkeypatch.setattr("revector.migration.filling.lander.MOST_NUMBERS", 10 * NEW.space.dimension)
    generation = empty_world.queue(*(f"text {place}" for place in range(64)))
    _run(empty_world, generation, batch=32, on_landed=lambda count, _: landed.append(count))
    assert (sum(landed), max(landed)) == (64, 10)


def test_the_next_unit_is_encoded_while_the_one_before_lands(empty_world, monkeypatch):
    second, landing = threading.Event(), []

    def land_while_encoding(*arguments, **options):
        landing.append(second.wait(10))
        return land(*arguments, **options)

    monkeypatch.setattr("revector.migration.filling.lander.land", land_while_encoding)
    generation = empty_world.queue(*(f"text {place}" for place in range(16)))
    encoder = Wrapped(lambda texts: len(encoder.calls) == 2 and second.set())
    _run(empty_world, generation, encoder, batch=8)
    assert landing[0]


def test_units_that_are_quick_land_together(empty_world):
    landed = []
    generation = empty_world.queue(*(f"text {place}" for place in range(160)))
    _run(empty_world, generation, batch=4, on_landed=lambda count, _: landed.append(count))
    assert sum(landed) == 160
    assert max(landed) > 4


def test_hash_encoder_is_deterministic_and_places_shared_words_near():
    one, two = HashEncoder(64, seed=3), HashEncoder(64, seed=3)
    rows = one.encode(["red apple", "red pear", "blue sky", ""])
    np.testing.assert_array_equal(rows, two.encode(["red apple", "red pear", "blue sky", ""]))
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert one.space.fingerprint == two.space.fingerprint != HashEncoder(64, seed=4).space.fingerprint
