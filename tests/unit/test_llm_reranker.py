"""The language model as a re-ranker, against a real service on this machine that fails, stalls and lies."""

from __future__ import annotations

import json
import pickle
import time
import traceback

import numpy as np
import pytest

from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.pacing import Pacer
from revector.errors import InvalidArgumentError, RateLimitedError, ServiceError, SpendCapError
from revector.rerank.llm import LlmReranker
from services import KEY, FakeClock, Service, content, honest, running, stalls, status

QUERY, DOCUMENTS = "a blue bike", ["a red car", "a blue bike", "nothing", "blue"]
SCORES = [10, 30, 0, 10]


@pytest.fixture
def service():
    with running(Service()) as service:
        yield service


@pytest.fixture
def reranker(service):
    """Return a maker of re-rankers, on a clock that nobody has to wait for."""
    made = []

    def make(**options):
        options = {"api_key": KEY, "pacer": Pacer(clock=FakeClock()), **options}
        made.append(LlmReranker("a-model", base_url=service.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_all_documents_are_judged_in_one_request(reranker, service):
    assert reranker().score(QUERY, DOCUMENTS).tolist() == SCORES
    (exchange,) = service.exchanges
    assert [one["text"] for one in exchange.shown["documents"]] == DOCUMENTS
    assert exchange.headers["authorization"] == f"Bearer {KEY}"


def test_pointwise_each_document_has_a_request(reranker, service):
    assert reranker(manner="pointwise").score(QUERY, DOCUMENTS).tolist() == SCORES
    assert len(service.exchanges) == len(DOCUMENTS)


def test_the_answer_has_to_follow_a_strict_schema(reranker, service):
    reranker().score(QUERY, DOCUMENTS)
    asked = service.exchanges[0].payload["response_format"]["json_schema"]
    assert asked["strict"]
    assert asked["schema"]["additionalProperties"] is False


def test_long_documents_are_cut_off(reranker, service):
    reranker(most_characters=5).score(QUERY, DOCUMENTS)
    assert [one["text"] for one in service.exchanges[0].shown["documents"]] == ["a red", "a blu", "nothi", "blue"]


def test_fields_of_ones_own_replace_the_temperature(reranker, service):
    reranker(fields={"seed": 1}).score(QUERY, DOCUMENTS)
    assert service.exchanges[0].payload["seed"] == 1
    assert "temperature" not in service.exchanges[0].payload


def test_no_documents_ask_nothing(reranker, service):
    assert reranker().score(QUERY, []).shape == (0,)
    assert not service.exchanges


def test_a_document_that_is_not_judged_has_no_score(reranker, service):
    def forget(said):
        return json.dumps({"judgements": said["judgements"][:3]})

    service.then(content(forget))
    assert np.isnan(reranker().score(QUERY, DOCUMENTS)).tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (lambda said: "yes, certainly", "expected a message of JSON"),
        (lambda said: "[1]", "expected a message of JSON"),
        (lambda said: json.dumps({"judgements": 3}), "expected a message of JSON"),
        (lambda said: json.dumps({"judgements": [{"document": 1}]}), "expected a message of JSON"),
        (lambda said: json.dumps({"judgements": [{"document": 9, "relevance": 1}]}), "expected each of 1 to 4"),
        (lambda said: json.dumps({"judgements": said["judgements"] * 2}), "expected each of 1 to 4 once"),
        (lambda said: json.dumps({"judgements": [{"document": 1, "relevance": 1e9}]}), "from 0 to 100"),
        (lambda said: json.dumps({"judgements": [{"document": 1, "relevance": "high"}]}), "from 0 to 100"),
        (lambda said: None, "expected a message of JSON"),
    ],
)
def test_lies_are_found(reranker, service, lie, message):
    service.then(content(lie))
    with pytest.raises(ServiceError, match=message):
        reranker().score(QUERY, DOCUMENTS)


def test_a_failure_is_tried_again(reranker, service):
    service.then(status(503), honest)
    assert reranker().score(QUERY, DOCUMENTS).tolist() == SCORES


def test_a_service_that_limits_for_long_says_so(reranker, service):
    service.otherwise = status(429, retry_after="3600")
    with pytest.raises(RateLimitedError):
        reranker().score(QUERY, DOCUMENTS)


@pytest.mark.parametrize("code", [400, 401, 404, 422, 500])
def test_a_refusal_is_a_service_error_without_the_key(reranker, service, code):
    service.otherwise = status(code, {"error": {"message": f"no, {KEY}"}})
    with pytest.raises(ServiceError) as error:
        reranker(retries=RetryPolicy(attempts=1)).score(QUERY, DOCUMENTS)
    assert KEY not in "".join(traceback.format_exception(error.value))


def test_nobody_waits_longer_than_asked(reranker, service):
    service.otherwise = stalls(5)
    began = time.perf_counter()
    assert np.isnan(reranker().score_within(QUERY, DOCUMENTS, 0.1)).all()
    assert time.perf_counter() - began < 2


def test_what_was_judged_in_time_counts(reranker, service):
    service.then(honest, honest, stalls(5))
    scores = reranker(manner="pointwise", concurrency=1).score_within(QUERY, DOCUMENTS, 1.0)
    assert np.isnan(scores).tolist() == [False, False, True, True]


def test_tokens_and_money_are_counted(reranker):
    one = reranker(price_per_million_tokens=1000.0)
    one.score(QUERY, DOCUMENTS)
    assert (one.tokens_used, one.spent) == (120, pytest.approx(0.12))


def test_the_cost_is_not_below_what_is_charged(reranker):
    assert reranker(price_per_million_tokens=1000.0).cost(QUERY, DOCUMENTS) > 0.12


def test_nothing_is_sent_beyond_the_cap(reranker, service):
    with pytest.raises(SpendCapError):
        reranker(price_per_million_tokens=1000.0, spend_cap=0.001).score(QUERY, DOCUMENTS)
    assert not service.exchanges


def test_without_a_price_there_is_no_cost(reranker):
    with pytest.raises(InvalidArgumentError, match="price_per_million_tokens"):
        reranker().cost(QUERY, DOCUMENTS)


def test_the_key_is_not_shown(reranker):
    one = reranker()
    assert KEY not in repr(one)
    with pytest.raises(InvalidArgumentError, match="its key"):
        pickle.dumps(one)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"manner": "pairwise"}, "manner"), ({"most_characters": 0}, "most_characters"), ({"concurrency": 0}, "conc")],
)
def test_arguments_that_cannot_be_used_are_refused(reranker, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        reranker(**options)
