"""What is tried again, how long it is waited for, and what is an error at once."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.encoders.service.pacing import Pacer
from revector.errors import RateLimitedError, ServiceError
from services import TEXTS, Service, assert_rows, closes, half_a_body, resets, running, stalls, status


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"retry_after_ms": "1250", "Retry_After": "2"}, 1.25),
        ({"Retry_After": formatdate(1_700_000_030, usegmt=True), "Date": formatdate(1_700_000_000, usegmt=True)}, 30),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m1s"}, 61),
    ],
)
def test_a_limit_is_waited_for_as_long_as_the_service_asks(encoder, service, clock, headers, seconds):
    service.then(status(429, **headers))
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert len(service.exchanges) == 2
    assert sum(clock.waits) == pytest.approx(seconds)


def test_the_pause_that_one_request_is_given_holds_for_all(encoder, service, clock):
    service.then(status(429, Retry_After="40"))
    pacer = Pacer(clock=clock)
    encoder(pacer=pacer).encode(["a"])
    began = clock.now()
    pacer.pause(25)
    encoder(pacer=pacer).encode(["b"])
    assert clock.now() - began == pytest.approx(25)


def test_a_limit_that_is_used_up_is_waited_for_before_it_is_hit(encoder, service, clock):
    used_up = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "3s"}
    service.then(lambda exchange: exchange.send(200, exchange.honest(), **used_up))
    encoder(max_texts_per_request=1).encode(["a", "b"])
    assert sum(clock.waits) == pytest.approx(3)


@pytest.mark.parametrize("failure", [status(408), status(425), status(529)])
def test_a_service_that_recovers_is_waited_for_with_full_jitter(encoder, service, clock, failure):
    service.then(failure, failure, failure)
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert len(clock.waits) == 3
    assert all(0 <= wait <= most for wait, most in zip(clock.waits, (1, 2, 4), strict=True))


@pytest.mark.parametrize("failure", [status(500), status(502), status(503), status(504), resets, half_a_body])
def test_a_server_that_fails_and_recovers_is_waited_for_with_a_harmless_text(encoder, service, clock, failure):
    service.then(*[failure] * 5)
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert service.batches[:6] == [TEXTS, TEXTS, ["a"], ["a"], ["a"], ["a"]]
    assert all(0 <= wait <= most for wait, most in zip(clock.waits, (1, 4, 8, 16), strict=True))


@pytest.mark.parametrize(
    "failure", [resets, closes, half_a_body, status(200, b"<html>gateway</html>"), status(200, b"")]
)
def test_a_lost_or_mangled_answer_is_asked_for_again(encoder, service, failure):
    service.then(failure)
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert len(service.exchanges) == 2


def test_a_service_that_stalls_is_given_up_and_asked_again(encoder, service):
    service.then(stalls(20))
    began = time.monotonic()
    assert_rows(encoder(timeout_seconds=0.3).encode(["a"]), ["a"])
    assert time.monotonic() - began < 5


def test_back_off_doubles_up_to_its_most_and_is_spread_evenly():
    policy = RetryPolicy(backoff_seconds=2, backoff_most_seconds=30)
    assert [policy.pause(attempt, 1.0) for attempt in range(1, 7)] == [2, 4, 8, 16, 30, 30]
    assert policy.pause(3, 0.25) == 2
    assert policy.pause(10**6, 0.5) == 15


def test_a_limit_that_lasts_is_an_error_with_the_pause(encoder, service, clock):
    service.otherwise = status(429, Retry_After="3600")
    with pytest.raises(RateLimitedError, match=r"after 1 attempt: .* asks to wait 3.6e") as error:
        encoder().encode(["a"])
    assert error.value.retry_after_seconds == 3600
    assert clock.waits == []


def test_attempts_are_limited(encoder, service):
    service.otherwise = status(503, b"overloaded")
    with pytest.raises(ServiceError, match=r"after 4 attempts: .*answered 503: 'overloaded'") as error:
        encoder(retries=RetryPolicy(attempts=4)).encode(["a"])
    assert (error.value.status, error.value.body) == (503, "overloaded")
    assert len(service.exchanges) == 4


def test_no_attempt_begins_after_the_deadline(encoder, service, clock):
    service.otherwise = status(429, Retry_After="20")
    with pytest.raises(RateLimitedError, match="after 3 attempts"):
        encoder(retries=RetryPolicy(attempts=100, deadline_seconds=50)).encode(["a"])
    assert clock.now() - 1000 == pytest.approx(40)


def test_a_quota_that_is_used_up_is_no_rate_limit(encoder, service, clock):
    service.otherwise = status(429, {"error": {"code": "insufficient_quota", "message": "pay"}})
    with pytest.raises(ServiceError, match="insufficient_quota"):
        encoder().encode(["a"])
    assert len(service.exchanges) == 1


@pytest.mark.parametrize(("code", "remedy"), [(401, "API key"), (403, "API key"), (404, "base_url"), (302, "302")])
def test_a_refusal_for_good_is_not_tried_again(encoder, service, code, remedy):
    service.otherwise = status(code)
    with pytest.raises(ServiceError, match=remedy) as error:
        encoder().encode(TEXTS)
    assert error.value.status == code
    assert len(service.exchanges) == 1


def test_nobody_there_is_an_error_that_names_the_address(service, clock):
    with running(Service()) as gone:
        url = gone.url
    one = OpenAIEncoder("m", base_url=url, dimensions=4, pacer=Pacer(clock=clock), retries=RetryPolicy(attempts=2))
    with pytest.raises(ServiceError, match=f"after 2 attempts: {url}/embeddings cannot be reached"):
        one.encode(["a"])
