"""What a request holds, and the rows of an honest answer."""

from __future__ import annotations

import numpy as np
import pytest

from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import ServiceError
from services import DIMENSION, KEY, TEXTS, assert_rows


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


def test_the_key_is_in_no_message_and_no_repr(encoder, service):
    service.otherwise = lambda exchange: exchange.send(401, f"bad key: {exchange.headers['authorization']}".encode())
    one = encoder(headers={"api-key": "an-azure-secret"})
    with pytest.raises(ServiceError, match=r"bad key: Bearer \[secret\]") as error:
        one.encode(["a"])
    shown = f"{one!r} {one.space!r} {error.value!r} {error.value.body} {error.value.__cause__!r}"
    assert KEY not in shown
    assert "azure-secret" not in shown
