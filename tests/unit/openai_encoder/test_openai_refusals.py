"""Texts that are refused are found and named, and the others kept."""

from __future__ import annotations

import pytest

from revector.encoders.service.client import RetryPolicy
from revector.errors import RefusedTextsError, ServiceError
from services import TEXTS, assert_rows, honest, refuses, status


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_text_the_service_does_not_take_is_found_and_named_and_the_others_are_kept(encoder, service, code):
    texts = [*TEXTS[:9], "x" * 5000, *TEXTS[9:], "y" * 5000]
    service.otherwise = refuses(lambda text: len(text) > 4000, code)
    with pytest.raises(RefusedTextsError, match=r"2 of 25 .*texts\[9\]: .*maximum context length") as error:
        encoder().encode(texts)
    assert list(error.value.reasons) == [9, 24]
    good = [i for i in range(25) if i not in (9, 24)]
    assert_rows(error.value.rows[good], [texts[i] for i in good])
    accepted = [batch for batch in service.batches if not any(len(text) > 4000 for text in batch)]
    assert sorted(text for batch in accepted for text in batch if text != "a") == sorted(TEXTS)  # each paid for once


def test_a_batch_that_is_too_large_is_halved(encoder, service):
    def at_most_five(exchange):
        status(413)(exchange) if len(exchange.texts) > 5 else honest(exchange)

    service.otherwise = at_most_five
    assert_rows(encoder().encode(TEXTS), TEXTS)


def test_a_service_that_refuses_everything_is_asked_without_what_it_may_not_know_and_then_no_more(encoder, service):
    service.otherwise = status(400, b"dimensions is not supported")
    with pytest.raises(ServiceError, match=r"dimensions is not supported.*refuses the text 'a', too"):
        encoder().encode(TEXTS)
    asked = [(exchange.texts, "dimensions" in exchange.payload, "encoding_format" in exchange.payload)
             for exchange in service.exchanges]  # fmt: skip
    assert asked == [(TEXTS, True, True), (["a"], True, True), (["a"], False, True), (["a"], False, False)]


def test_a_text_that_makes_the_server_fail_is_isolated(encoder, service):
    def crash(exchange):
        status(500)(exchange) if "poison" in exchange.texts else honest(exchange)

    service.otherwise = crash
    with pytest.raises(RefusedTextsError, match=r"texts\[2\]: after 2 attempts: .* answered 500"):
        encoder(retries=RetryPolicy(attempts=2)).encode(["a", "b", "poison", "c"])


def test_a_server_that_fails_on_everything_is_not_blamed_on_the_texts(encoder, service):
    service.otherwise = status(500)
    with pytest.raises(ServiceError, match="answered 500"):
        encoder(retries=RetryPolicy(attempts=2)).encode(TEXTS)
    assert service.batches == [TEXTS, TEXTS, ["a"]]


def test_half_a_surrogate_pair_is_named_and_not_sent(encoder, service):
    with pytest.raises(RefusedTextsError, match=r"texts\[1\]: not valid Unicode") as error:
        encoder().encode(["fine", "\ud83d", "as well"])
    assert_rows(error.value.rows[[0, 2]], ["fine", "as well"])
