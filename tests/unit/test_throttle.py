"""What a throttle says of a moment: how long a worker waits, and why."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from revector.errors import InvalidArgumentError
from revector.migration.throttle import (
    FREE,
    Held,
    Throttle,
    by_answer,
    by_load,
    by_rate,
    by_search,
    by_share,
    by_status,
    by_window,
)


def _at(time):
    return datetime.fromisoformat(f"2026-11-30T{time}")


@pytest.mark.parametrize("time", ["22:00:00", "23:59:59", "00:00:00", "05:59:59"])
def test_a_window_over_midnight_is_open_until_its_end(time):
    assert by_window("22:00-06:00", _at(time)) == FREE


@pytest.mark.parametrize(("time", "seconds"), [("06:00:00", 16 * 3600), ("21:59:30", 30)])
def test_outside_its_window_a_run_waits_until_it_opens(time, seconds):
    assert by_window("22:00-06:00", _at(time)) == Held(seconds, "waits until 22:00")


def test_a_window_that_is_over_for_today_opens_tomorrow():
    assert by_window("1:00-02:00", _at("03:00:00")).seconds == 22 * 3600


def test_a_load_above_the_bound_is_waited_for():
    assert by_load(1.5, 1.5) == FREE
    assert by_load(1.5, 1.94).reason == "waits: load 1.94 a core > 1.5"


@pytest.mark.parametrize("answer", [None, 0, False, 0.0, -1, Decimal(0)])
def test_nothing_zero_and_false_let_a_run_go_on(answer):
    assert by_answer(answer) == FREE


@pytest.mark.parametrize("answer", [3, True, 0.5, Decimal("0.1")])
def test_a_query_that_answers_more_than_zero_holds_a_run(answer):
    assert by_answer(answer).reason == f"waits: the query says {answer}"


def test_an_answer_that_is_not_a_number_holds_a_run_and_is_named():
    assert "'busy', which is not a number" in by_answer("busy").reason


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7), (None, 1), ("0", 1), ("99999", 300), ("tomorrow", 1)])
def test_a_service_says_how_long_to_wait(retry_after, seconds):
    assert by_status("http://t", 503, retry_after) == Held(seconds, "waits: http://t says 503")


def test_a_status_that_nobody_foresaw_holds_a_run():
    assert by_status("http://t", 200, None) == FREE
    assert "says 404, expected" in by_status("http://t", 404, None).reason


def test_searches_that_are_slow_are_waited_for():
    assert by_search(50, 81.4).reason == "waits: search p99 81 ms > 50 ms"
    assert by_search(50, 50) == FREE


def test_a_rate_is_shared_by_the_workers():
    assert by_rate(100, 1, 50, 0.5) == FREE
    assert by_rate(100, 2, 50, 0.25) == Held(0.75, "held to 100/s by rate", paces=True)


def test_a_share_of_the_time_is_slept_in_proportion():
    assert by_share(0.25, busy=1.0, idle=2.0) == Held(1.0, "held to 25% of the time by share", paces=True)
    assert by_share(1.0, busy=1.0, idle=0.0) == FREE


@pytest.mark.parametrize(
    "limits",
    [
        {"rate": 0}, {"rate": "fast"}, {"share": 1.5}, {"share": 0}, {"batch": 0}, {"batch": 1.5}, {"max_load": -1},
        {"search_p99": float("nan")}, {"window": "22-6"}, {"window": "24:00-06:00"}, {"window": "06:00-6:00"},
        {"query": " "}, {"http": "localhost"}, {"http": "file:///etc/passwd"}, {"http": "http://me:secret@t"},
    ],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused_and_named(limits):
    with pytest.raises(InvalidArgumentError, match=f"^{min(limits)} "):
        Throttle(**limits)


def test_a_password_in_a_url_is_not_repeated():
    with pytest.raises(InvalidArgumentError) as caught:
        Throttle(http="http://me:secret@t")
    assert "secret" not in str(caught.value)


def test_what_is_not_a_limit_is_named_beside_those_there_are():
    with pytest.raises(InvalidArgumentError, match="'speed' is not a limit; there are max_load, query"):
        Throttle().changed(speed=11)


def test_a_throttle_is_said_in_words():
    assert str(Throttle()) == "no limits"
    assert str(Throttle(rate=500, window="22:00-06:00")) == "500 documents a second, from 22:00-06:00"
