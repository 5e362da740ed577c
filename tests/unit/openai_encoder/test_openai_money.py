"""What is counted, capped and estimated."""

from __future__ import annotations

import pytest

from revector.encoders.service.token_counts import count_at_most
from revector.errors import SpendCapError
from services import TEXTS, altered, half_a_body, status, tokens_of


def test_what_the_service_charges_is_counted(encoder, service):
    one = encoder(price_per_million_tokens=2.0)
    one.encode(TEXTS)
    assert one.tokens_used == sum(map(tokens_of, TEXTS))
    assert one.spent == pytest.approx(one.tokens_used * 2e-6)


@pytest.mark.parametrize(
    "usage", [None, {}, {"total_tokens": -5}, {"total_tokens": "7"}, {"total_tokens": 0}, {"total_tokens": True}, [3]]
)
def test_charges_that_can_not_be_are_replaced_by_our_own_count(encoder, service, usage):
    service.otherwise = altered(lambda document: document.update(usage=usage))
    one = encoder()
    one.encode(TEXTS)
    assert one.tokens_used == sum(count_at_most(TEXTS))


def test_a_lost_answer_is_counted_and_a_refusal_is_not(encoder, service):
    service.then(status(429), half_a_body, status(408))
    one = encoder()
    one.encode(TEXTS)
    assert one.tokens_used == sum(count_at_most(TEXTS)) + sum(map(tokens_of, TEXTS))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_spend_cap_is_never_passed(encoder, service, concurrency):
    one = encoder(
        price_per_million_tokens=1e6,
        spend_cap=40.0,
        count_tokens=lambda texts: [2 * tokens_of(text) for text in texts],  # the service charges half of that
        max_texts_per_request=1,
        concurrency=concurrency,
    )
    with pytest.raises(SpendCapError) as error:
        one.encode(TEXTS)  # five tokens each
    sent = sum(tokens_of(text) for batch in service.batches for text in batch)
    assert error.value.spent == one.spent == sent <= 40
    assert sent > 30  # and it was used: the next request might have cost ten
    assert error.value.cap == 40


def test_an_estimate_costs_nothing_and_learns_from_charges(encoder, service):
    one = encoder(price_per_million_tokens=10.0)
    first = one.estimate(TEXTS)
    assert service.exchanges == []
    assert first.at_most == sum(count_at_most(TEXTS))
    assert (first.tokens, first.price) == (round(first.at_most / 4), pytest.approx(round(first.at_most / 4) * 1e-5))
    one.encode(TEXTS)
    assert one.estimate(TEXTS).tokens == sum(map(tokens_of, TEXTS))


def test_an_estimate_has_no_price_without_one(encoder):
    assert encoder().estimate(["a"]).price is None
