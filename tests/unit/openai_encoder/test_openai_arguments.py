"""Arguments and sources that are refused."""

from __future__ import annotations

import sys

import pytest

from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.encoders.service.pacing import Pacer
from revector.errors import (
    EncoderError,
    InvalidArgumentError,
    RateLimitedError,
    RefusedTextsError,
    ServiceError,
    SpendCapError,
)


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
