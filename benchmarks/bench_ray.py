"""Many machines: what two workers on Ray do beside one process of two threads, what a unit costs, what saturates.

``efficiency``: a collection moves to MiniLM by one process with all threads of this machine, by one worker that has
them all, and by two that share them, in turn; without the seconds in which Ray starts, which are told apart.
``store``: what claims, landings and questions take of the server, one at a time and by many at once (`ray_store`).
``simulation``: 100 million documents on 50 machines, by arithmetic and simulated (`simulated_cluster`); it takes what
``store`` has found, if that runs too.

The server is one of the benchmark's own (`pg_server`), with ``fsync``, on the same cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, NoReturn

import psutil

from common import Report, peer
from free_encoder import FreeEncoder
from live_texts import real_texts
from migrating import timed
from pg_server import database, described, running
from ray_store import bench_claimers, bench_store
from revector import Collection, Encoder, _core
from revector.backends.opening import open_backend
from revector.distributed.ray import RayCrew
from revector.encoders.at_hand import EncoderSet
from revector.errors import EncoderError
from revector.formats.named_models import fetch_model
from revector.migration.filling.crew import Crew
from revector.migration.filling.pace import UNIT_SECONDS
from simulated_cluster import DOCUMENTS, MACHINES, MEASURED, Store, figures

PARTS = ("efficiency", "store", "simulation")
PASSAGE, WARM_UP = 500, 32
OLD = FreeEncoder(1, 8)
WORKER = "ray::RemoteWorker"
"""What Ray calls the processes of actors."""
BARE, ALONE, ONE, TWO = "bare encoder", "one process", "one worker", "two workers"


def prepared(place: str, texts: Sequence[str], new: Encoder) -> None:
    """Make a collection of a few documents, and start to move it."""
    with Collection.open(place, OLD) as documents:
        documents.upsert([f"w{i}" for i in range(len(texts))], texts)
        documents.migrate(new).start()


def no_model(source: str) -> NoReturn:
    """Refuse: a writer that loads the new model behind its writes would take work from whoever is measured."""
    raise EncoderError(f"{source} is not loaded")


def cpu_seconds() -> float:
    """Return the processor time of this process and of its workers; what Ray's daemons take is no part of it."""
    own = psutil.Process()
    begun = [each for each in own.children(recursive=True) if "".join(each.cmdline()).startswith(WORKER)]
    times = [process.cpu_times() for process in (own, *begun)]
    return float(sum(each.user + each.system for each in times))


class Fill(NamedTuple):
    """Seconds until the first documents were embedded, of all others by the clock, and of processors for those."""

    start: float
    clock: float
    cpu: float


def filled(place: str, texts: Sequence[str], new: Encoder | None, crew: Crew | None) -> Fill:
    """Move the few, then all others, by this process or a crew.

    When the others come, everybody has opened the collection and loaded the model.
    """
    with Collection.open(place, OLD, encoders=[] if new is None else [new]) as documents:
        migration = documents.migration
        assert migration is not None
        first, _ = timed(partial(migration.run, crew=crew))
        with Collection(open_backend(place), EncoderSet([OLD], loader=no_model)) as writer:
            for begin in range(0, len(texts), 1024):
                part = texts[begin : begin + 1024]
                writer.upsert([str(begin + i) for i in range(len(part))], part)
        before = cpu_seconds()
        began = time.perf_counter()
        report = migration.run(crew=crew)
        second, spent = time.perf_counter() - began, cpu_seconds() - before
        assert report.embedded == len(texts), report
        status = migration.status()
        assert status.moved == status.documents == len(texts) + WARM_UP, status
    return Fill(first, second, spent)


def bench_efficiency(report: Report, server: str, n: int) -> None:
    """Take turns: the bare encoder, one process, and workers; all of them have all threads of the machine together."""
    new, passages = Encoder.from_pretrained(fetch_model("minilm")), real_texts(n + WARM_UP, PASSAGE).documents
    texts, few = passages[:n], passages[n:]
    fills: dict[str, list[Fill]] = {BARE: [], ALONE: [], ONE: [], TWO: []}
    for _ in range(report.rounds):
        fills[BARE].append(Fill(0.0, *timed(lambda: [new.encode(texts[i : i + 256]) for i in range(0, n, 256)])))
        with database(server, "alone") as url:
            prepared(f"{url}#docs", few, new)
            fills[ALONE].append(filled(f"{url}#docs", texts, new, None))
        for name, workers in ((ONE, 1), (TWO, 2)):
            with database(server, "crew") as url:
                prepared(f"{url}#docs", few, new)
                with RayCrew(f"{url}#docs", address="local", workers=workers) as crew:
                    fills[name].append(filled(f"{url}#docs", texts, None, crew))
    took = {name: Fill(*map(statistics.median, zip(*each, strict=True))) for name, each in fills.items()}
    report.table(
        f"{n} passages, MiniLM in {new.precision}, {_core.num_threads()} threads in all",
        [
            {
                "what": name,
                "documents/s": n / each.clock,
                "CPU, ms a document": 1e3 * each.cpu / n,
                "start, s": each.start,
            }
            for name, each in took.items()
        ],
    )
    report.note(
        "two workers beside one process",
        efficiency_by_the_clock=took[ALONE].clock / took[TWO].clock,
        efficiency_by_cpu=took[ALONE].cpu / took[TWO].cpu,
        units=took[ALONE].clock / UNIT_SECONDS,
        ray_cpu_ms_a_unit=1e3 * (took[ONE].cpu - took[ALONE].cpu) / (took[ALONE].clock / UNIT_SECONDS),
    )


def bench_simulation(report: Report, store: Store) -> None:
    """Show the arithmetic and the simulation."""
    report.note("the store, seconds", **vars(store))
    report.table(f"{DOCUMENTS:,} documents on {MACHINES} machines", list(figures(store, smoke=report.smoke)))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=2_000, help="that are embedded by MiniLM")
    parser.add_argument("--jobs", type=int, default=100_000, help="that are claimed")


def main() -> None:
    report = Report.from_arguments("Ray", rounds=3, parts=PARTS, default_parts=PARTS, more=add_options)
    documents, jobs = (32, 4_096) if report.smoke else (report.options.documents, report.options.jobs)
    store = MEASURED
    with running() as server:
        report.note("server", **described(server))
        if "efficiency" in report.parts and peer("ray") is not None:
            bench_efficiency(report, server, documents)
        if "store" in report.parts:
            store = bench_store(report, server, jobs)
            bench_claimers(report, server, jobs, 256)
    if "simulation" in report.parts:
        bench_simulation(report, store)
    report.finish()


if __name__ == "__main__":
    main()
