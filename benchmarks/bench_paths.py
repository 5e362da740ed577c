"""What a migration adds to a search beside the work itself: routing, fusion of candidates, leaving hits behind.

Asserts the answers first. There are no peers: these are parts of one search.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import Report
from revector import Background, Collection, OnRead, Rollout
from revector.migration.serving import ServingReader
from revector.migration.strategies import Strategy
from revector.search.ranking import Candidates, in_new_space
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(128, seed=1, name="old"), HashEncoder(128, seed=2, name="new")
ROUTING_US, FUSION_US, ON_READ_MS = 100.0, 20.0, 1.0
"""What each may take."""
CANDIDATES = 300
ROUNDS = 10


def microseconds(work: Callable[[], object], times: int) -> float:
    """Return the median time of a call, in the best of `ROUNDS` rounds: others use the machine as well."""
    medians = []
    for _ in range(ROUNDS):
        taken = []
        for _ in range(times // ROUNDS):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
        medians.append(float(np.median(taken)))
    return 1e6 * min(medians)


def routing(report: Report, docs: Collection, times: int) -> None:
    """Time what decides who answers: who serves, and what the strategies choose."""
    reader, backend, encoders = ServingReader(docs._backend), docs._backend, docs._encoders

    def route() -> object:
        with backend.snapshot():
            serving = reader.read()
        return serving.reading(encoders, key="a reader")

    with backend.snapshot():  # as in a search, which has one open
        inside = microseconds(lambda: reader.read().reading(encoders, key="a reader"), times)
    figures = {"of a search us": inside, "with a snapshot of its own us": microseconds(route, times)}
    report.note("routing: who serves, and what is read", **figures)
    assert report.smoke or inside < ROUTING_US, f"routing takes {inside:.0f} us"


def fusion(report: Report, times: int) -> None:
    """Time the ranking of candidates of two generations, half of which have both scores."""
    chance = np.random.default_rng(0)
    old, new = chance.random(CANDIDATES), chance.random(CANDIDATES)
    new[::2] = np.nan
    candidates = Candidates(np.arange(CANDIDATES), old, new)
    ranked = in_new_space(candidates, 10)
    assert len(ranked.keys) == 10
    assert (np.diff(ranked.scores) <= 0).all()
    took = microseconds(lambda: in_new_space(candidates, 10), times)
    report.note(f"fusion of {CANDIDATES} candidates", us=took)
    assert report.smoke or took < FUSION_US, f"fusion takes {took:.0f} us"


def on_read(report: Report, folder: Path, documents: int, times: int) -> None:
    """Time searches that leave their hits behind beside searches that do not, in turn."""
    texts = [f"document {i} about subject {i % 97} and theme {i % 89}" for i in range(documents)]
    taken: dict[str, list[float]] = {"background": [], "on-read": []}
    strategies: dict[str, Strategy] = {"background": Background(), "on-read": OnRead()}
    opened = {}
    for name, strategy in strategies.items():
        docs = opened[name] = Collection.open(folder / f"{name}.db", OLD)
        docs.upsert([str(i) for i in range(documents)], texts)
        docs.migrate(NEW, strategy=strategy).start()
    for turn in range(times):
        for name, docs in opened.items():
            began = time.perf_counter()
            found = docs.search(texts[turn % documents], 10, rescore=0 if name == "background" else None)
            taken[name].append(1e3 * (time.perf_counter() - began))
            assert len(found) == 10
    embedded = opened["on-read"]._searcher.on_read.report.embedded
    for docs in opened.values():
        docs.close()
    medians = {name: float(np.median(times)) for name, times in taken.items()}
    added = medians["on-read"] - medians["background"]
    report.note("a search that leaves its hits behind", **medians, added_ms=added, embedded_behind=embedded)
    assert embedded > 0
    assert report.smoke or added <= ON_READ_MS, f"on-read adds {added:.2f} ms"


def main() -> None:
    """Measure all three."""
    report = Report.from_arguments("paths", rounds=1)
    times, documents = (50, 100) if report.smoke else (3_000, 5_000)
    fusion(report, times)
    with tempfile.TemporaryDirectory() as name:
        with Collection.open(Path(name, "routing.db"), OLD) as docs:
            docs.upsert(["a", "b"], ["one text", "another"])
            docs.migrate(NEW, strategy=[Background(), OnRead(), Rollout()]).start()
            routing(report, docs, times)
        on_read(report, Path(name), documents, times)
    report.finish()


if __name__ == "__main__":
    main()
