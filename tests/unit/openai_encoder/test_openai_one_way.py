"""Every question to a service goes the same way, the first one for the dimension as well."""

from __future__ import annotations

import threading

import pytest

from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import RateLimitedError, ServiceError
from services import DIMENSION, KEY, TEXTS, altered, assert_rows, half_a_body, honest, status

FIRST, LATER = {"dimensions": None}, {"dimensions": DIMENSION}


def without(*fields, code=400):
    """Refuse requests that have one of some fields."""

    def behave(exchange):
        named = [name for name in fields if name in exchange.payload]
        status(code, f"unknown field {named[0]}".encode())(exchange) if named else honest(exchange)

    return behave


@pytest.mark.parametrize("options", [FIRST, LATER], ids=["first", "later"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(200, {"error": {"message": "Insufficient credits", "code": 402}}), "Insufficient credits"),
        (status(200, {"error": "Insufficient credits"}), "Insufficient credits"),
        (status(200, {"errors": ["Insufficient credits"]}), "Insufficient credits"),
        (status(200, {"object": "error", "message": "Insufficient credits"}), "Insufficient credits"),
        (status(200, {"data": [], "error": {"message": "Insufficient credits"}}), "Insufficient credits"),
        (status(400, {"error": "API key not valid"}), "API key not valid"),
        (status(402, {"error": "pay first"}), "pay first.*check what the account may still spend"),
        (altered(lambda document: {"data": []}), "0 rows for"),
        (altered(lambda document: {"data": None}), "a list 'data'"),
        (altered(lambda document: {}), "a list 'data'"),
        (altered(lambda document: document["data"][0].update(embedding=None)), "an embedding is NoneType"),
        (altered(lambda document: document["data"][0].update(embedding=[])), "rows have 0"),
        (altered(lambda document: document["data"][0].update(embedding={"a": 1})), "an embedding is dict"),
        (altered(lambda document: document["data"][0].update(embedding=[True] * DIMENSION)), "an embedding is list"),
        (altered(lambda document: document["data"][0].update(index=7)), "rows are numbered"),
        (altered(lambda document: document["data"][0].update(index="0")), "rows are numbered"),
        (status(200, b"<html>Log in</html>"), "something else than JSON: '<html>Log in</html>'"),
        (status(200, b'{"data": [{"embed'), "something else than JSON"),
        (status(200, b"[" * 100_000), "something else than JSON"),
        (half_a_body, "peer closed connection|incomplete|Remote"),
        (status(204, b""), "answered 204"),
        (status(302, b"", Location="https://elsewhere/v1"), "redirects: give the address"),
        (status(308, b""), "redirects: give the address"),
    ],
)
def test_an_answer_that_is_not_one_is_a_service_error_in_its_own_words(encoder, service, options, answer, words):
    service.otherwise = answer
    with pytest.raises(ServiceError, match=words) as error:
        encoder(**options).encode(TEXTS[:3])
    assert type(error.value) is ServiceError


def test_two_lengths_in_one_answer_are_refused_where_none_is_known(encoder, service):
    service.otherwise = altered(lambda document: document["data"][-1].update(embedding=[0.5] * 3))
    one = encoder(dimensions=None, known_dimension=DIMENSION)
    with pytest.raises(ServiceError, match=rf"rows have 3, {DIMENSION} numbers"):
        one.encode(TEXTS)


def test_a_limit_in_a_successful_answer_is_waited_for(encoder, service, clock):
    service.then(status(200, {"error": {"message": "rate limit exceeded", "code": 429}}, Retry_After="7"))
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert sum(clock.waits) == pytest.approx(7)


def test_a_text_that_a_successful_answer_refuses_is_found(encoder, service):
    def behave(exchange):
        bad = {"error": {"message": "too long", "type": "invalid_request_error"}}
        exchange.send(200, bad) if "bad" in exchange.texts else honest(exchange)

    service.otherwise = behave
    with pytest.raises(Exception, match=r"texts\[1\]: .*too long"):
        encoder().encode(["a", "bad", "b"])


@pytest.mark.parametrize("options", [FIRST, LATER], ids=["first", "later"])
@pytest.mark.parametrize("code", [400, 422])
def test_a_service_that_refuses_to_be_told_a_format_is_asked_without_from_then_on(encoder, service, options, code):
    service.otherwise = without("encoding_format", code=code)
    one = encoder(**options)
    assert_rows(one.encode(TEXTS), TEXTS)
    refused = sum("encoding_format" in exchange.payload for exchange in service.exchanges)
    assert_rows(one.encode(TEXTS), TEXTS)
    assert sum("encoding_format" in exchange.payload for exchange in service.exchanges) == refused <= 2


def test_what_a_service_refuses_to_be_told_is_remembered_in_the_source(encoder, service):
    service.otherwise = without("encoding_format")
    one = encoder(dimensions=None)
    one.encode(["a"])
    service.exchanges.clear()
    again = OpenAIEncoder.from_source(one.source)
    assert_rows(again.encode(TEXTS), TEXTS)
    assert len(service.exchanges) == 1


def test_a_service_that_refuses_dimensions_may_have_the_right_ones(encoder, service):
    service.otherwise = without("dimensions")
    assert_rows(encoder(dimensions=DIMENSION).encode(TEXTS), TEXTS)


def test_a_service_that_refuses_dimensions_and_has_others_is_an_error(encoder, service):
    service.otherwise = without("dimensions")
    with pytest.raises(ServiceError, match="unknown field dimensions"):
        encoder(dimensions=DIMENSION // 2).encode(TEXTS)


def test_a_format_can_be_left_out(encoder, service):
    assert_rows(encoder(encoding_format=None).encode(TEXTS), TEXTS)
    assert "encoding_format" not in service.exchanges[0].payload


def test_the_dimension_is_asked_for_once_by_any_number_of_threads(encoder, service):
    one = encoder(dimensions=None, concurrency=4)
    threads = [threading.Thread(target=lambda: one.space) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.batches == [["a"]]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "9" * 30},
        {"Retry_After": "1e300"},
        {"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"retry_after_ms": "9" * 30},
    ],
)
def test_an_absurd_pause_is_an_error_at_once_and_of_a_day_at_most(encoder, service, clock, headers):
    service.then(status(429, **headers))
    one = encoder()
    for _ in range(2):  # the second is not sent
        with pytest.raises(RateLimitedError) as error:
            one.encode(["a"])
        assert error.value.retry_after_seconds == 86_400
    assert (clock.waits, len(service.exchanges)) == ([], 1)


@pytest.mark.parametrize("value", ["-5", "nan", "inf", "soon", "", "Fri, 99 Foo 2026 99:99:99 GMT", "0x10", "١"])
def test_a_pause_that_makes_no_sense_is_as_good_as_none(encoder, service, clock, value):
    service.then(lambda exchange: exchange.send(429, {}, Retry_After=value.encode().decode("latin-1")))
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert sum(clock.waits) <= 1


def test_a_limit_that_is_set_back_at_a_date_in_seconds_does_not_stop_the_encoder(encoder, service, clock):
    used_up = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1700000000"}
    service.otherwise = lambda exchange: exchange.send(200, exchange.honest(), **used_up)
    one = encoder()
    one.encode(["a"])
    assert_rows(one.encode(TEXTS), TEXTS)


def test_an_encoder_is_closed_twice_and_then_says_so(encoder):
    one = encoder()
    one.close()
    one.close()
    with pytest.raises(ServiceError, match="the encoder is closed; make a new one"):
        one.encode(["a"])


@pytest.mark.parametrize("fields", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}, {"a": "\ud800"}, {"a": b"x"}])
def test_what_cannot_be_sent_as_json_is_refused_at_once(encoder, service, fields):
    with pytest.raises(ValueError, match="document_fields cannot be sent as JSON"):
        encoder(document_fields=fields)
    assert service.exchanges == []


def test_an_error_of_the_request_itself_is_not_tried_again(encoder, service, clock, monkeypatch):
    one = encoder()
    monkeypatch.setattr(one._endpoint, "url", "gopher://host/v1")
    with pytest.raises(ServiceError, match="cannot be sent: UnsupportedProtocol") as error:
        one.encode(["a"])
    assert KEY not in str(error.value)
    assert clock.waits == []
