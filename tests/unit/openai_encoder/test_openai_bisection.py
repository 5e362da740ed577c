"""A server that fails on a text: how many requests and how much waiting it takes to find it."""

from __future__ import annotations

import math

import pytest

from revector.collection import Collection
from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.pacing import Pacer
from revector.errors import RefusedTextsError
from revector.testing import HashEncoder
from services import assert_rows, closes, honest, refuses, resets, stalls, status


def is_bad(text):
    return text.startswith("bad")


def numbered(n, *bad):
    return [f"{'bad' if i in bad else 'text'} {i}" for i in range(n)]


@pytest.mark.parametrize("code", [400, 413, 500, 502, 503])
@pytest.mark.parametrize("n", [1, 2, 3, 64, 128])
def test_one_bad_text_takes_two_requests_a_halving_and_a_few_more(encoder, service, clock, code, n):
    service.otherwise = refuses(is_bad, code)
    with pytest.raises(RefusedTextsError) as error:
        encoder().encode(numbered(n, n - 1))
    assert list(error.value.reasons) == [n - 1]
    assert len(service.exchanges) <= 2 * math.ceil(math.log2(n)) + 6
    assert sum(clock.waits) <= 3  # before the second attempt of the batch, and of the text that stands alone


def test_a_bad_text_of_many_batches_is_found_within_its_own(encoder, service, clock):
    service.otherwise = refuses(is_bad, 500)
    with pytest.raises(RefusedTextsError):
        encoder(max_texts_per_request=32).encode(numbered(320, 77))
    assert len(service.exchanges) <= 9 + 2 * 5 + 6
    assert sum(clock.waits) <= 3


def test_every_good_text_is_paid_for_once(encoder, service):
    texts = numbered(64, 5, 6, 40)
    service.otherwise = refuses(is_bad, 500)
    with pytest.raises(RefusedTextsError) as error:
        encoder().encode(texts)
    paid = [text for batch in service.batches if not any(map(is_bad, batch)) for text in batch if text != "a"]
    good = [text for text in texts if not is_bad(text)]
    assert sorted(paid) == sorted(good)
    assert_rows(error.value.rows[[i for i, text in enumerate(texts) if not is_bad(text)]], good)


@pytest.mark.parametrize("failure", [closes, resets, status(503, Retry_After="1")])
def test_a_text_at_which_the_server_hangs_up_or_asks_to_wait_is_found(encoder, service, failure):
    service.otherwise = lambda exchange: failure(exchange) if any(map(is_bad, exchange.texts)) else honest(exchange)
    with pytest.raises(RefusedTextsError) as error:
        encoder().encode(numbered(64, 21))
    assert list(error.value.reasons) == [21]
    assert len(service.exchanges) <= 2 * 6 + 6 + 8


def test_a_text_at_which_the_server_stalls_is_found(encoder, service):
    service.otherwise = lambda exchange: (stalls(5) if any(map(is_bad, exchange.texts)) else honest)(exchange)
    with pytest.raises(RefusedTextsError, match=r"texts\[1\]: .*[Tt]ime"):
        encoder(timeout_seconds=0.2).encode(numbered(4, 1))


def test_a_failure_that_happens_once_is_blamed_on_nobody(encoder, service):
    service.then(status(500))
    assert_rows(encoder().encode(numbered(64)), numbered(64))
    assert len(service.exchanges) == 2


def test_nothing_is_waited_for_beyond_the_deadline(encoder, service, clock):
    def slow(exchange):
        clock.time += 20
        status(500)(exchange) if any(map(is_bad, exchange.texts)) else honest(exchange)

    service.otherwise = slow
    with pytest.raises(RefusedTextsError):
        encoder(retries=RetryPolicy(deadline_seconds=60)).encode(numbered(16, 3))
    assert sum(clock.waits) <= 1  # the text that stands alone is not tried again


@pytest.mark.parametrize("code", [400, 500])
def test_a_migration_with_one_bad_text_adds_a_few_requests(encoder, service, clock, tmp_path, code):
    service.otherwise = refuses(is_bad, code)
    with Collection.open(tmp_path / "docs.db", HashEncoder(8)) as docs:
        docs.upsert([str(i) for i in range(100)], numbered(100, 42))
        migration = docs.migrate(encoder(pacer=Pacer(clock=clock)))
        migration.start()
        migration.run()
        status = migration.status()
    assert (status.moved, status.target_jobs.failed) == (99, 1)
    assert len(service.exchanges) <= 2 + 2 * 6 + 3 * 6
    assert sum(clock.waits) <= 2 + 3
