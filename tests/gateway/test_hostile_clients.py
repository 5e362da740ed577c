"""Clients that send what they should not, or nothing: each is told, nobody else notices."""

from __future__ import annotations

import http.client
import json
import logging
import re
import socket
import time

import pytest

from gateway_server import TEXTS, running
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.gateway.server import listening
from revector.gateway.tokens import read_token
from revector.testing import HashEncoder

TOKEN = "tok-a-secret-nobody-should-see"
POST = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\n\r\n"
DEEP = b"[" * 100_000 + b"]" * 100_000


def answer_on(connection):
    """Read one answer; return its status and what it says."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "expected one JSON object"),
        (b"null", "expected one JSON object"),
        (b'{"model": "live", "input": NaN}', "NaN is not JSON"),
        (b'{"model": "live", "input": "a", "input": "b"}', "is there twice"),
        (b'{"model": "live", "input": "\xff"}', "not UTF-8"),
        (b'{"model": "live", "input": "cut \\ud83d"}', "half of a surrogate pair"),
        (b'{"model": "live", "input": ' + b"9" * 5000 + b"}", "5,000 digits"),
        (b'{"model": "live", "input": ' + DEEP + b"}", "nested"),
        (b'{"model": "live", "input": []}', "at least one"),
        (b'{"model": "live", "input": 7}', "input is 7"),
        (b'{"model": "live", "input": {"a": "b"}}', "expected a text"),
        (b'{"model": "live", "input": ["a", null]}', "input[1] is None"),
        (b'{"model": "live"}', "'input' is missing"),
        (b'{"model": ["live"], "input": "a"}', "model is not a text"),
        (b'{"model": "live", "input": "a", "dimensions": true}', "dimensions is True"),
        (b'{"model": "live", "input": "a", "encoding_format": "hex"}', "encoding_format is 'hex'"),
        (b'{"model": "live", "input": "a", "input_type": []}', "input_type is []"),
        (b'{"model": "live", "input": "a", "\\u0000": 1}', "is not known"),
        (json.dumps({"model": "live", "input": ["a"] * 2049}).encode(), "2,049 entries"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_with_the_reason(gateway, body, said):
    status, answer = gateway.post("/v1/embeddings", body)
    assert status == 400
    assert said in answer["error"]["message"]
    assert set(answer["error"]) == {"message", "type", "param", "code"}


def test_a_text_with_nul_is_a_text(gateway):
    status, found = gateway.post("/v1/embeddings", {"model": "live", "input": "a\0b"})
    assert (status, len(found["data"])) == (200, 1)


def test_a_page_in_a_browser_cannot_write(gateway, docs):
    status, answer = gateway.post("/documents", {"delete": ["d1"]}, **{"Content-Type": "text/plain"})
    assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")
    assert "d1" in docs.ids()


@pytest.mark.parametrize(("path", "status"), [("/v2", 404), ("/search/", 404), ("/..%2f", 404), ("/search", 405)])
def test_what_is_not_there_is_an_error_object_too(gateway, path, status):
    answer = gateway.get(path)
    assert (answer[0], answer[1]["error"]["type"]) == (status, "invalid_request_error")


def test_a_body_that_says_it_is_too_large_is_not_read(docs):
    with running(docs, body_bytes=1000) as gateway:
        head = POST % (b"/search", b"Content-Length: 99999999999")
        with gateway.raw(head) as connection:
            status, answer = answer_on(connection)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


def test_a_body_that_goes_on_is_cut_off(docs):
    with running(docs, body_bytes=100_000) as gateway:
        head = POST % (b"/search", b"Transfer-Encoding: chunked")
        with gateway.raw(head) as connection:
            for _ in range(12):
                connection.sendall(b"2710\r\n" + b" " * 10_000 + b"\r\n")
            status, answer = answer_on(connection)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")


def test_large_requests_at_once_are_told_to_come_back(docs):
    with running(docs, body_bytes=1000, held_bytes=1500, body_seconds=20) as gateway:
        head = POST % (b"/search", b"Content-Length: 1000")
        with gateway.raw(head + b" " * 999):
            deadline = time.monotonic() + 10
            while (found := gateway.post("/search", b" " * 900))[0] != 429:
                assert time.monotonic() < deadline, found
            assert gateway.post("/search", {"query": "small"})[0] == 200
        deadline = time.monotonic() + 10
        while gateway.post("/search", b" " * 900)[0] == 429:  # until it is noticed that the client has gone
            assert time.monotonic() < deadline


def test_a_slow_body_is_not_waited_for(docs):
    with running(docs, body_seconds=0.3) as gateway:
        head = POST % (b"/search", b"Content-Length: 100") + b"{"
        with gateway.raw(head) as connection:
            assert gateway.post("/search", {"query": TEXTS["d1"]})[0] == 200  # somebody else meanwhile
            status, answer = answer_on(connection)
    assert (status, answer["error"]["code"]) == (408, "request_timeout")


@pytest.mark.parametrize("sent", [b"", b"POST /search HTT", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_client_that_does_not_ask_is_let_go(docs, sent):
    with running(docs, silent_seconds=0.2) as gateway, gateway.raw(sent) as connection:
        assert gateway.get("/healthz")[0] == 200
        began = time.monotonic()
        assert connection.recv(1) == b""
        assert time.monotonic() < began + 10


def test_a_client_that_does_not_read_is_let_go(places):
    with Collection.open(places / "wide.db", HashEncoder(512)) as docs, running(docs, silent_seconds=0.3) as gateway:
        body = json.dumps({"model": "live", "input": ["a"] * 2000}).encode()  # 20 MB of answer
        head = POST % (b"/v1/embeddings", b"Content-Length: %d" % len(body))
        with gateway.raw(head + body) as connection:
            connection.recv(1, socket.MSG_PEEK)  # the answer begins
            time.sleep(1.5)
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    said = int(re.search(rb"content-length: (\d+)", received)[1])
    assert received.startswith(b"HTTP/1.1 200 ")
    assert len(received) < said


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]
)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics"])
def test_without_the_token_nothing_is_answered(docs, given, path):
    with running(docs, token=TOKEN) as gateway:
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        request += "" if given is None else f"Authorization: {given}\r\n"
        with gateway.raw(request.encode("latin-1") + b"\r\n") as connection:
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"invalid_api_key" in answer
    assert TOKEN.encode() not in answer


def test_with_the_token_everything_is_answered_and_health_without(docs, caplog):
    with caplog.at_level(logging.DEBUG), running(docs, token=TOKEN) as gateway:
        assert gateway.openai.embeddings.create(model="live", input="a").data
        assert gateway.get("/healthz", Authorization="")[0] == 200
        assert gateway.get("/readyz", Authorization="")[0] == 200
        assert gateway.post("/search", {"query": "a"}, Authorization="Bearer no")[0] == 401
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("revector", "uvicorn"))]
    assert TOKEN not in "\n".join(ours)


def test_a_token_is_read_without_the_end_of_its_line(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    token = read_token(file)
    assert token.reveal() == TOKEN
    assert TOKEN not in f"{token} {token!r}"


@pytest.mark.parametrize("held", [None, b"", b" \n", b"two\nlines-of-a-secret", b"\xff\xfe-secret", b"secret" * 1000])
def test_a_file_without_a_token_is_refused_without_a_word_of_it(tmp_path, held):
    file = tmp_path / "token"
    if held is not None:
        file.write_bytes(held)
    with pytest.raises(InvalidArgumentError) as refused:
        read_token(file)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["256.1.1.1", "203.0.113.7", "a\0b", "x" * 300])
def test_an_address_that_is_none_of_this_machine_is_refused(host):
    with pytest.raises(InvalidArgumentError, match="cannot be listened at"):
        listening(host, 0)


def test_a_port_that_is_taken_is_refused():
    with listening("127.0.0.1", 0) as bound, pytest.raises(InvalidArgumentError, match="in use"):
        listening("127.0.0.1", bound.getsockname()[1])
