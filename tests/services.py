"""A real service on this machine, honest by default, that limits, fails, stalls and lies on demand.

It embeds texts, and judges documents: how many words of the query they hold, ten points each, or a grade each, to 3.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from revector.encoders.service.pacing import Clock, Stopped
from revector.testing import HashEncoder

DIMENSION = 16
MODEL = HashEncoder(DIMENSION, seed=5)
KEY = "sk-a-secret-nobody-should-see"
TEXTS = [f"text number {i} of them" for i in range(23)]
Behaviour = Callable[["Exchange"], None]


class FakeClock(Clock):
    """Time that passes when somebody waits for it."""

    def __init__(self) -> None:
        self.time, self.waits, self._lock = 1000.0, [], threading.Lock()

    def now(self):
        return self.time

    def wall(self):
        return 1_700_000_000 + self.time

    def wait(self, seconds, stop):
        if stop.is_set():
            raise Stopped
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    payload: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def texts(self) -> list[str]:
        return self.payload["input"]

    @property
    def shown(self) -> dict[str, Any]:
        """What a re-ranker or a judge shows the model."""
        return json.loads(self.payload["messages"][-1]["content"])

    def honest(self) -> dict[str, Any]:
        return self._judged() if "messages" in self.payload else self._embedded()

    def _judged(self) -> dict[str, Any]:
        words = set(self.shown["query"].split())
        name = self.payload["response_format"]["json_schema"]["name"]
        common = {one["document"]: len(words & set(one["text"].split())) for one in self.shown["documents"]}
        if name == "grades":
            said = [{"document": place, "grade": min(3, n)} for place, n in common.items()]
        else:
            said = [{"document": place, "relevance": 10 * n} for place, n in common.items()]
        message = {"role": "assistant", "content": json.dumps({name: said})}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": usage}

    def _embedded(self) -> dict[str, Any]:
        rows = 3 * MODEL.encode(self.texts)  # not of unit length: that is the encoder's business
        data = [{"object": "embedding", "index": i, "embedding": self._written(row)} for i, row in enumerate(rows)]
        tokens = sum(map(tokens_of, self.texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": self.payload["model"], "usage": usage}

    def _written(self, row: np.ndarray) -> Any:
        if self.payload.get("encoding_format") == "base64":
            return base64.b64encode(row.astype("<f4").tobytes()).decode()
        return row.tolist()

    def send(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.send_response_only(status)
        self.handler.send_header("Content-Length", headers.pop("length", str(len(content))))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(content)


def tokens_of(text: str) -> int:
    return max(1, len(text.split()))


def assert_rows(rows: np.ndarray, texts: list[str]) -> None:
    np.testing.assert_allclose(rows, MODEL.encode(texts), atol=1e-6)


def honest(exchange: Exchange) -> None:
    exchange.send(200, exchange.honest())


def status(code: int, body: Any = None, **headers: str) -> Behaviour:
    return lambda exchange: exchange.send(code, {"error": {"message": "no"}} if body is None else body, **headers)


def altered(change: Callable[[dict[str, Any]], Any]) -> Behaviour:
    """Answer honestly but for a change of the document, made in place or returned."""

    def behave(exchange: Exchange) -> None:
        document = exchange.honest()
        found = change(document)
        exchange.send(200, document if found is None else found)

    return behave


def content(change: Callable[[Any], str]) -> Behaviour:
    """Answer honestly but for a change of what the model writes."""

    def changed(document: dict[str, Any]) -> None:
        message = document["choices"][0]["message"]
        message["content"] = change(json.loads(message["content"]))

    return altered(changed)


def refuses(bad: Callable[[str], bool], code: int = 400) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        if any(bad(text) for text in exchange.texts):
            exchange.send(code, {"error": {"message": "this model's maximum context length is 8192 tokens"}})
        else:
            honest(exchange)

    return behave


def half_a_body(exchange: Exchange) -> None:
    content = json.dumps(exchange.honest()).encode()
    exchange.send(200, content[: len(content) // 2], length=str(len(content)))
    exchange.handler.close_connection = True


def closes(exchange: Exchange) -> None:
    exchange.handler.close_connection = True


def resets(exchange: Exchange) -> None:
    connection = exchange.handler.connection
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    exchange.handler.close_connection = True


def stalls(seconds: float) -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.handler.server.going_down.wait(seconds)
        exchange.handler.close_connection = True

    return behave


@dataclass
class Service:
    """The service: what was asked, and what to do with the next requests (`script`), then with all others."""

    script: deque[Behaviour] = field(default_factory=deque)
    otherwise: Behaviour = honest
    exchanges: list[Exchange] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    desk: Any = None  # of `batch_desk`, where it has batch jobs
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def then(self, *behaviours: Behaviour) -> Service:
        self.script.extend(behaviours)
        return self

    @property
    def batches(self) -> list[list[str]]:
        return [exchange.texts for exchange in self.exchanges]

    def handle(self, exchange: Exchange) -> None:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self.exchanges.append(exchange)
            behave = self.script.popleft() if self.script else self.otherwise
        try:
            behave(exchange)
        finally:
            with self._lock:
                self._now -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self._at_desk("POST", body):
            return
        if self.path not in ("/v1/embeddings", "/v1/chat/completions"):
            self.send_error(404)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            self.server.service.handle(Exchange(self, json.loads(body), headers, time.monotonic()))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client gave up, as it should

    def do_GET(self) -> None:
        if not self._at_desk("GET", b""):
            self.send_error(404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _at_desk(self, method: str, body: bytes) -> bool:
        desk = self.server.service.desk
        if desk is None or not self.path.startswith(("/v1/files", "/v1/batches")):
            return False
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            desk.handle(Exchange(self, {}, headers, time.monotonic()), method, self.path.removeprefix("/v1"), body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        return True

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # the connection was reset on purpose
            super().finish()

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def shutdown_request(self, request: Any) -> None:
        with suppress(OSError):  # reset already
            super().shutdown_request(request)


class running:  # noqa: N801 - reads as a sentence: with running(Service()) as service
    """Run a service in a thread for the length of a ``with`` block."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service, self._server.going_down = service, threading.Event()
        service.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Service:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self._service

    def __exit__(self, *_: object) -> None:
        self._server.going_down.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
