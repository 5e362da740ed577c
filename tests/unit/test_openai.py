"""The encoder behind HTTP, against a real service on this machine that limits, fails, stalls and lies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate

import numpy as np
import pytest

from revector.collection import Collection
from revector.encoders import token_counts
from revector.encoders.base import TextEncoder
from revector.encoders.embeddings_client import RetryPolicy
from revector.encoders.openai import OpenAIEncoder
from revector.encoders.pacing import Pacer
from revector.encoders.token_counts import batches, count_at_most
from revector.errors import (
    EncoderError,
    InvalidArgumentError,
    RateLimitedError,
    RefusedTextsError,
    ServiceError,
    SpendCapError,
)
from revector.testing import HashEncoder
from services import (
    DIMENSION,
    MODEL,
    FakeClock,
    Service,
    altered,
    closes,
    half_a_body,
    honest,
    resets,
    running,
    stalls,
    status,
    tokens_of,
)

KEY = "sk-a-secret-nobody-should-see"
TEXTS = [f"text number {i} of them" for i in range(23)]


@pytest.fixture
def service():
    with running(Service()) as service:
        yield service


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def encoder(service, clock):
    """Return a maker of encoders for the service, on a clock that nobody has to wait for."""
    made = []

    def make(**options):
        options = {"dimensions": DIMENSION, "pacer": Pacer(clock=clock), "api_key": KEY, "concurrency": 1, **options}
        made.append(OpenAIEncoder("a-model", base_url=service.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def assert_rows(rows, texts):
    np.testing.assert_allclose(rows, MODEL.encode(texts), atol=1e-6)


@pytest.mark.parametrize("encoding_format", ["base64", "float"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_rows_are_unit_rows_in_the_order_of_the_texts(encoder, service, encoding_format, concurrency):
    one = encoder(encoding_format=encoding_format, concurrency=concurrency, max_texts_per_request=3)
    rows = one.encode(TEXTS)
    assert rows.dtype == np.float32
    assert_rows(rows, TEXTS)
    assert {exchange.payload["encoding_format"] for exchange in service.exchanges} == {encoding_format}


def test_a_request_says_what_the_service_needs(encoder, service):
    one = encoder(headers={"X-Team": "search-team"}, query_prefix="find: ", query_fields={"input_type": "query"})
    one.encode(["a text"], kind="query")
    (exchange,) = service.exchanges
    assert exchange.payload == {
        "model": "a-model",
        "encoding_format": "base64",
        "dimensions": DIMENSION,
        "input_type": "query",
        "input": ["find: a text"],
    }
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.headers["x-team"] == "search-team"


def test_the_key_comes_from_the_environment_and_none_is_sent_without_one(encoder, service, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    encoder(api_key=None).encode(["a"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    encoder(api_key=None).encode(["a"])
    assert [e.headers.get("authorization") for e in service.exchanges] == [None, "Bearer sk-from-environment"]


def test_the_address_comes_from_the_environment(service, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    assert_rows(OpenAIEncoder("a-model", dimensions=DIMENSION).encode(["a b"]), ["a b"])


def test_batches_hold_both_limits(encoder, service):
    one = encoder(max_texts_per_request=4, max_tokens_per_request=10, count_tokens=lambda ts: [len(t) for t in ts])
    one.encode(["xxx", "xxx", "xxx", "xxx", "xxxxxxxxxxxxxxx", "x", "x", "x", "x", "x"])
    assert [[len(text) for text in batch] for batch in service.batches] == [[3, 3, 3], [3], [15], [1, 1, 1, 1], [1]]


def test_no_texts_are_no_request(encoder, service):
    assert encoder().encode([]).shape == (0, DIMENSION)
    assert service.exchanges == []


def test_the_empty_text_is_sent_as_a_space(encoder, service):
    rows = encoder().encode(["", "a"])
    assert service.batches == [[" ", "a"]]
    assert np.isfinite(rows).all()


def test_the_dimension_is_asked_for_once_if_it_is_not_given(encoder, service):
    one = encoder(dimensions=None)
    assert one.space.dimension == one.space.dimension == DIMENSION
    assert service.batches == [["a"]]
    assert "dimensions" not in service.exchanges[0].payload


def test_an_encoder_follows_the_protocol_and_can_be_made_again_from_its_source(encoder, service):
    one = encoder(pacer=None, query_prefix="q: ", document_fields={"task": "x&y"}, spend_cap=5.0,
                  price_per_million_tokens=0.02, requests_per_minute=500.0)  # fmt: skip
    assert isinstance(one, TextEncoder)
    assert KEY not in one.source
    again = OpenAIEncoder.from_source(one.source)
    assert (again.space, again.source) == (one.space, one.source)
    assert_rows(again.encode(["a b"]), ["a b"])


def test_an_encoder_made_again_need_not_ask_for_the_dimension(encoder, service):
    one = encoder(dimensions=None)
    space = one.space
    again = OpenAIEncoder.from_source(one.source)
    assert again.space == space
    assert service.batches == [["a"]]
    again.encode(["b"])
    assert "dimensions" not in service.exchanges[-1].payload


def test_a_collection_finds_the_service_again(encoder, service, tmp_path):
    texts = ["how to bake bread", "how to mend a bicycle"]
    one = encoder(dimensions=None)
    with Collection.open(str(tmp_path / "docs.db"), one) as docs:
        docs.upsert(["a", "b"], texts)
    with Collection.open(str(tmp_path / "docs.db")) as docs:
        assert docs.search("bake bread", k=1)[0].id == "a"


def test_a_collection_migrates_to_a_service_and_lists_what_it_refuses(encoder, service, tmp_path):
    service.otherwise = refuses(lambda text: len(text) > 4000)
    with Collection.open(str(tmp_path / "docs.db"), HashEncoder(8)) as docs:
        docs.upsert(["a", "long", "b"], ["how to bake bread", "x" * 5000, "how to mend a bicycle"])
        migration = docs.migrate(encoder(max_texts_per_request=2))
        migration.start()
        migration.run()
        jobs = migration.status().target_jobs
    assert (jobs.done, jobs.failed, jobs.pending) == (2, 1, 0)


def test_an_encoder_with_headers_of_its_own_has_no_source(encoder):
    assert encoder(headers={"api-key": "an-azure-secret"}).source is None


def test_what_changes_the_vectors_changes_the_space(encoder):
    spaces = [
        encoder(**options).space.fingerprint
        for options in ({}, {"dimensions": 8}, {"revision": "2"}, {"query_prefix": "q"}, {"query_fields": {"a": 1}})
    ]
    assert len(set(spaces)) == len(spaces)
    assert encoder(concurrency=3, timeout_seconds=9, headers={"a": "b"}).space.fingerprint == spaces[0]


# --- what is tried again


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


@pytest.mark.parametrize("failure", [status(500), status(502), status(503), status(408), status(529)])
def test_a_service_that_fails_and_recovers_is_waited_for_with_full_jitter(encoder, service, clock, failure):
    service.then(failure, failure, failure)
    assert_rows(encoder().encode(TEXTS), TEXTS)
    assert len(clock.waits) == 3
    assert all(0 <= wait <= most for wait, most in zip(clock.waits, (1, 2, 4), strict=True))


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


# --- what is not


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
    with pytest.raises(ServiceError, match=f"after 2 attempts: {url}/embeddings can not be reached"):
        one.encode(["a"])


def test_the_key_is_in_no_message_and_no_repr(encoder, service):
    service.otherwise = lambda exchange: exchange.send(401, f"bad key: {exchange.headers['authorization']}".encode())
    one = encoder(headers={"api-key": "an-azure-secret"})
    with pytest.raises(ServiceError, match=r"bad key: Bearer \[secret\]") as error:
        one.encode(["a"])
    shown = f"{one!r} {one.space!r} {error.value!r} {error.value.body} {error.value.__cause__!r}"
    assert KEY not in shown
    assert "azure-secret" not in shown


# --- answers that can not be right


def _drop_a_row(document):
    del document["data"][1]


def _add_a_row(document):
    document["data"].append(document["data"][0])


def _repeat_an_index(document):
    document["data"][1]["index"] = 0


def _number_from_one(document):
    for item in document["data"]:
        item["index"] += 1


def _lose_an_index(document):
    del document["data"][1]["index"]


def _shorten_a_row(document):
    document["data"][1]["embedding"] = document["data"][1]["embedding"][:8]


def _shorten_all(document):
    for item in document["data"]:
        item["embedding"] = [0.5] * 8


def _no_row(document):
    document["data"][0]["embedding"] = None


def _text_in_a_row(document):
    document["data"][0]["embedding"] = ["0.5"] * DIMENSION


def _bad_base64(document):
    document["data"][0]["embedding"] = "not base64!"


def _odd_base64(document):
    document["data"][0]["embedding"] = "QUJD"


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (_drop_a_row, "22 rows for 23 texts"),
        (_add_a_row, "24 rows for 23 texts"),
        (_repeat_an_index, "expected each of 0 to 22 once"),
        (_number_from_one, "expected each of 0 to 22 once"),
        (_lose_an_index, "expected each of 0 to 22 once"),
        (_shorten_a_row, f"rows have 8, {DIMENSION} numbers, expected {DIMENSION} numbers each"),
        (_shorten_all, f"rows have 8 numbers, expected {DIMENSION} numbers each"),
        (_no_row, "an embedding is NoneType"),
        (_text_in_a_row, "an embedding is list"),
        (_bad_base64, "can not be read"),
        (_odd_base64, "can not be read"),
        (lambda document: {"data": "none"}, "expected an object with a list 'data'"),
        (lambda document: {"data": [1] * 23}, "expected an object with a list 'data'"),
        (lambda document: [1, 2], "expected an object with a list 'data'"),
    ],
)
def test_lies_about_rows_are_found(encoder, service, lie, message):
    service.otherwise = altered(lie)
    with pytest.raises(ServiceError, match=message) as error:
        encoder(encoding_format="float").encode(TEXTS)
    assert error.value.status == 200
    assert len(service.exchanges) == 1


def test_rows_out_of_order_are_put_in_order(encoder, service):
    service.otherwise = altered(lambda document: document["data"].reverse())
    assert_rows(encoder().encode(TEXTS), TEXTS)


def test_rows_without_an_index_are_taken_in_order(encoder, service):
    def strip(document):
        for item in document["data"]:
            del item["index"]

    service.otherwise = altered(strip)
    assert_rows(encoder().encode(TEXTS), TEXTS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e39, 10**400])
def test_a_row_that_is_no_number_is_the_fault_of_its_text(encoder, service, bad):
    def spoil(document):
        document["data"][5]["embedding"][3] = bad

    service.otherwise = altered(spoil)
    one = encoder(encoding_format="float")
    if bad == 10**400:  # JSON knows no limit; float64 does
        with pytest.raises(ServiceError, match="can not be read"):
            one.encode(TEXTS)
        return
    with pytest.raises(RefusedTextsError, match=r"texts\[5\]: the service returned NaN") as error:
        one.encode(TEXTS)
    assert list(error.value.reasons) == [5]
    assert np.isnan(error.value.rows[5]).all()
    assert_rows(np.delete(error.value.rows, 5, axis=0), TEXTS[:5] + TEXTS[6:])


def test_another_model_half_way_is_refused(encoder, service):
    service.then(honest, altered(lambda document: document.update(model="another-model")))
    one = encoder()
    one.encode(["a"])
    with pytest.raises(ServiceError, match="'another-model' by now, and did with 'a-model'"):
        one.encode(["b"])


def test_names_of_one_model_can_be_accepted(encoder, service):
    service.then(honest, altered(lambda document: document.update(model="a-model-v2")))
    one = encoder(check_model=False)
    assert_rows(one.encode(["a"]), ["a"])
    assert_rows(one.encode(["b"]), ["b"])


# --- texts that are refused


def refuses(bad, code=400):
    def behave(exchange):
        if any(bad(text) for text in exchange.texts):
            exchange.send(code, {"error": {"message": "this model's maximum context length is 8192 tokens"}})
        else:
            honest(exchange)

    return behave


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


def test_a_service_that_refuses_everything_is_asked_twice(encoder, service):
    service.otherwise = status(400, b"dimensions is not supported")
    with pytest.raises(ServiceError, match=r"dimensions is not supported.*refuses the text 'a', too"):
        encoder().encode(TEXTS)
    assert service.batches == [TEXTS, ["a"]]


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
    assert service.batches == [TEXTS, TEXTS, ["a"], ["a"]]


def test_half_a_surrogate_pair_is_named_and_not_sent(encoder, service):
    with pytest.raises(RefusedTextsError, match=r"texts\[1\]: not valid Unicode") as error:
        encoder().encode(["fine", "\ud83d", "as well"])
    assert_rows(error.value.rows[[0, 2]], ["fine", "as well"])


# --- money


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
    service.then(status(429), status(500), half_a_body)
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


# --- counting


def test_the_upper_bound_holds_for_every_script():
    texts = ["", "words", "𓀀𓂀", "数据迁移", "🧑‍🚀", "\ud83d", "a" * 10_000]
    assert all(count >= len(text) for count, text in zip(count_at_most(texts), texts, strict=True))
    assert count_at_most(["𓀀"])[0] >= 4  # a byte-level tokeniser may need each of its bytes


def test_tiktoken_counts_where_it_knows_the_model(monkeypatch):
    library = type(sys)("tiktoken")

    class Encoding:
        def encode_ordinary(self, text):
            return text.split()

    def encoding_for_model(model):
        if model != "text-embedding-3-small":
            raise KeyError(model)
        return Encoding()

    library.encoding_for_model = encoding_for_model
    monkeypatch.setitem(sys.modules, "tiktoken", library)
    assert token_counts.counter_for("text-embedding-3-small")(["two words", "one"]) == [2, 1]
    assert token_counts.counter_for("bge-m3") is count_at_most


def test_a_vocabulary_that_can_not_be_fetched_is_done_without(monkeypatch):
    library = type(sys)("tiktoken")

    def encoding_for_model(model):
        raise ConnectionError("no network")

    library.encoding_for_model = encoding_for_model
    monkeypatch.setitem(sys.modules, "tiktoken", library)
    assert token_counts.counter_for("text-embedding-3-small") is count_at_most


@pytest.mark.parametrize("seed", range(20))
def test_batches_cover_all_texts_once_within_the_limits(seed):
    counts = np.random.default_rng(seed).integers(1, 40, 200).tolist()
    ranges = list(batches(counts, max_tokens=60, max_texts=7))
    assert [place for places in ranges for place in places] == list(range(200))
    for places, following in zip(ranges, [*ranges[1:], None], strict=True):
        tokens = sum(counts[place] for place in places)
        assert len(places) <= 7
        assert tokens <= 60
        if following:  # no batch could have taken one more
            assert len(places) == 7 or tokens + counts[following[0]] > 60


# --- threads


def test_requests_under_way_are_bounded_across_threads(encoder, service):
    def slowly(exchange):
        time.sleep(0.01)
        honest(exchange)

    service.otherwise = slowly
    one = encoder(concurrency=3, max_texts_per_request=2)
    found = [None] * 4

    def run(i):
        found[i] = one.encode(TEXTS)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        assert_rows(rows, TEXTS)
    assert service.most_at_once == 3


def test_the_first_failure_ends_the_others(encoder, service):
    service.then(*[honest] * 3, status(401))
    with pytest.raises(ServiceError, match="401"):
        encoder(concurrency=2, max_texts_per_request=1).encode([f"t{i}" for i in range(200)])
    assert len(service.exchanges) < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "revector-request"]


def test_a_failure_ends_the_back_off_of_the_others(service):
    both_are_there, limited = threading.Event(), threading.Event()

    def behave(exchange):
        if exchange.texts == ["first"]:
            both_are_there.wait(20)
            status(429, Retry_After="100")(exchange)
            limited.set()
        else:
            both_are_there.set()
            limited.wait(20)
            time.sleep(0.1)  # the first one is waiting now
            status(401)(exchange)

    service.otherwise = behave
    one = OpenAIEncoder("m", base_url=service.url, dimensions=4, concurrency=2, max_texts_per_request=1)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="401"):
        one.encode(["first", "second"])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("concurrency", [1, 4])
def test_ctrl_c_is_heard_at_once(service, tmp_path, concurrency):
    service.otherwise = stalls(60)
    code = (
        "from revector.encoders.openai import OpenAIEncoder\n"
        f"encoder = OpenAIEncoder('m', base_url={service.url!r}, dimensions=4, concurrency={concurrency},\n"
        "    max_texts_per_request=1)\n"
        "encoder.encode(['a', 'b', 'c', 'd', 'e'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(service.exchanges) < concurrency and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(service.exchanges) == concurrency
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert "KeyboardInterrupt" in errors


# --- arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "model is ''"),
        ({"model": "a?b"}, "without"),
        ({"base_url": "localhost:8000"}, "expected an address"),
        ({"base_url": "ftp://host/v1"}, "expected an address"),
        ({"base_url": "http://host/v1?key=1"}, "expected an address"),
        ({"base_url": "http://[host"}, "expected an address"),
        ({"dimensions": 0}, "dimensions is 0"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"timeout_seconds": -1}, "timeout_seconds is -1"),
        ({"max_texts_per_request": 0}, "max_texts_per_request is 0"),
        ({"encoding_format": "int8"}, "encoding_format is 'int8'"),
        ({"pacer": Pacer(), "requests_per_minute": 5}, "not both"),
        ({"spend_cap": 5}, "price_per_million_tokens"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        OpenAIEncoder(**{"model": "m", "base_url": "http://localhost:1/v1", **options})


def test_a_password_in_the_address_is_refused_without_repeating_it():
    with pytest.raises(InvalidArgumentError, match="give them as headers") as error:
        OpenAIEncoder("m", base_url="https://me:hunter2@host/v1")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("options", [{"attempts": 0}, {"deadline_seconds": -1}, {"backoff_seconds": float("nan")}])
def test_retries_that_make_no_sense_are_refused(options):
    with pytest.raises(InvalidArgumentError):
        RetryPolicy(**options)


@pytest.mark.parametrize("texts", ["a text", [b"bytes"], ["fine", None], 7])
def test_what_is_not_text_is_refused(encoder, texts):
    with pytest.raises(InvalidArgumentError, match="expected"):
        encoder().encode(texts)


def test_an_unknown_kind_is_refused(encoder):
    with pytest.raises(InvalidArgumentError, match="kind is 'passage'"):
        encoder().encode(["a"], kind="passage")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("openai:", "not of the form"),
        ("text-embedding-3-small", "not of the form"),
        ("openai:m?api_key=sk-1", "no option 'api_key'"),
        ("openai:m?dimensions=many", "dimensions is 'many'"),
        ("openai:m?query_fields={", "query_fields is"),
    ],
)
def test_sources_that_can_not_be_read_are_refused(source, message):
    with pytest.raises(InvalidArgumentError, match=message):
        OpenAIEncoder.from_source(source)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ImportError, match=r"pip install 'revector\[openai\]'"):
        OpenAIEncoder("m")


def test_errors_of_the_service_are_encoder_errors():
    assert all(issubclass(e, EncoderError) for e in (ServiceError, RateLimitedError, SpendCapError, RefusedTextsError))
