"""Quality while documents move: nDCG@10 at every share migrated, by strategy, beside what users would try themselves.

Every pair of neighbours in ``$REVECTOR_BENCH_MODELS`` is an old and a new model (folders, see `judged`), on each of
``$REVECTOR_BENCH_COLLECTIONS``; by default a static model to MiniLM on docstrings. Documents land in the order in which
workers would have taken them; each query is asked by itself, against the collection as it stands at that share: what a
search embeds is not stored, so that the share stays what it is. Old quality, new quality and the curves are of the same
queries.

Asserts that no strategy ever falls below the worse of the two models, and how much of an upgrade is there at once.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import Report
from embedded import Embedded, embed
from judged import named, read_collection
from revector import Background, Collection, DualIndex, Encoder, OnRead, RidgeMap
from revector.demo.docstrings import python_corpus
from revector.encoders.base import Kind, TextEncoder
from revector.evaluation.exact import topk
from revector.evaluation.metrics import as_array, per_query
from revector.formats.judgements import Corpus
from revector.formats.named_models import fetch_model
from revector.fusion import merge
from revector.migration.filling.bridge import fit_bridge
from revector.migration.landing import Rows, land
from revector.migration.strategies import Strategy
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

SHARES = (0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 1.0)
DIP = 0.005
"""Below the worse of the two models, by so much at most."""
GONE = 0.95
"""Of the worse of the two models, with one of them gone and 50 re-scored, at least."""
LIFT_AT_ONCE = {10: 0.35, 50: 0.75}
"""Share of an upgrade that is there with nothing or a tenth moved, by how many hits are re-scored."""
CLEAR_LIFT = 0.05
DEPTH = 10
BLOCK = 100
STATES = ("proving", "serving", "rolled back")
PAIRS = 5_000
INSURED = 2_000
"""Documents that are embedded with the new model while the old one is at hand."""

Matrix = NDArray[np.float32]
Values = NDArray[np.float64]


class Known:
    """An encoder whose vectors of a corpus were made beforehand; counts the documents of it that it is asked for."""

    def __init__(self, encoder: TextEncoder, corpus: Corpus, rows: Embedded) -> None:
        self.space, self.source, self._encoder = encoder.space, None, encoder
        self._documents = dict(zip(corpus.documents.values(), rows.documents, strict=True))
        self._queries = dict(zip(corpus.queries.values(), rows.queries, strict=True))
        self.documents = 0

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> Matrix:
        """Look the rows up; what is not of the corpus (canary texts, sentences as queries) is embedded."""
        rows = self._documents if kind == "document" else self._queries
        if any(text not in rows for text in texts):
            return self._encoder.encode(texts, kind=kind)
        if kind == "document":
            self.documents += len(texts)
        return np.stack([rows[text] for text in texts])


@dataclass(frozen=True)
class Pair:
    """An old and a new model on one collection, with all vectors."""

    corpus: Corpus
    old: Known
    new: Known
    rows: tuple[Embedded, Embedded]

    @property
    def title(self) -> str:
        """What it is called in the report."""
        return f"{self.old.space.model.split('/')[-1]} to {self.new.space.model.split('/')[-1]}, {self.corpus.name}"

    def score(self, rankings: Mapping[str, Sequence[str]]) -> float:
        """Return nDCG@10 of rankings by query id."""
        return float(as_array(per_query(rankings, self.corpus.qrels, f"nDCG@{DEPTH}")).mean())


@dataclass(frozen=True)
class Point:
    """What searches were like at one share."""

    quality: float
    median_ms: float
    p99_ms: float
    embedded_a_query: float


@dataclass(frozen=True)
class Series:
    """A way to search while documents move."""

    name: str
    strategy: Strategy | Sequence[Strategy]
    rescore: int | None = None
    hot_first: bool = False
    without: str = ""
    """Which model is gone: "old" or "new"."""


SERIES = (
    Series("background, 10 re-scored", Background(), 10),
    Series("background, 50 re-scored", Background(), 50),
    Series("background, hot first, 10 re-scored", Background(), 10, hot_first=True),
    Series("background, none re-scored", Background(), 0),
    Series("on-read", OnRead()),
    Series("on-read, hot first", OnRead(), hot_first=True),
    Series("dual index, 10 re-scored", [Background(), DualIndex()], 10),
    Series("dual index, both models count", [Background(), DualIndex(weight_of_old=0.5)], 10),
    Series("old model gone, 50 re-scored", Background(), 50, without="old"),
    Series("new model gone", Background(), without="new"),
)


def asked(docs: Collection, pair: Pair, rescore: int | None, *, write_through: bool = False) -> Point:
    """Ask every query by itself."""
    before, times, rankings = pair.new.documents, [], {}
    for query, text in pair.corpus.queries.items():
        began = time.perf_counter()
        found = docs.search(text, DEPTH, rescore=rescore, write_through=write_through)
        times.append(1000 * (time.perf_counter() - began))
        rankings[query] = [hit.id for hit in found]
    embedded = (pair.new.documents - before) / len(times)
    return Point(pair.score(rankings), float(np.median(times)), float(np.quantile(times, 0.99)), embedded)


def ingested(folder: Path, pair: Pair) -> Path:
    """Make the collection once; each series works on a copy."""
    place = folder / "source" / "docs.db"
    place.parent.mkdir()
    with Collection.open(place, pair.old) as docs:
        docs.upsert(list(pair.corpus.documents), list(pair.corpus.documents.values()))
        docs.prepare()
    return place.parent


def moved_to(docs: Collection, pair: Pair, share: float) -> None:
    """Land vectors in the order in which workers take documents, up to a share of all."""
    backend, owner = docs._backend, "curves"
    generation = backend.generations.all()[-1].id
    while (left := round(share * len(pair.corpus.documents)) - backend.generations.count(generation)) > 0:
        claims = backend.ledger.jobs.claim(generation, owner, min(left, 1_000), 600.0)
        assert claims, "nothing is left to claim"
        texts = backend.documents.texts([claim.document_key for claim in claims], None)
        hashes = [claim.content_hash for claim in claims]
        vectors = pair.new.encode([texts[claim.document_key][1] for claim in claims])
        keys = np.array([claim.document_key for claim in claims], np.int64)
        assert land(backend, generation, Rows(keys, hashes, vectors), owner=owner) == len(claims)


def curve(source: Path, folder: Path, pair: Pair, series: Series) -> Iterator[tuple[str, Point]]:
    """Yield what searches are like at each share, and in the phases after it."""
    place = folder / series.name
    shutil.copytree(source, place)
    at_hand = [pair.old, pair.new] if not series.without else [pair.new if series.without == "old" else pair.old]
    with Collection.open(place / "docs.db", pair.old, encoders=[pair.new]) as docs:
        if series.hot_first:  # by every second query, whose hits are what is popular
            for text in list(pair.corpus.queries.values())[::2]:
                docs.search(text, DEPTH)
            docs._searcher.behind.flush()
        known = INSURED
        if series.without:
            docs.insure(pair.new, documents=INSURED)
        migration = docs.migrate(pair.new, strategy=series.strategy)
        migration.start()
        for share in SHARES:
            moved_to(docs, pair, share)
            pairs = docs._backend.generations.count(docs._backend.generations.all()[-1].id)
            if series.without and pairs >= 2 * known:  # as `run` does
                known = fit_bridge(docs._backend, *(generation.id for generation in docs._backend.generations.all()))
            with Collection.open(place / "docs.db", encoders=at_hand) as reader:
                yield f"{share:.0%}", asked(reader, pair, series.rescore)
        migration.run()
        steps: list[Callable[[], object]] = [lambda: migration.verify(sample=20), migration.cutover, migration.rollback]
        for state, step in zip(STATES, steps, strict=True):
            step()
            with Collection.open(place / "docs.db", encoders=at_hand) as reader:
                yield state, asked(reader, pair, series.rescore)
    shutil.rmtree(place)


def baselines(pair: Pair, seed: int = 0) -> dict[str, list[float]]:
    """Return the curves of what users would try: exact search over a mix of the two spaces, and fused rankings."""
    (old, new), ids = pair.rows, list(pair.corpus.documents)
    order = np.random.default_rng(seed).permutation(len(ids))
    pairs = order[:PAIRS]
    fitted = RidgeMap().fit(old.documents[pairs], new.documents[pairs])
    mapped = normalize(fitted.transform(old.documents))
    spaces = pair.old.space, pair.new.space
    curves: dict[str, list[float]] = {"ridge-mapped mix": [], "RRF": [], "calibrated merge": []}
    if old.documents.shape[1] == new.documents.shape[1]:
        curves["unmapped mix"] = []
    for share in SHARES:
        moved = np.zeros(len(ids), np.bool_)
        moved[order[: round(share * len(ids))]] = True
        for name, rest in (("unmapped mix", old.documents), ("ridge-mapped mix", mapped)):
            if name in curves:
                mixed = np.where(moved[:, None], new.documents, rest)
                curves[name].append(
                    _score_rows(pair, _nearest(spaces[1], new.queries, mixed, np.arange(len(ids))), ids)
                )
        halves = [
            _nearest(spaces[0], old.queries, old.documents[~moved], np.flatnonzero(~moved)),
            _nearest(spaces[1], new.queries, new.documents[moved], np.flatnonzero(moved)),
        ]
        for name, method in (("RRF", "rrf"), ("calibrated merge", "zscore")):
            curves[name].append(_score_rows(pair, _fused(halves, method), ids))
    return curves


_Found = tuple[Values, NDArray[np.int64]]


def _nearest(space: EmbeddingSpace, queries: Matrix, documents: Matrix, places: NDArray[np.int64]) -> _Found:
    if not len(places):
        return np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)
    scores, rows = topk(space, queries, documents, 5 * DEPTH)
    return scores.astype(np.float64), places[rows]


def _fused(halves: Sequence[_Found], method: str) -> _Found:
    found = []
    for query in range(len(halves[0][0])):
        lists = [(keys[query], scores[query]) for scores, keys in halves if keys.shape[1]]
        if method == "zscore":
            lists = [(keys, (scores - scores.mean()) / max(scores.std(), 1e-9)) for keys, scores in lists]
        else:
            lists = [(keys, 1.0 / (60 + np.arange(1, len(keys) + 1))) for keys, _ in lists]
        found.append(merge(lists, limit=DEPTH))
    return np.stack([scores for _, scores in found]), np.stack([keys for keys, _ in found])


def _score_rows(pair: Pair, found: _Found, ids: Sequence[str]) -> float:
    rankings = (keys[:DEPTH] for keys in found[1])
    return pair.score(
        {query: [ids[key] for key in keys] for query, keys in zip(pair.corpus.queries, rankings, strict=True)}
    )


def _exact(pair: Pair, model: Known, rows: Embedded) -> float:
    everything = np.arange(len(rows.documents))
    found = _nearest(model.space, rows.queries, rows.documents, everything)
    return _score_rows(pair, found, list(pair.corpus.documents))


def _by_share(values: Sequence[float]) -> dict[str, float]:
    return {f"{share:.0%}": value for share, value in zip(SHARES, values, strict=True)}


def as_it_fills(source: Path, folder: Path, pair: Pair) -> list[dict[str, Any]]:
    """Ask all queries twice while nothing else embeds, and store what they pay for: it becomes less and less."""
    place, rows = folder / "filling", []
    shutil.copytree(source, place)
    with Collection.open(place / "docs.db", pair.old, encoders=[pair.new]) as docs:
        docs.migrate(pair.new).start()
        texts = list(pair.corpus.queries.values())
        for turn in ("first", "second"):
            for begin in range(0, len(texts), BLOCK):
                before, asked = pair.new.documents, texts[begin : begin + BLOCK]
                for text in asked:
                    docs.search(text, DEPTH, rescore=DEPTH)
                while docs._searcher.on_read.report.waiting:
                    time.sleep(0.01)
                docs._searcher.behind.flush()
                embedded = (pair.new.documents - before) / len(asked)
                moved = docs._backend.generations.count(2) / len(pair.corpus.documents)
                rows.append({"time": turn, "queries": begin + len(asked), "embedded a query": embedded, "moved": moved})
    shutil.rmtree(place)
    return rows


def bench(report: Report, pair: Pair, wanted: Sequence[Series]) -> list[str]:
    """Measure all series on one pair; return what must hold of them and does not."""
    old, new = (_exact(pair, *each) for each in zip((pair.old, pair.new), pair.rows, strict=True))
    sizes = f"{len(pair.corpus.documents):,} documents, {len(pair.corpus.queries):,} queries"
    report.note(f"{pair.title}: {sizes}", old=old, new=new)
    later = dict.fromkeys(STATES, math.nan)
    qualities = [{"way": name, **_by_share(values), **later} for name, values in baselines(pair).items()]
    searches, complaints = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = ingested(folder, pair)
        for series in wanted:
            points = dict(curve(source, folder, pair, series))
            quality = {state: point.quality for state, point in points.items()}
            qualities.append({"way": series.name, **quality})
            searches.append({"way": series.name, **_of_searches(points)})
            complaints += [
                f"{pair.title}: {series.name} {each}" for each in complaints_about(series, quality, old, new)
            ]
            print(qualities[-1], flush=True)
        filling = as_it_fills(source, folder, pair)
    report.table(f"{pair.title}: nDCG@{DEPTH}", qualities)
    report.table(f"{pair.title}: a search", searches)
    report.table(f"{pair.title}: as write-through fills, {DEPTH} re-scored", filling)
    return complaints


def _of_searches(points: Mapping[str, Point]) -> dict[str, float]:
    embedded = {f"embedded at {state}": points[state].embedded_a_query for state in ("0%", "50%", "95%")}
    median = float(np.median([point.median_ms for point in points.values()]))
    return {"median ms": median, "worst p99 ms": max(point.p99_ms for point in points.values()), **embedded}


def complaints_about(series: Series, quality: Mapping[str, float], old: float, new: float) -> Iterator[str]:
    """Yield what must hold of a series and does not: never below the worse model, and most of an upgrade at once."""
    floor = GONE * min(old, new) if series.without else min(old, new) - DIP
    for state, found in quality.items():
        if found < floor:
            yield f"at {state} {found:.4f}, below {floor:.4f}"
    by_both = isinstance(series.strategy, list) and any(getattr(each, "weight_of_old", 0) for each in series.strategy)
    if new - old > CLEAR_LIFT and not (series.hot_first or series.without or by_both):  # by both: half is the old one's
        for state in ("0%", "10%"):
            gained = (quality[state] - old) / (new - old)
            if gained < LIFT_AT_ONCE.get(series.rescore or 0, -1.0):
                yield f"at {state} {gained:.0%} of the lift"


def pairs_of(smoke: bool, queries: int) -> Iterator[Pair]:
    """Yield the pairs of models and collections to measure."""
    folders = named("REVECTOR_BENCH_MODELS") or [fetch_model(name) for name in ("wordllama", "minilm")]
    corpora = [read_collection(folder) for folder in named("REVECTOR_BENCH_COLLECTIONS")]
    for corpus in corpora or [python_corpus(n_documents=200 if smoke else 3_000, n_queries=30 if smoke else 500)]:
        some = list(corpus.qrels)[:: max(1, len(corpus.qrels) // queries)][:queries]
        fewer = Corpus(
            corpus.name,
            corpus.documents,
            {query: corpus.queries[query] for query in some},
            {query: corpus.qrels[query] for query in some},
        )
        models = [(Encoder.from_pretrained(folder), embed(folder, corpus)) for folder in folders]
        places = [list(corpus.queries).index(query) for query in some]
        kept = [(encoder, Embedded(rows.documents, rows.queries[places])) for encoder, rows in models]
        for (old, old_rows), (new, new_rows) in itertools.pairwise(kept):
            yield Pair(fewer, Known(old, fewer, old_rows), Known(new, fewer, new_rows), (old_rows, new_rows))


def main() -> None:
    """Measure every pair."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--queries", type=int, default=500, help="how many are asked")
        parser.add_argument("--series", nargs="+", default=[], help="names of series begin so; all by default")

    report = Report.from_arguments("curves", rounds=1, more=options)
    names = tuple(report.options.series)
    wanted = [series for series in SERIES if not names or series.name.startswith(names)]
    complaints = []
    for pair in pairs_of(report.smoke, 30 if report.smoke else report.options.queries):
        complaints += bench(report, pair, wanted[:2] if report.smoke else wanted)
    report.finish()
    assert report.smoke or not complaints, "; ".join(complaints)


if __name__ == "__main__":
    main()
