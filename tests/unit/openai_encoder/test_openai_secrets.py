"""Keys and headers are sent, and seen nowhere else."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

from revector.collection import Collection
from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import EncoderError, InvalidArgumentError
from revector.testing import HashEncoder
from services import status

KEY = "sk-Very/secret+key=12'3"
ONCE = RetryPolicy(attempts=1)


def everything(error, beyond):
    """Return all that a report of an error may show of frames beyond a file, their variables included."""
    seen, pending = [], [error]
    while pending:
        one = pending.pop()
        seen += [str(one), repr(one), repr(vars(one))]
        frames = traceback.TracebackException.from_exception(one, capture_locals=True).stack
        seen += [f"{frame.line} {frame.locals}" for frame in frames if frame.filename != beyond]
        pending += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(seen)


@pytest.mark.parametrize("given", [{"api_key": KEY}, {"headers": {"x-key": KEY}}, {"headers": {"authorization": KEY}}])
@pytest.mark.parametrize("code", [200, 204, 302, 400, 401, 429, 500])
@pytest.mark.parametrize("written", [KEY, repr(KEY.encode()), f'{{"error": "{KEY}"}}', f"<p>{KEY}</p>"])
def test_a_service_that_repeats_a_secret_shows_it_to_nobody(encoder, service, caplog, given, code, written):
    service.otherwise = status(code, written.encode(), Location=KEY)
    with caplog.at_level(logging.DEBUG), pytest.raises(EncoderError) as error:
        encoder(retries=ONCE, dimensions=None, **given).encode(["a"])
    shown = everything(error.value, __file__)
    assert len(shown) > 1000
    assert KEY not in shown
    assert not [record for record in caplog.records if record.name.startswith("revector") and KEY in str(vars(record))]


@pytest.mark.parametrize("given", [f"{KEY}\n", f" {KEY}\r\n", f"\ufeff{KEY}"])
def test_white_space_around_a_key_is_not_sent(encoder, service, given):
    encoder(api_key=given, headers={"x-key": given}).encode(["a"])
    (exchange,) = service.exchanges
    assert (exchange.headers["authorization"], exchange.headers["x-key"]) == (f"Bearer {KEY}", KEY)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": f"{KEY}\n{KEY}"},
        {"api_key": f"{KEY}\0"},
        {"api_key": f"{KEY}\u20ac"},
        {"api_key": ""},
        {"api_key": " \n"},
        {"api_key": KEY.encode()},
        {"headers": {"x-key": f"{KEY}\n{KEY}"}},
        {"headers": {"x-key": 7}},
        {"headers": {f"{KEY}\n": "value"}},
        {"headers": {"x-key": KEY, "X-Key": KEY}},
        {"headers": [("x-key", KEY)]},
        {"base_url": f"https://me:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": f"https://host/v1#{KEY}"},
        {"base_url": f"https://me:{KEY}@host:port/v1"},
        {"base_url": f"{KEY}@host"},
    ],
)
def test_what_cannot_be_sent_is_refused_at_once_and_not_repeated(options):
    with pytest.raises(InvalidArgumentError) as error:
        OpenAIEncoder("m", **options)
    assert KEY not in f"{error.value!r} {error.value.__cause__!r} {error.value.__context__!r}"


@pytest.mark.parametrize(
    "source",
    ["openai:m?api_key={}", "openai:m?base_url=https://me:{}@host", "openai:?key={}", "openai:m?key={}&dimensions=x"],
)
def test_a_key_in_a_source_is_refused_and_not_repeated(source):
    with pytest.raises(InvalidArgumentError) as error:
        OpenAIEncoder.from_source(source.format("sk-in-a-source"))
    assert "sk-in-a-source" not in str(error.value)


def test_an_encoder_is_neither_copied_nor_pickled_and_says_how_to_make_it_again(encoder):
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InvalidArgumentError, match=r"from_source\('openai:a-model\?base_url=") as error:
            way(encoder(api_key=KEY))
        assert KEY not in str(error.value)


def test_a_collection_and_its_migration_hold_no_key(encoder, service, tmp_path):
    service.otherwise = status(400, f"'{KEY}' is not a key".encode())
    with Collection.open(tmp_path / "docs.db", HashEncoder(8)) as docs:
        docs.upsert(["a"], ["text"])
        migration = docs.migrate(encoder(api_key=KEY))
        migration.start()
        with pytest.raises(EncoderError):
            migration.run()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
