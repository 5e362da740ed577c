"""A secret is shown by nothing, in whatever way it is written."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import pickle
import time
import traceback
from urllib.parse import quote, quote_plus

import pytest

from revector._secrets import Secret, redacted
from revector.errors import InvalidArgumentError

KEY = "sk-Very/secret+key=12'3\\4"
SECRET = Secret(KEY, name="api_key")
AS_BASIC = base64.b64encode(f"user:{KEY}".encode()).decode()

WRITTEN = {
    "plain": KEY,
    "in capitals": KEY.upper(),
    "repr": repr(KEY)[1:-1],
    "repr of repr": repr(repr(KEY))[2:-2],
    "repr of bytes": repr(KEY.encode())[2:-1],
    "JSON": json.dumps(KEY)[1:-1],
    "JSON within JSON": json.dumps(json.dumps(KEY))[3:-3],
    "JSON of code points": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "of an address": quote(KEY),
    "of a query": quote_plus(KEY),
    "of a query within a query": quote(quote(KEY, safe=""), safe=""),
    "all percent": "".join(f"%{ord(c):02x}" for c in KEY),
    "HTML": html.escape(KEY),
    "HTML of code points": "".join(f"&#{ord(c)};" for c in KEY),
    "hexadecimal": KEY.encode().hex(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_hidden_in_whatever_way_it_is_written(written):
    assert redacted(f"your key {written} is wrong", [SECRET]) == "your key [secret] is wrong"


@pytest.mark.parametrize("before", ["", "Bearer ", "a:", "me:", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_in_base64_no_more_of_a_secret_is_left_than_a_few_bits(before, encode):
    shown = SECRET.hide_in(encode((before + KEY).encode()).decode())
    left = shown.replace("[secret]", "").rstrip("=")
    assert "[secret]" in shown
    assert 6 * len(left) - 8 * len(before) <= 2 * 6


@pytest.mark.parametrize("sent", [f"Bearer {KEY}", f"Basic {AS_BASIC}", KEY])
def test_of_a_header_the_part_that_counts_is_hidden(sent):
    assert Secret(sent, name="headers").hide_in(f"key: {KEY}.") == "key: [secret]."


def test_short_values_hide_nothing():
    assert Secret("v1", name="headers").hide_in("https://host/v1/embeddings") == "https://host/v1/embeddings"


@pytest.mark.parametrize("said", ["\\" * 65_536, "%25" * 20_000, "&amp;" * 13_000, KEY[:-1] * 2_000])
def test_no_answer_makes_the_search_slow(said):
    began = time.perf_counter()
    SECRET.hide_in(said)
    assert time.perf_counter() - began < 5


def test_nothing_prints_a_secret(caplog):
    logging.getLogger("revector").warning("%s %r", SECRET, SECRET)
    shown = [f"{SECRET}", f"{SECRET!r:>9}", "%s" % SECRET, str([SECRET]), str({"key": SECRET}), caplog.text]  # noqa: UP031
    assert all("[secret]" in text and KEY not in text for text in shown)


def test_a_secret_is_copied_but_not_pickled():
    assert copy.deepcopy([SECRET]) == [SECRET]
    with pytest.raises(InvalidArgumentError, match="not pickled"):
        pickle.dumps({"key": SECRET})


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " \t{} ", "\ufeff{}\n"])
def test_white_space_around_a_secret_is_not_part_of_it(around):
    assert Secret(around.format(KEY), name="api_key").reveal() == KEY


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        (" \n", "nothing but white space"),
        ("sk-1234\n5678", "a line break"),
        ("sk-1234\x005678", "control character"),
        ("sk-1234\u20ac5678", "beyond Latin-1"),
        (b"sk-12345678", "is bytes, expected str"),
        (None, "is NoneType, expected str"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_repeated(value, problem):
    with pytest.raises(InvalidArgumentError, match=f"^api_key .*{problem}") as error:
        Secret(value, name="api_key")
    frames = traceback.TracebackException.from_exception(error.value, capture_locals=True).stack
    assert not any("5678" in str(frame.locals) for frame in frames if frame.filename.endswith("revector/_secrets.py"))
