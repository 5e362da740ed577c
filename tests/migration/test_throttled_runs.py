"""A run is held back while it runs, says why, and goes on at once when the operator lets it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from revector.backends.conformance.owners import dead_owner
from revector.errors import EncoderError, InvalidArgumentError, MigrationError
from revector.ledger.owners import new_owner
from revector.migration import signs
from revector.migration.filling import pulse
from revector.migration.filling.brake import Brake
from revector.migration.signs import SearchSigns, WorkerSign, say_worker, search_p99, sweep, workers
from revector.migration.strategies import Background
from revector.migration.throttle import NO_LIMITS, Throttle
from revector.testing import HashEncoder

PATIENCE_SECONDS = 20


@pytest.fixture(autouse=True)
def quick_pulse(monkeypatch):
    monkeypatch.setattr(pulse, "_FIRST_SECONDS", 0.02)
    monkeypatch.setattr(pulse, "SAY_EVERY_SECONDS", 0.05)


@contextmanager
def _running(migration, on_progress=None):
    """Run a migration in a thread, and to its end when the block has ended."""
    thread = threading.Thread(target=migration.run, args=(on_progress,))
    thread.start()
    try:
        yield
    finally:
        migration.throttle(NO_LIMITS)
        thread.join()


def _until(happens):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := happens()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def _pace(migration, begins):
    """Return what `status` says once it begins so."""
    return _until(lambda: (pace := migration.status().pace).startswith(begins) and pace)


class _Service(BaseHTTPRequestHandler):
    status = 503

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def _service():
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Service", (_Service,), {})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}/throttle"
        finally:
            server.shutdown()
            thread.join()


def test_a_run_waits_while_the_query_says_so_and_goes_on_when_it_is_taken_away(world):
    migration = world.started()
    migration.throttle(query="SELECT 3")
    with _running(migration):
        assert _pace(migration, "waits") == "waits: the query says 3"
        assert migration.status().moved == 0
    assert migration.status().moved == 40


def test_a_query_that_fails_holds_a_run_and_is_told(world):
    migration = world.started()
    migration.throttle(query="SELECT x FROM nowhere")
    with _running(migration):
        assert "nowhere" in _pace(migration, "waits: the query cannot be asked")


def test_a_run_waits_until_its_window_opens(world):
    opens = datetime.now() + timedelta(hours=2)
    migration = world.started()
    migration.throttle(window=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")
    with _running(migration):
        assert _pace(migration, "waits") == f"waits until {opens:%H:%M}"


def test_a_run_waits_while_a_service_says_so_and_goes_on_by_itself(world):
    migration = world.started()
    with _service() as (server, url):
        migration.throttle(http=url)
        with _running(migration):
            assert _pace(migration, "waits") == f"waits: {url} says 503"
            server.RequestHandlerClass.status = 200
            _until(lambda: migration.status().moved == 40)


def test_a_service_that_cannot_be_reached_holds_a_run_and_is_told(world):
    with _service() as (_, url):
        pass
    migration = world.started()
    migration.throttle(http=url)
    with _running(migration):
        assert f"{url} cannot be asked" in _pace(migration, "waits")


def test_workers_stand_back_while_searches_are_slow(world):
    migration = world.started()
    migration.throttle(search_p99=50)
    searches = SearchSigns(world.backend)
    searches.say([0.0814] * 10)
    with _running(migration):
        assert _pace(migration, "waits") == "waits: search p99 81 ms > 50 ms"
        searches.say([0.012] * 10)
        _until(lambda: migration.status().moved == 40)


def test_searches_of_a_while_ago_hold_nobody(world, monkeypatch):
    SearchSigns(world.backend).say([0.0814] * 10)
    assert search_p99(world.backend) == pytest.approx(81.4)
    monkeypatch.setattr(signs, "COUNTS_FOR_SECONDS", 0.0)
    assert search_p99(world.backend) == 0.0


def test_a_run_is_held_to_its_rate_and_says_so(world):
    migration, seen = world.started(), []
    migration.throttle(rate=40)
    world.write({f"more{place}": "words" for place in range(40)}, encoders=())
    began = time.monotonic()
    migration.run(on_progress=seen.append)
    assert time.monotonic() - began >= 0.9  # the second unit begins after a second
    assert "held to 40/s by rate" in {progress.reason for progress in seen}


def test_another_rate_counts_at_once(world):
    migration = world.started()
    migration.throttle(rate=0.01)
    with _running(migration):
        _pace(migration, "held to 0.01/s by rate")
        migration.throttle(rate=None)
        _until(lambda: migration.status().moved == 40)


def test_a_share_of_the_time_is_slept(world):
    class Slow(HashEncoder):
        def encode(self, texts, *, kind="document"):
            time.sleep(0.05)
            return super().encode(texts, kind=kind)

    encoder = Slow(12, seed=2, name="new")
    migration = world.started(encoder=encoder)
    migration.throttle(share=0.2, batch=10)
    began = time.monotonic()
    migration.run()
    assert time.monotonic() - began >= 0.8  # four units, and four times as long between them and after each


def test_another_batch_counts_while_a_run_goes_on(world, monkeypatch):
    sizes = []

    class Recording(HashEncoder):
        def encode(self, texts, *, kind="document"):
            sizes.append(len(texts))
            return super().encode(texts, kind=kind)

    encoder = Recording(12, seed=2, name="new")
    migration = world.started(encoder=encoder)
    migration.throttle(batch=7)
    migration.run()
    assert max(sizes) == 7


def test_a_change_is_an_event_and_leaves_the_other_limits(world):
    migration = world.started()
    migration.throttle(rate=500, share=0.5)
    assert migration.throttle(rate=None) == Throttle(share=0.5) == migration.throttle() == migration.status().throttle
    migration.throttle(share=0.5)  # nothing changes, and nothing is told
    assert [event.details for event in migration.events() if event.name == "throttle"] == [
        {"rate": 500, "share": 0.5},
        {"share": 0.5},
    ]


def test_a_migration_that_is_over_has_nothing_to_limit(world):
    migration = world.plan()
    migration.rollback()
    migration.retire(confirm=True)
    with pytest.raises(MigrationError, match="retired"):
        migration.throttle(rate=1)


def test_a_stage_that_stands_still_is_named(world, monkeypatch, caplog):
    monkeypatch.setattr(signs, "STANDS_STILL_SECONDS", 0.1)
    go_on = threading.Event()

    class Stuck(HashEncoder):
        def encode(self, texts, *, kind="document"):
            assert go_on.wait(PATIENCE_SECONDS)
            return super().encode(texts, kind=kind)

    encoder = Stuck(12, seed=2, name="new")
    migration = world.started(encoder=encoder)
    try:
        with _running(migration):
            assert "stands still: encoding for" in _pace(migration, "stands still")
            go_on.set()
    finally:
        go_on.set()
    assert sum("stands still" in record.message for record in caplog.records) == 1


def test_a_worker_that_ends_leaves_no_sign(world):
    migration = world.started()
    migration.throttle(query="SELECT 1")
    with _running(migration):
        _pace(migration, "waits")
        assert len(workers(world.backend, migration.record.target_generation)) == 1
    assert world.backend.ledger.notes.under("worker:") == {}


def test_without_a_worker_the_status_says_so(world):
    migration = world.started()
    assert migration.status().pace == "nobody works on it"
    migration.pause()
    assert migration.status().pace == "paused"


def test_progress_reaches_its_end_without_what_cannot_be_embedded(world, monkeypatch):
    monkeypatch.setattr("revector.ledger.jobs.RETRY_SECONDS", 0.0)

    class Refusing(HashEncoder):
        def encode(self, texts, *, kind="document"):
            if any(text == "bad" for text in texts):
                raise EncoderError("a bad text")
            return super().encode(texts, kind=kind)

    encoder = Refusing(12, seed=2, name="new")
    world.write({"d3": "bad"})
    migration, seen = world.started(encoder=encoder), []
    migration.run(on_progress=seen.append)
    status = migration.status()
    assert (seen[-1].share, seen[-1].total, seen[-1].failed) == (1.0, 39, 1)
    assert (status.share, [failed.id for failed in migration.failures()]) == (1.0, ["d3"])


def test_several_workers_share_a_rate(world):
    brake = Brake(world.backend, 2, lambda: Throttle(rate=10))
    for owner in (new_owner(), new_owner()):
        say_worker(world.backend, WorkerSign(owner, time.time(), time.time(), 2, "encoding", "", None))
    brake.took(10, 0.0)
    assert brake.hold().seconds == pytest.approx(2.0, abs=0.2)


def test_a_worker_that_died_shares_no_rate_and_is_swept_away(world):
    sign = WorkerSign(dead_owner(), time.time(), time.time(), 2, "encoding", "", None)
    say_worker(world.backend, sign)
    assert workers(world.backend, 2) == []
    sweep(world.backend)
    assert world.backend.ledger.notes.under("worker:") == {}


def test_a_migration_begins_with_the_limits_of_its_strategy_and_the_operator_changes_them(world):
    migration = world.started(strategy=Background(rate=40, share=0.5, window="22:00-06:00"))
    assert migration.throttle() == Throttle(rate=40, share=0.5, window="22:00-06:00")
    migration.throttle(NO_LIMITS)
    migration.rollback()
    migration.start()
    assert migration.throttle() == NO_LIMITS


def test_limits_that_were_set_before_the_start_stay(world):
    migration = world.plan(strategy=Background(rate=40))
    migration.throttle(rate=7)
    migration.start()
    assert migration.throttle() == Throttle(rate=7)


def test_a_strategy_keeps_its_limits_in_the_ledger():
    strategy = Background(rate=40, window="22:00-06:00", worst_first=True)
    assert Background.from_json(strategy.to_json()) == strategy
    with pytest.raises(InvalidArgumentError, match="window is"):
        Background(window="night")
