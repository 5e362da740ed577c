"""Pacing, pauses and budgets, on a clock that nobody has to wait for."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate

import numpy as np
import pytest

from revector.encoders.service.pacing import Clock, Pacer, SpendMeter, Stopped, pause_asked, pause_until_reset
from revector.errors import InvalidArgumentError, SpendCapError
from services import FakeClock

NEVER = threading.Event()


def admissions(pacer, amounts):
    """Admit requests of these token counts one after the other; return when each was let through."""
    times = []
    for tokens in amounts:
        pacer.admit(tokens, NEVER)
        times.append(pacer.clock.now())
    return np.array(times)


def most_in_a_minute(times, amounts):
    return max(amounts[(times >= begin) & (times < begin + 60 - 1e-6)].sum() for begin in times)


@pytest.mark.parametrize("per_minute", [1, 7, 60, 500, 3000])
@pytest.mark.parametrize("burst_seconds", [0.0, 2.0, 30.0])
def test_no_minute_has_more_requests_than_allowed_and_little_is_wasted(per_minute, burst_seconds):
    pacer = Pacer(requests_per_minute=per_minute, burst_seconds=burst_seconds, clock=FakeClock())
    n = 5 * per_minute + 1
    times = admissions(pacer, [0] * n)
    assert most_in_a_minute(times, np.ones(n)) <= per_minute
    assert times[-1] - times[0] <= 300 * 60 / (60 - burst_seconds) + 1e-6


def test_no_minute_has_more_tokens_than_allowed_whatever_the_requests_sizes():
    amounts = np.random.default_rng(3).integers(1, 900, 4000)
    pacer = Pacer(tokens_per_minute=60_000, burst_seconds=2, clock=FakeClock())
    times = admissions(pacer, amounts)
    assert most_in_a_minute(times, amounts) <= 60_000
    assert amounts.sum() / (times[-1] - times[0]) >= 0.95 * 1000


def test_a_request_beyond_the_burst_is_let_through_and_made_up_for():
    pacer = Pacer(tokens_per_minute=600, burst_seconds=0, clock=FakeClock())
    first, second, third = admissions(pacer, [300, 300, 300])
    assert (second - first, third - second) == (pytest.approx(30), pytest.approx(30))


def test_tokens_that_were_not_used_are_given_back():
    pacer = Pacer(tokens_per_minute=600, burst_seconds=0, clock=FakeClock())
    began = pacer.clock.now()
    for _ in range(10):
        pacer.admit(300, NEVER)
        pacer.give_back(290)
    assert pacer.clock.now() - began == pytest.approx(9 * 1.0)


def test_requests_and_tokens_hold_together():
    pacer = Pacer(requests_per_minute=60, tokens_per_minute=600, burst_seconds=0, clock=FakeClock())
    times = admissions(pacer, [1, 1, 50, 1])
    np.testing.assert_allclose(np.diff(times), [1, 1, 5], atol=1e-6)


def test_without_limits_nobody_waits():
    clock = FakeClock()
    admissions(Pacer(clock=clock), [10**9] * 100)
    assert clock.waits == []


def test_a_pause_holds_everybody_and_a_shorter_one_does_not_end_it():
    pacer = Pacer(clock=FakeClock())
    pacer.pause(90)
    pacer.pause(5)
    (at,) = admissions(pacer, [1])
    assert at == pytest.approx(1090)


def test_long_waits_are_taken_in_naps():
    pacer = Pacer(requests_per_minute=1, clock=FakeClock())
    admissions(pacer, [1, 1])
    assert max(pacer.clock.waits) <= 1


def test_a_stop_ends_the_wait():
    pacer, stop = Pacer(requests_per_minute=1), threading.Event()
    pacer.admit(1, stop)
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        pacer.admit(1, stop)
    assert time.monotonic() - began < 1


def test_threads_share_the_pace_in_real_time():
    pacer, times, lock = Pacer(requests_per_minute=6000, burst_seconds=0), [], threading.Lock()

    def run():
        for _ in range(10):
            pacer.admit(1, NEVER)
            with lock:
                times.append(time.monotonic())

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 50
    assert max(times) - min(times) >= 0.45  # 49 intervals of 10 ms, less what a late note of the first one hides


@pytest.mark.parametrize(
    "options",
    [
        {"requests_per_minute": 0},
        {"requests_per_minute": float("nan")},
        {"tokens_per_minute": -1},
        {"tokens_per_minute": float("inf")},
        {"burst_seconds": 60},
        {"burst_seconds": -1},
    ],
)
def test_limits_that_make_no_sense_are_refused(options):
    with pytest.raises(InvalidArgumentError, match="expected"):
        Pacer(**options)


DATE = formatdate(1_700_000_042, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"retry-after": DATE}, 42),
        ({"retry-after": DATE, "date": formatdate(1_700_000_040, usegmt=True)}, 2),
        ({"retry-after": formatdate(1_600_000_000, usegmt=True)}, 0),
        ({"retry-after": "soon", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s"}, 360.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12"}, 12),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "12"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1 moment"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_pauses_are_read_in_every_form(headers, seconds):
    assert pause_asked(headers, 1_700_000_000) == (seconds if seconds is None else pytest.approx(seconds))


def test_the_longer_of_two_limits_counts():
    headers = {f"x-ratelimit-remaining-{what}": "0" for what in ("requests", "tokens")}
    resets = {"x-ratelimit-reset-requests": "1h2m3s", "x-ratelimit-reset-tokens": "5s"}
    assert pause_until_reset({**headers, **resets}) == 3723


def test_a_request_that_could_break_the_cap_is_refused_before_it_is_sent():
    meter = SpendMeter(price_per_million_tokens=10, cap=1)
    meter.reserve(90_000, NEVER)
    meter.settle(90_000, 60_000)
    meter.reserve(40_000, NEVER)  # exactly the cap
    meter.settle(40_000, 40_000)
    with pytest.raises(SpendCapError, match=r"spend_cap") as refusal:
        meter.reserve(1, NEVER)
    assert (refusal.value.spent, refusal.value.cap) == (pytest.approx(1), 1)


def test_a_request_waits_for_those_that_may_leave_it_enough():
    meter = SpendMeter(price_per_million_tokens=1, cap=1)
    meter.reserve(900_000, NEVER)
    threading.Timer(0.05, meter.settle, (900_000, 100_000)).start()
    meter.reserve(900_000, NEVER)
    assert meter.tokens == 100_000


def test_waiting_for_others_spending_can_be_stopped():
    meter, stop = SpendMeter(price_per_million_tokens=1, cap=1), threading.Event()
    meter.reserve(900_000, NEVER)
    stop.set()
    with pytest.raises(Stopped):
        meter.reserve(900_000, stop)


def test_jobs_count_towards_the_cap_until_they_are_dropped_and_are_spent_once_they_are_paid():
    meter = SpendMeter(price_per_million_tokens=1e6, cap=10)
    meter.note_job("a", 12, share=0.5, paid=False)
    assert (meter.spent, meter.room(0.5), meter.knows_job("a")) == (0, 8, True)
    with pytest.raises(SpendCapError, match="set aside for batch jobs"):
        meter.reserve(5, NEVER)
    meter.note_job("a", 4, share=0.5, paid=True)
    assert (meter.spent, meter.tokens, meter.room(1.0)) == (2, 4, 8)
    meter.drop_job("a")
    assert (meter.spent, meter.room(1.0)) == (0, 10)


def test_without_a_cap_there_is_no_end_of_room():
    assert SpendMeter(price_per_million_tokens=1).room(0.5) is None


@pytest.mark.parametrize(("price", "cap"), [(None, 5), (-1, 5), (1, -5), (float("nan"), None)])
def test_budgets_that_make_no_sense_are_refused(price, cap):
    with pytest.raises(InvalidArgumentError):
        SpendMeter(price, cap)


def test_the_real_clock_waits_and_stops():
    clock, stop = Clock(), threading.Event()
    began = clock.now()
    clock.wait(0.02, stop)
    assert clock.now() - began >= 0.02
    assert abs(clock.wall() - time.time()) < 5
    stop.set()
    with pytest.raises(Stopped):
        clock.wait(60, stop)
