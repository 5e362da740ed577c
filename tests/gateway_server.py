"""A gateway that runs in a thread of the tests, and its clients."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import openai

from revector._secrets import Secret
from revector.gateway.app import Gateway
from revector.gateway.limits import Limits
from revector.gateway.server import GatewayServer, listening, url_of
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
TEXTS = {f"d{place}": f"text number {place}" for place in range(30)}
ENCODERS = {encoder.space.fingerprint: encoder for encoder in (OLD, NEW)}


class running:  # noqa: N801 - reads as a sentence: with running(docs) as gateway
    """Run a gateway of a collection for the length of a ``with`` block; limits are those that differ."""

    def __init__(self, docs, *, token=None, reranker=None, **limits):
        limits = replace(Limits(), **limits)
        secret = None if token is None else Secret(token, name="token")
        self._gateway = Gateway(docs, token=secret, reranker=reranker, limits=limits)
        self._server = GatewayServer(self._gateway, limits)
        self._token = token or "none"

    def __enter__(self):
        bound = listening("127.0.0.1", 0)
        self.url, self.port = url_of(bound), bound.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([bound],))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.stop()
        self._thread.join()

    @property
    def openai(self):
        """Return a client that does not try again, so that every failure is seen."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self._token, max_retries=0, timeout=30)

    def get(self, path, **headers):
        """Return status and body of a question."""
        return self._answer(urllib.request.Request(self.url + path, headers=self._headers(headers)))

    def post(self, path, body, **headers):
        """Return status and body of a request; what is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = self._headers({"Content-Type": "application/json", **headers})
        return self._answer(urllib.request.Request(self.url + path, data, headers))

    def raw(self, sent=b""):
        """Return a connection on which something was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(sent)
        return connection

    def metric(self, name):
        """Return one of the metrics."""
        lines = self.get("/metrics")[1].splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])

    def until(self, name, value):
        """Wait until a metric has a value."""
        began = time.monotonic()
        while self.metric(name) != value:
            assert time.monotonic() < began + 20, f"{name} is {self.metric(name)}"
            time.sleep(0.01)

    def _headers(self, headers):
        return {"Authorization": f"Bearer {self._token}", **headers}

    def _answer(self, request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.headers = answer.headers
                return answer.status, _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                self.headers = error.headers
                return error.code, _read(error)


def _read(answer):
    text = answer.read().decode()
    return json.loads(text) if answer.headers["Content-Type"] == "application/json" else text


def moved(docs, encoder):
    """Move a collection to another model, up to the cut-over; return the migration."""
    migration = docs.migrate(encoder)
    migration.start()
    migration.run()
    migration.verify()
    return migration
