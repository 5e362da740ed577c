"""What a map between two models keeps: nDCG@10 of exact search as a share of a full re-embed, on judged collections.

Every pair of neighbours in ``$REVECTOR_BENCH_MODELS`` is an old and a new model (folders, see `judged`), on each of
``$REVECTOR_BENCH_COLLECTIONS``; by default the demo's two models on the documentation of this Python. A round is a
seed: it draws the pairs and the queries. `quality_page` writes the figures down as docs/quality.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common import Report, peer
from embedded import Embedded, embed
from judged import named, read_collection
from map_trials import TRIALS
from revector import cosine_topk, normalize
from revector.demo.docstrings import python_corpus
from revector.evaluation.metrics import per_query
from revector.evaluation.significance import Interval, paired_lift
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, ResidualMLP, RidgeMap

METRIC = "nDCG@10"
SIZES = (1_000, 5_000, 20_000)
QUERIES_A_SEED = 1_000
SEEDS_OF_TRIALS = 1
"""Slow maps, and those that are no product code, are measured on fewer seeds."""

LOCAL = "local residual"

Rows = NDArray[np.float32]
Places = NDArray[np.int64]
Values = Mapping[str, float]


class Fitted(Protocol):
    """What the search needs of a map."""

    def transform(self, x: Any) -> Rows:
        """Map rows to unit rows."""
        ...


@dataclass(frozen=True)
class Way:
    """A map to measure: how it is fitted, and on how many pairs."""

    name: str
    fit: Callable[[Rows, Rows], Fitted]
    sizes: tuple[int, ...]
    seeds: int | None = None


def ways() -> list[Way]:
    """List the rows of the table."""
    found = [
        Way("Procrustes, not centred", lambda x, y: Procrustes(center=False).fit(x, y), SIZES[1:2]),
        Way("Procrustes", lambda x, y: Procrustes().fit(x, y), SIZES),
        Way("ridge", lambda x, y: RidgeMap().fit(x, y), SIZES[1:]),
        Way("ridge toward rotation", lambda x, y: RidgeMap(toward_rotation=True).fit(x, y), SIZES[1:]),
        Way("low rank 64", lambda x, y: LowRankMap(64).fit(x, y), SIZES[2:]),
        Way("low rank 128", lambda x, y: LowRankMap(128).fit(x, y), SIZES[2:]),
        Way(LOCAL, lambda x, y: LocalResidualMap().fit(x, y), SIZES[1:]),
    ]
    if peer("torch"):
        found.append(Way("residual MLP", lambda x, y: ResidualMLP().fit(x, y), SIZES[2:], SEEDS_OF_TRIALS))
    return found + [Way(name, fit, SIZES[2:], SEEDS_OF_TRIALS) for name, fit in TRIALS.items()]


@dataclass(frozen=True)
class Case:
    """A collection in the old and in the new space."""

    title: str
    corpus: Corpus
    old: Embedded
    new: Embedded


@dataclass
class Tally:
    """Scores of each query through a map, and of the full re-embed on the same documents; one entry for each seed."""

    mapped: dict[str, list[float]] = field(default_factory=dict)
    full: dict[str, list[float]] = field(default_factory=dict)

    def add(self, mapped: Values, full: Values) -> None:
        """Take in one seed."""
        for query, value in mapped.items():
            self.mapped.setdefault(query, []).append(value)
            self.full.setdefault(query, []).append(full[query])

    def share(self) -> Interval:
        """Return the share of the re-embed; queries are resampled, each with the mean over its seeds."""
        full, mapped = (np.array([np.mean(each) for each in side.values()]) for side in (self.full, self.mapped))
        lift = paired_lift(full, mapped, relative=True)
        return Interval(1 + lift.value, 1 + lift.low, 1 + lift.high, lift.deviation, lift.n_queries)


class Draw:
    """One seed: which documents are pairs, which queries are asked, and what the new model alone finds."""

    def __init__(self, case: Case, seed: int) -> None:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(case.old.documents))
        self.case = case
        self.pairs = order[: min(SIZES[-1], len(order) * 2 // 3)]
        self.queries = rng.permutation(len(case.corpus.queries))[:QUERIES_A_SEED]
        self.places = {"all documents": np.arange(len(order)), "held-out documents": np.sort(order[len(self.pairs) :])}
        asked = case.new.queries[self.queries]
        self.full = {name: self.score(name, asked, case.new.documents) for name in self.places}

    def score(self, documents: str, queries: Rows, rows: Rows) -> Values:
        """Search some of the documents and score every query that has a relevant one among them."""
        case, places = self.case, self.places[documents]
        names = np.array(list(case.corpus.documents), dtype=object)[places]
        asked = np.array(list(case.corpus.queries), dtype=object)[self.queries].tolist()
        _, found = cosine_topk(queries, rows[places], 10)
        run = dict(zip(asked, (names[row].tolist() for row in found), strict=True))
        kept = set(names.tolist())
        grades = {query: case.corpus.qrels.get(query, {}) for query in asked}
        return per_query(run, {q: {d: g for d, g in of.items() if d in kept} for q, of in grades.items()}, METRIC)

    def documents_mapped(self, way: Way, size: int) -> Iterator[tuple[str, str, Values, dict[str, float]]]:
        """Search mapped documents by the new model's queries."""
        old, new, pairs = self.case.old, self.case.new, self.pairs[:size]
        fitted, fit_seconds = _timed(
            lambda: _solved(way.fit(old.documents[pairs], new.documents[pairs]), old.documents)
        )
        mapped, seconds = _timed(lambda: fitted.transform(old.documents))
        asked, cost = new.queries[self.queries], {"fit": fit_seconds, "a million": seconds / len(mapped) * 1e6}
        for name in self.places:
            yield way.name, name, self.score(name, asked, mapped), cost
        if way.name == LOCAL and size == len(self.pairs):
            mapped[pairs] = new.documents[pairs]
            yield (
                f"{LOCAL}, the pairs' true vectors in the index",
                "all documents",
                self.score("all documents", asked, mapped),
                cost,
            )

    def queries_mapped(self, way: Way, size: int) -> Iterator[tuple[str, str, Values, dict[str, float]]]:
        """Search old documents by mapped queries of the new model."""
        old, new, pairs = self.case.old, self.case.new, self.pairs[:size]
        fitted, fit_seconds = _timed(
            lambda: _solved(way.fit(new.documents[pairs], old.documents[pairs]), new.documents)
        )
        asked = new.queries[self.queries]
        mapped = fitted.transform(asked)
        _, seconds = _timed(lambda: [fitted.transform(row[None]) for row in asked[:50]])
        for name in self.places:
            yield way.name, name, self.score(name, mapped, old.documents), {"fit": fit_seconds, "a query": seconds / 50}


def _solved(fitted: Fitted, rows: Rows) -> Fitted:
    """Apply a map once: many are solved when they are first used."""
    fitted.transform(rows[:1])
    return fitted


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and the CPU seconds it took: wall time would count whatever else the machine does."""
    before = time.process_time()
    return work(), time.process_time() - before


def measure(report: Report, case: Case, rows: list[Way]) -> dict[tuple[str, ...], Interval]:
    """Measure every map in both directions and record its share."""
    tallies: dict[tuple[str, ...], Tally] = {}
    costs: dict[tuple[str, ...], dict[str, float]] = {}
    for seed in range(report.rounds):
        draw = Draw(case, seed)
        for way in rows:
            if way.seeds is not None and seed >= way.seeds:
                continue
            for size in sorted({min(size, len(draw.pairs)) for size in way.sizes}):
                for direction, search in (("documents", draw.documents_mapped), ("queries", draw.queries_mapped)):
                    for name, documents, values, cost in search(way, size):
                        key = (direction, name, str(size), documents)
                        tallies.setdefault(key, Tally()).add(values, draw.full[documents])
                        costs.setdefault(key, cost)
        alone = draw.score("all documents", case.old.queries[draw.queries], case.old.documents)
        tallies.setdefault(("", "the old model alone", "", "all documents"), Tally()).add(
            alone, draw.full["all documents"]
        )
    absolute = {name: float(np.mean(list(values.values()))) for name, values in draw.full.items()}
    sizes = {"documents": len(case.old.documents), "held_out": len(case.old.documents) - len(draw.pairs)}
    report.note(case.title, full=absolute, **sizes, queries=len(draw.queries), seeds=report.rounds)
    shares = {key: tally.share() for key, tally in tallies.items()}
    for (direction, name, size, documents), share in shares.items():
        row = {"direction": direction, "map": name, "pairs": size, "documents": documents}
        report.note(case.title, **row, **asdict(share), seconds=costs.get((direction, name, size, documents), {}))
    differences(report, case, tallies, {way.name for way in rows if way.seeds is not None})
    return shares


def differences(report: Report, case: Case, tallies: Mapping[tuple[str, ...], Tally], trials: set[str]) -> None:
    """Record how far each map of few seeds is from the local residual, on the queries of the same seeds."""
    for (direction, name, size, documents), tally in tallies.items():
        if name in trials:
            local = tallies[direction, LOCAL, size, documents]
            ours, theirs = (
                np.array([np.mean(side.mapped[query][: len(each)]) for query, each in tally.mapped.items()])
                for side in (local, tally)
            )
            lift = asdict(paired_lift(ours, theirs, relative=True))
            report.note(case.title, direction=direction, trial=name, documents=documents, lift=lift)


def planted_case() -> Case:
    """Clusters, each shifted its own way in the new space; a query is a noisy document, which is its answer."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 40, 1200)
    old = normalize(rng.standard_normal((40, 32))[cluster] + 0.5 * rng.standard_normal((1200, 32)))
    turn = np.linalg.qr(rng.standard_normal((32, 32)))[0]
    new = normalize(old @ turn + 0.4 * rng.standard_normal((40, 32))[cluster] + 0.2)
    noise = 0.05 * rng.standard_normal((2, 300, 32))
    documents = {f"d{i}": "" for i in range(1200)}
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(300)}
    corpus = Corpus("planted", documents, dict.fromkeys(qrels, ""), qrels)
    queries = normalize(old[:300] + noise[0]), normalize(new[:300] + noise[1])
    return Case("planted", corpus, Embedded(old, queries[0]), Embedded(new, queries[1]))


def smoke(report: Report) -> None:
    """Assert on planted data that maps help as they should."""
    planted = planted_case()
    shares = measure(report, planted, [way for way in ways() if not way.name.startswith("low rank")])
    kept = {name: share.value for (direction, name, _, where), share in shares.items() if "all" in where and direction}
    assert kept["Procrustes, not centred"] < kept["Procrustes"] < kept[LOCAL] <= 1.05, kept
    assert all(0 <= value <= 1.05 for value in kept.values()), kept


def cases() -> Iterator[Case]:
    """Yield each pair of models on each collection."""
    models = named("REVECTOR_BENCH_MODELS") or [fetch_model("wordllama"), fetch_model("minilm")]
    collections = [read_collection(path) for path in named("REVECTOR_BENCH_COLLECTIONS")] or [python_corpus()]
    for old, new in pairwise(models):
        for corpus in collections:
            title = f"{old.name} → {new.name}, {corpus.name}"
            yield Case(title, corpus, embed(Path(old), corpus), embed(Path(new), corpus))


def main() -> None:
    """Measure every case."""
    report = Report.from_arguments("maps", rounds=5)
    if report.smoke:
        smoke(report)
    else:
        for case in cases():
            measure(report, case, ways())
    report.finish()


if __name__ == "__main__":
    main()
