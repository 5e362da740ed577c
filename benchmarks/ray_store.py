"""What PostgreSQL takes for the claims and landings of many workers, in seconds of its own processor time.

Processor time of the server's processes, not the clock: neither who asks nor what else the machine does is in it.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import psutil

from common import Report
from free_encoder import FreeEncoder
from live_load import SPAWN
from live_texts import spliced_texts
from pg_server import connected, database
from revector import Collection
from revector.backends.contracts import Backend
from revector.backends.opening import open_backend
from revector.ledger.owners import new_owner
from revector.migration.filling.claims import Claims
from revector.migration.landing import Rows, land
from revector.migration.throttle import read_throttle
from simulated_cluster import Store

DIMENSION, INGESTED = 384, 4096
LEASE_SECONDS = 600.0
SIZES = (64, 1024)
CORES = 2
CLAIMERS = (1, 2, 4, 8, 16, 32, 48)
PROCESSES = 4
ASKED = 500


@dataclass(frozen=True)
class Spent:
    """Seconds of a transaction: by the clock, and of the server's processors."""

    clock: float
    server: float


class Stopwatch:
    """Times ``with`` blocks.

    Parameters
    ----------
    url : str
        Of the server.
    """

    def __init__(self, url: str) -> None:
        self._url, self._server = url, 0.0
        self._clock: list[float] = []

    def __enter__(self) -> None:
        """Begin."""
        self._before, self._began = server_seconds(self._url), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        """End."""
        self._clock.append(time.perf_counter() - self._began)
        self._server += server_seconds(self._url) - self._before

    @property
    def typical(self) -> Spent:
        """The median by the clock, and the mean of the server, which counts by hundredths of a second."""
        return Spent(statistics.median(self._clock), self._server / len(self._clock))


def server_seconds(url: str) -> float:
    """Return the processor time of the server, of its present sessions, and of those that have ended."""
    folder = parse_qs(urlsplit(url).query)["host"][0]
    server = psutil.Process(int(Path(folder, "postmaster.pid").read_text().split()[0]))
    sessions = sum(times.user + times.system for times in (each.cpu_times() for each in server.children()))
    return float(sessions + sum(server.cpu_times()[:4]))


def queued(url: str, n: int) -> str:
    """Make a collection whose documents all wait for a vector; return its place."""
    place = f"{url}#docs"
    with Collection.open(place, FreeEncoder(1, 8)) as documents:
        texts = list(spliced_texts(n))
        for begin in range(0, n, INGESTED):
            part = texts[begin : begin + INGESTED]
            documents.upsert([str(begin + i) for i in range(len(part))], part)
        documents.migrate(FreeEncoder(2, DIMENSION)).start()
    return place


def bench_store(report: Report, server: str, n: int) -> Store:
    """Claim and land by one connection, so many documents at a time; return what the server takes."""
    with database(server, "store") as url, closing(open_backend(queued(url, n))) as backend:
        worked = {size: _claimed_and_landed(url, backend, size, n // len(SIZES)) for size in SIZES}
        rows = [
            {"documents": size, "what": what, "clock, ms": 1e3 * spent.clock, "server, ms": 1e3 * spent.server}
            for size, both in worked.items()
            for what, spent in zip(("claim, with texts", f"landing, {DIMENSION} numbers each"), both, strict=True)
        ]
        report.table("one connection, a transaction", rows)
        ask, say = _asked(url, backend)
    report.note("what workers ask and say, ms of the server", question=1e3 * ask, word=1e3 * say)
    (small, large), (claims, landings) = SIZES, zip(*worked.values(), strict=True)
    fitted = [_line(small, before.server, large, after.server) for before, after in (claims, landings)]
    return Store(CORES, *fitted[0], *fitted[1], ask_seconds=ask, say_seconds=say)


def _claimed_and_landed(url: str, backend: Backend, size: int, n: int) -> tuple[Spent, Spent]:
    """Move some documents, by hand; return what a claim and a landing take."""
    generation, new, owner = backend.generations.all()[-1].id, FreeEncoder(2, DIMENSION), new_owner()
    claims, before = Claims(backend, generation, owner, LEASE_SECONDS), backend.generations.count(generation)
    claimed, landed = Stopwatch(url), Stopwatch(url)
    for _ in range(n // size):
        with claimed:
            load = claims.take(size, suspects=False)
        assert len(load) == size, f"{len(load)} documents were claimed, {size} are wanted"
        vectors = dict(zip(load.unit.hashes, new.encode(load.unit.texts), strict=True))
        rows = Rows.of(load.unit.keys, load.unit.hashes, vectors)
        with landed, backend.transaction():
            land(backend, generation, rows, owner=owner)
    assert backend.generations.count(generation) - before == n // size * size
    return claimed.typical, landed.typical


def _asked(url: str, backend: Backend) -> tuple[float, float]:
    """Return what a question of a worker takes of the server (may it go on, what limits it), and what a word takes."""
    record = backend.ledger.active(backend.alias)
    assert record is not None
    asked, said = Stopwatch(url), Stopwatch(url)
    with asked:
        for _ in range(ASKED):
            backend.ledger.record(record.id)
            read_throttle(backend, record.id)
    with said:
        for place in range(ASKED):
            backend.ledger.notes.keep(f"worker:{place % 50}", {"at": time.time(), "stage": "encoding"})
    return asked.typical.server / 2 / ASKED, said.typical.server / ASKED


def _line(small: int, before: float, large: int, after: float) -> tuple[float, float]:
    """Return what a transaction takes, and what each document in it takes, by two sizes."""
    slope = (after - before) / (large - small)
    return max(0.0, before - slope * small), slope


def bench_claimers(report: Report, server: str, n: int, size: int) -> None:
    """Let many claim at once, and nothing else; all of them together have to get each document once."""
    with database(server, "claimers") as url, closing(open_backend(queued(url, n))) as backend:
        generation = backend.generations.all()[-1].id
        rows = []
        for claimers in CLAIMERS[:3] if report.smoke else CLAIMERS:
            rows.append(_claimed(url, size, claimers, n))
            counts = backend.ledger.jobs.counts(generation)
            assert (counts.leased, counts.pending) == (n, 0), counts
            backend.ledger.jobs.release_all()
            with connected(url) as connection:
                connection.execute("VACUUM revector_docs.jobs")
    report.table(f"{n} jobs, claims of {size} by many at once, {PROCESSES} processes on the server's own cores", rows)


def _claimed(url: str, size: int, claimers: int, n: int) -> dict[str, float]:
    """Let so many claim everything, from processes that are open already."""
    place, processes = f"{url}#docs", min(PROCESSES, claimers)
    with SPAWN.Pool(processes) as pool:
        pool.map(_warm_up, [place] * processes, chunksize=1)
        before, began = server_seconds(url), time.perf_counter()
        work = partial(claim_all, place, size, claimers // processes)
        took = [seconds for part in pool.map(work, range(processes), chunksize=1) for seconds in part]
        clock, spent = time.perf_counter() - began, server_seconds(url) - before
    return {
        "claimers": claimers,
        "claims/s": len(took) / clock,
        "documents/s": n / clock,
        "server, µs a document": 1e6 * spent / n,
        "p50 ms": 1e3 * float(np.quantile(took, 0.5)),
        "p99 ms": 1e3 * float(np.quantile(took, 0.99)),
    }


def _warm_up(place: str) -> None:
    open_backend(place).close()


def claim_all(place: str, size: int, threads: int, _: int) -> list[float]:
    """Claim until nothing is left, by so many threads; return the seconds of each claim."""

    def claim(_: int) -> list[float]:
        owner, seconds = new_owner(), []
        while True:
            began = time.perf_counter()
            if not jobs.claim(generation, owner, size, LEASE_SECONDS, suspects=False):
                return seconds
            seconds.append(time.perf_counter() - began)

    with closing(open_backend(place)) as backend, ThreadPoolExecutor(threads) as pool:
        jobs, generation = backend.ledger.jobs, backend.generations.all()[-1].id
        return [one for part in pool.map(claim, range(threads)) for one in part]
