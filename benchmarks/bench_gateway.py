"""The gateway beside the bare encoder: texts a second, latencies under an open load, texts in a call of the model.

The gateway is ``revector serve`` in a process of its own, its clients in another one; they keep their connections.
*Throughput*: clients embed lists of queries one after the other, as fast as answers come; the bare encoder embeds the
same texts in this process, in batches as large as the gateway's calls. *Load*: single queries are due at a steady rate
whatever became of those before (`live_load`), to be embedded or searched for, and latency counts from then. The calls
that the gateway made of them are read from its ``/metrics``.

Answers are asserted first: vectors are the encoder's own, searches find what the collection finds. No request may fail.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from common import OURS, Report
from live_load import Load, Request, at_rate, failures, percentile
from live_texts import Texts, real_texts
from migrating import ingested
from revector import Collection, Encoder
from revector.formats.named_models import fetch_model
from revector.gateway.limits import Limits

BATCH = Limits().batch_texts
CONNECTIONS = 32
"""Of the clients together; at a steady rate, so many requests can be under way."""
K = 10


@dataclass(frozen=True)
class Setting:
    """A model, how much it is given, and how often it is asked."""

    model: str
    documents: int
    texts: int
    rates: tuple[float, ...]
    seconds: float = 20.0


SETTINGS = {
    "static": Setting("wordllama", 20_000, 20_000, (50.0, 200.0, 400.0)),
    "minilm": Setting("minilm", 2_000, 2_000, (20.0, 50.0, 100.0)),
}
SMOKE = Setting("wordllama", 300, 300, (20.0,), 1.0)


class Client:
    """A connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what a request is answered with."""
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{answer.status}: {text[:200]!r}"
        return json.loads(text)

    def embed(self, texts: Sequence[str]) -> list[str]:
        """Return vectors as base64."""
        asked = {"model": "live", "input": list(texts), "encoding_format": "base64"}
        return [row["embedding"] for row in self.ask("/v1/embeddings", asked)["data"]]

    def search(self, query: str) -> list[str]:
        """Return the ids of the hits."""
        return [hit["id"] for hit in self.ask("/search", {"query": query, "k": K})["hits"]]

    def counted(self) -> dict[str, float]:
        """Return what the gateway counts."""
        self._connection.request("GET", "/metrics")
        lines = self._connection.getresponse().read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("revector_gateway"))
        return {name: float(value) for name, value in pairs}


@contextmanager
def served(path: Path) -> Iterator[int]:
    """Run a gateway in a process of its own; yield its port."""
    command = [sys.executable, "-m", "revector", "serve", str(path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        try:
            yield int(url.rsplit(":", 1)[1])
        finally:
            process.terminate()
    assert process.returncode == 0, process.returncode


def assert_answers(path: Path, port: int, encoder: Encoder, queries: Sequence[str]) -> None:
    """Hold what the gateway gives against the encoder and the collection."""
    client = Client(port)
    asked = {"model": "live", "input": list(queries)}
    rows = [row["embedding"] for row in client.ask("/v1/embeddings", asked)["data"]]
    np.testing.assert_allclose(np.array(rows, np.float32), encoder.encode(queries, kind="query"), atol=1e-5)
    with Collection.open(path, encoder) as documents:
        expected = [[hit.id for hit in hits] for hits in documents.search(list(queries), K)]
    assert [client.search(query) for query in queries] == expected


def embed_all(
    ready: Callable[[], None], stop: Any, port: int, texts: Sequence[str], rounds: int, size: int
) -> list[float]:
    """Embed texts in requests of a size, from many clients at once; return the seconds of each round."""
    requests = [texts[start : start + size] for start in range(0, len(texts), size)]
    own = threading.local()

    def one(part: Sequence[str]) -> int:
        if not hasattr(own, "client"):
            own.client = Client(port)
        return len(own.client.embed(part))

    seconds = []
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, requests[: 2 * CONNECTIONS]))
        ready()
        stop.wait()
        for _ in range(rounds):
            began = time.monotonic()
            assert sum(pool.map(one, requests)) == len(texts)
            seconds.append(time.monotonic() - began)
    return seconds


def ask_at_rate(
    ready: Callable[[], None], stop: Any, port: int, queries: Sequence[str], rate: float, work: str
) -> list[Request]:
    """Send single queries at a rate, shared by connections that take turns."""
    asked, lock = cycle(queries), threading.Lock()

    def one_connection(place: int) -> list[Request]:
        client = Client(port)

        def act(_turn: int) -> None:
            with lock:
                query = next(asked)
            found = client.embed([query]) if work == "embed" else client.search(query)
            assert len(found) == (1 if work == "embed" else K), found

        act(0)
        time.sleep(place / rate)
        return at_rate(rate / CONNECTIONS, stop, act)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        running = [pool.submit(one_connection, place) for place in range(CONNECTIONS)]
        ready()
        return [request for each in running for request in each.result()]


def throughput(report: Report, port: int, encoder: Encoder, texts: Sequence[str]) -> None:
    """Compare texts a second with those of the bare encoder."""
    for size in (1, 16, BATCH):
        through = Load(embed_all, port, texts, report.rounds, size)
        before = Client(port).counted()
        times = {OURS: through.finish(), "the bare encoder": []}
        counted = Client(port).counted()
        for _ in range(report.rounds):
            began = time.monotonic()
            for start in range(0, len(texts), BATCH):
                encoder.encode(texts[start : start + BATCH], kind="query")
            times["the bare encoder"].append(time.monotonic() - began)
        rates = {name: len(texts) / float(np.median(seconds)) for name, seconds in times.items()}
        report.note(
            f"texts a second, requests of {size} by {CONNECTIONS} clients",
            through_the_gateway=rates[OURS],
            bare=rates["the bare encoder"],
            share=rates[OURS] / rates["the bare encoder"],
            texts_a_call=texts_a_call("embeddings", before, counted),
        )


def texts_a_call(work: str, before: dict[str, float], after: dict[str, float]) -> float:
    """Return how many texts went into one call, between two looks."""
    texts, calls = (f'revector_gateway_{name}{{work="{work}"}}' for name in ("texts", "calls"))
    return (after[texts] - before[texts]) / (after[calls] - before[calls])


def latencies(report: Report, port: int, queries: Sequence[str], setting: Setting) -> None:
    """Measure single queries at steady rates; none may fail."""
    rows = []
    for work, lane in (("embed", "embeddings"), ("search", "search")):
        for rate in setting.rates:
            before = Client(port).counted()
            load = Load(ask_at_rate, port, queries, rate, work)
            time.sleep(setting.seconds)
            requests = load.finish()
            failed = failures(requests)
            assert not failed, f"{len(failed)} of {len(requests)} failed: {failed[:3]}"
            after = Client(port).counted()
            row = {"work": work, "a second": rate, "requests": len(requests)}
            row |= {f"p{percent} ms": percentile(requests, percent) for percent in (50, 99)}
            rows.append({**row, "texts a call": texts_a_call(lane, before, after)})
    report.table(f"single queries at a steady rate, {setting.seconds:g} s each", rows)


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--set", choices=SETTINGS, default="static", help="which model, and how much it is asked")


def main() -> None:
    """Measure one set."""
    report = Report.from_arguments("gateway", rounds=3, more=more)
    setting = SMOKE if report.smoke else SETTINGS[report.options.set]
    texts: Texts = real_texts(setting.documents, 180)
    encoder = Encoder.from_pretrained(fetch_model(setting.model))
    asked = list(islice(cycle(texts.documents), setting.texts))
    with tempfile.TemporaryDirectory() as folder:
        path = ingested(Path(folder) / "docs.db", texts.documents, encoder)
        with served(path) as port:
            assert_answers(path, port, encoder, texts.queries[:20])
            throughput(report, port, encoder, asked)
            latencies(report, port, texts.queries, setting)
    report.finish()


if __name__ == "__main__":
    main()
