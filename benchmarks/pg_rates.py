"""How fast a generation in PostgreSQL fills, what the queue and the triggers cost, and vecshift beside it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report
from live_load import SPAWN
from live_texts import real_texts
from local_service import serve
from migrating import timed
from pg_application import adopt, body, make_table, models
from pg_server import connected, database
from revector import Collection, Encoder, Migration
from revector.backends.contracts import ROWS_AT_ONCE
from revector.backends.postgres.binary import matrix_of
from revector.encoders.base import TextEncoder
from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import EncoderError
from revector.formats.named_models import fetch_model
from revector.ledger.owners import new_owner
from revector.migration.filling.lander import MOST_NUMBERS

LEASE_SECONDS = 600.0
LARGE = 1_000
PASSAGE = 500
VECSHIFT = os.environ.get("VECSHIFT", "vecshift")
"""The command; it wants a Python environment of its own."""
_JOB = """
version: 1
source: {{table: docs, vector_column: embedding, text_column: body}}
target: {{column: embedding_v2, index: none}}
model: compat/free,url={url},dims={dimension},price=0
"""
_OURS = "SELECT vector_send(embedding) FROM revector_docs.serving ORDER BY id"
_THEIRS = "SELECT vector_send(embedding_v2) FROM docs ORDER BY id"


@contextmanager
def adopted(server: str, n: int, bodies: Callable[[int], str] = body) -> Iterator[str]:
    """Make a table without an index in a database of its own, and adopt it; yield the URL of the database."""
    with database(server, "rates") as url:
        make_table(url, n, bodies, index=False)
        adopt(url)
        yield url


def opened(url: str, new: TextEncoder) -> Collection:
    """Open the collection with both models."""
    return Collection.open(f"{url}#docs", encoders=[models()[0], new])


def bench_put(report: Report, server: str, n: int) -> None:
    """Land vectors that are at hand, as workers do: by one connection, and by two."""
    new = models()[1]
    with adopted(server, n) as url, opened(url, new) as documents:
        backend, size = documents._backend, min(ROWS_AT_ONCE, MOST_NUMBERS // new.space.dimension)
        listed = [document for batch in backend.documents.scan(10_000) for document in batch]
        keys = np.array([document.key for document in listed])
        hashes = [document.content_hash for document in listed]
        vectors = new.encode([document.text for document in listed])

        def put(generation: int, begin: int) -> int:
            part = slice(begin, begin + size)
            return int(backend.generations.put(generation, keys[part], hashes[part], vectors[part]))

        rates = {}
        for connections in (1, 2):
            seconds = []
            for _ in range(report.rounds):
                generation = backend.generations.create(new.space, None).id
                with ThreadPoolExecutor(connections) as pool:
                    began = time.perf_counter()
                    landed = sum(pool.map(partial(put, generation), range(0, n, size)))
                    seconds.append(time.perf_counter() - began)
                assert landed == n == backend.generations.count(generation), f"{landed} of {n} vectors landed"
                with backend.transaction():
                    backend.generations.drop(generation)
                while backend.reclaim():
                    pass
            rates[connections] = n / statistics.median(seconds)
        report.note(
            f"vectors at hand: {n} x {new.space.dimension}, {size} rows a transaction, compare-and-set included",
            rows_per_second=rates[1],
            rows_per_second_of_two_connections=rates[2],
        )


def bench_ledger(report: Report, server: str, n: int) -> None:
    """Claim jobs and complete them, and nothing else."""
    new = models()[1]
    with adopted(server, n) as url, opened(url, new) as documents:
        migration = documents.migrate(new)
        started = timed(migration.start)
        jobs, generation, owner = documents._backend.ledger.jobs, migration.record.target_generation, new_owner()
        assert generation is not None
        size, spent = min(ROWS_AT_ONCE, MOST_NUMBERS // new.space.dimension), {"claim": 0.0, "complete": 0.0}
        ended = 0
        while True:
            began = time.perf_counter()
            claims = jobs.claim(generation, owner, size, LEASE_SECONDS)
            claimed = time.perf_counter()
            spent["claim"] += claimed - began
            if not claims:
                break
            ended += jobs.complete(generation, {claim.document_key: claim.content_hash for claim in claims})
            spent["complete"] += time.perf_counter() - claimed
        assert ended == n, f"{ended} of {n} jobs were completed"
        report.note(
            f"ledger: {n} jobs, {size} at a time, microseconds a document",
            asking=started[0] * 1e6 / n,
            claim=spent["claim"] * 1e6 / n,
            complete=spent["complete"] * 1e6 / n,
            claim_and_complete=sum(spent.values()) * 1e6 / n,
        )


def moved(migration: Migration) -> float:
    """Move a collection up to PROVING; return the seconds of `run`."""
    migration.start()
    seconds, _ = timed(migration.run)
    assert str(migration.phase) == "proving", migration.status()
    assert migration.status().moved == migration.status().documents
    return seconds


def served(url: str, new: TextEncoder) -> float:
    """Move the collection, and let the new vectors serve; return the seconds of `run`."""
    with opened(url, new) as documents:
        migration = documents.migrate(new)
        seconds = moved(migration)
        assert migration.verify(sample=50).passed
        migration.cutover()
    return seconds


def bench_run(report: Report, server: str, title: str, bodies: Sequence[str], new: TextEncoder) -> None:
    """Take turns: the bare encoder, and a migration of a table of its own."""
    bare, ours = [], []
    for _ in range(report.rounds):
        batches = (64, 1024)
        bare.append(min(timed(partial(_encode, new, bodies, batch))[0] for batch in batches))
        with adopted(server, len(bodies), bodies.__getitem__) as url, opened(url, new) as documents:
            ours.append(moved(documents.migrate(new)))
    rates = [len(bodies) / statistics.median(seconds) for seconds in (bare, ours)]
    report.note(title, bare_per_second=rates[0], run_per_second=rates[1], run_of_bare=rates[1] / rates[0])


def _encode(encoder: TextEncoder, texts: Sequence[str], batch: int) -> None:
    for begin in range(0, len(texts), batch):
        encoder.encode(texts[begin : begin + batch])


def bench_runs(report: Report, server: str, n: int) -> None:
    """Measure `run` with an encoder that costs nothing, and with MiniLM."""
    bodies = [body(number) for number in range(n)]
    bench_run(report, server, f"end to end: {n} short texts, free encoder", bodies, models()[1])
    try:
        minilm = Encoder.from_pretrained(fetch_model("minilm"))
    except EncoderError as error:
        print(f"(MiniLM left out: {error})")
        return
    texts = real_texts(20 if report.smoke else report.options.minilm, PASSAGE)
    title = f"end to end: {len(texts.documents)} {texts.source}, MiniLM in {minilm.precision}"
    bench_run(report, server, title, texts.documents, minilm)


def bench_triggers(report: Report, server: str, n: int) -> None:
    """Time the application's own statements: before its table is adopted, after it, and while it moves."""
    times, rows = 4 if report.smoke else 200, []
    with database(server, "triggers") as url:
        make_table(url, n, index=False)
        rows.append({"table": "as it was", **_statements(url, n, times, 1)})
        adopt(url)
        rows.append({"table": "adopted", **_statements(url, n, times, 2)})
        with opened(url, models()[1]) as documents:
            documents.migrate(models()[1]).start()
        rows.append({"table": "while it moves", **_statements(url, n, times, 3)})
    report.table("medians of the application's statements, ms, commit included", rows)


def _statements(url: str, n: int, times: int, turn: int) -> dict[str, float]:
    vector = str(models()[0].encode(["one"])[0].tolist())
    first, figures = turn * 100_000_000, {}
    said = {
        "INSERT": "INSERT INTO docs SELECT {first} + i, 'row ' || i, 0, '{vector}' FROM generate_series(1, {size}) i",
        "UPDATE": "UPDATE docs SET body = body || ' {turn}' WHERE id >= {place} AND id < {place} + {size}",
        "UPDATE of another column": "UPDATE docs SET price = {turn} WHERE id >= {place} AND id < {place} + {size}",
        "DELETE": "DELETE FROM docs WHERE id > {first} AND id <= {first} + {size}",
    }
    with connected(url) as connection:
        for size in (1, min(LARGE, n)):
            taken: dict[str, list[float]] = {name: [] for name in said}
            for time_ in range(times if size == 1 else max(3, times // 20)):
                place = time_ * size % max(1, n - size)
                for name, statement in said.items():
                    text = statement.format(first=first, place=place, size=size, turn=turn, vector=vector)
                    began = time.perf_counter()
                    done = connection.execute(text).rowcount
                    taken[name].append(time.perf_counter() - began)
                    assert done == size, f"{name} of {size} rows changed {done}"
            figures |= {f"{name}, {size}": statistics.median(taken[name]) * 1e3 for name in said}
    return figures


class Service:
    """The local embedding service, in a process of its own."""

    def __init__(self) -> None:
        self._stop, (receiving, sending) = SPAWN.Event(), SPAWN.Pipe(duplex=False)
        self._process = SPAWN.Process(target=_serve, args=(sending, self._stop), daemon=True)
        self._process.start()
        self.url = receiving.recv()

    def __enter__(self) -> Service:
        """Return it; it answers already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._stop.set()
        self._process.join()


def _serve(sending: Any, stop: Any) -> None:
    serve(sending.send, stop, models()[1])


def bench_vecshift(report: Report, server: str, n: int) -> None:
    """Move the same table with vecshift, by the same service; both end with the same vectors."""
    dimension = models()[1].space.dimension
    ours: dict[str, float] = {}
    with Service() as service:
        for wire in ("float", "base64"):
            new = OpenAIEncoder("free", base_url=service.url, known_dimension=dimension, encoding_format=wire)
            with adopted(server, n) as url:
                ours[wire] = served(url, new)
                vectors = _vectors(url, _OURS)
        with database(server, "vecshift") as url:
            make_table(url, n, index=False)
            seconds = _vecshift(url, service.url, dimension)
            if seconds is None:
                print(f"({VECSHIFT} is not installed: name its command by $VECSHIFT)")
                return
            np.testing.assert_allclose(vectors, _vectors(url, _THEIRS), atol=1e-6)
    report.note(
        f"{n} rows through one local service, rows/s, equal vectors in the end",
        **{f"{OURS}_{wire}": n / taken for wire, taken in ours.items()},
        vecshift_float=n / seconds,
        ratio_of_floats=seconds / ours["float"],
        ratio=seconds / min(ours.values()),
    )


def _vectors(url: str, statement: str) -> NDArray[np.float32]:
    with connected(url) as connection:
        sent = [row for (row,) in connection.cursor(binary=True).execute(statement)]
    return matrix_of(sent, models()[1].space.dimension)


def _vecshift(url: str, service: str, dimension: int) -> float | None:
    """Return the seconds of ``vecshift apply``, as it tells them, without those of its start and its checks."""
    with TemporaryDirectory() as folder:
        job = Path(folder, "vecshift.yaml")
        job.write_text(_JOB.format(url=service, dimension=dimension))
        command = [VECSHIFT, "apply", str(job), "--yes", "--no-index", "--json"]
        given = {**os.environ, "VECSHIFT_DSN": url}
        try:
            done = subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
    assert done.returncode == 0, done.stdout + done.stderr
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def bench_rates(report: Report, server: str, n: int) -> None:
    """Measure all of it but vecshift."""
    bench_put(report, server, n)
    bench_ledger(report, server, n)
    bench_triggers(report, server, min(n, 20_000))
    bench_runs(report, server, n)
