"""Quality over the share that has moved: measured whenever a report is made with judged queries, and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation import metrics, significance
from revector.evaluation.metrics import Qrels, depth
from revector.ledger.records import MigrationRecord
from revector.migration.status import status_of
from revector.report.content import Column, Figure, LeftOut, Section, Span, Table
from revector.report.formatting import common_axis
from revector.search.queries import QueryEncoder
from revector.search.recall import Recall

MOST_POINTS = 200
MOST_QUERIES = 1_000
_NOTE = "quality:{}"
_HOW = "'revector report --judged FOLDER' measures it on judged queries, and keeps what it finds"

Ask = Callable[[list[str], int], "list[list[str]]"]
"""Texts of queries and how many hits; returns ids, best first, as readers get them."""


@dataclass(frozen=True)
class QualityPoint:
    """Quality at one moment.

    Attributes
    ----------
    at : float
        Seconds since the epoch.
    phase : str
    share : float
        Of the documents that have moved.
    value, low, high : float
        What readers get, with its interval over the queries.
    old : float or None
        What the old generation alone gives; ``None`` where it cannot be asked any more.
    metric : str
    queries : int
    asked : str
        Names the queries: points of others are not compared.
    """

    at: float
    phase: str
    share: float
    value: float
    low: float
    high: float
    old: float | None
    metric: str
    queries: int
    asked: str


@dataclass(frozen=True)
class Judged:
    """Queries with judgements; checked, and cut to `MOST_QUERIES`."""

    queries: Mapping[str, str]
    qrels: Qrels
    metric: str

    @classmethod
    def checked(cls, queries: Mapping[str, str], qrels: Qrels, metric: str) -> Judged:
        """Return those queries that can be used; raise `InvalidArgumentError` if they are fewer than two."""
        metrics.require_library()
        significance.require_library()
        depth(metric)
        texts, known = metrics.checked_queries(queries), metrics.checked_qrels(qrels)
        usable = [query for query in metrics.judged_queries(known) if query in texts][:MOST_QUERIES]
        if len(usable) < significance.MIN_QUERIES:
            raise InvalidArgumentError(
                f"{len(usable)} of the queries have a relevant document, expected {significance.MIN_QUERIES} or more"
            )
        return cls({query: texts[query] for query in usable}, {query: known[query] for query in usable}, metric)

    @property
    def name(self) -> str:
        """What tells these queries and this metric from others."""
        return hashlib.sha256("\0".join([self.metric, *self.queries.values()]).encode()).hexdigest()[:16]

    def values(self, found: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return the metric of each query for what was found."""
        run = {query: list(dict.fromkeys(ids)) for query, ids in zip(self.queries, found, strict=True)}
        return metrics.as_array(metrics.per_query(run, self.qrels, self.metric))


def measure(
    backend: Backend,
    encoders: EncoderSet,
    serving: Generation,
    record: MigrationRecord | None,
    judged: Judged,
    ask: Ask,
) -> QualityPoint:
    """Measure what readers get now, and keep it with the generation that serves, or served before the migration."""
    status = None if record is None else status_of(backend, record)
    texts, k = list(judged.queries.values()), depth(judged.metric)
    found = significance.mean_interval(judged.values(ask(texts, k)))
    old = _old_alone(backend, encoders, _source(serving, record), judged, k)
    point = QualityPoint(
        at=time.time(),
        phase="before" if status is None else status.phase.value,
        share=0.0 if status is None else status.share,
        value=found.value,
        low=found.low,
        high=found.high,
        old=old,
        metric=judged.metric,
        queries=len(texts),
        asked=judged.name,
    )
    if not backend.read_only:
        name = _NOTE.format(_source(serving, record))
        with backend.transaction():
            kept = backend.ledger.notes.get(name) or []
            backend.ledger.notes.keep(name, [*kept, asdict(point)][-MOST_POINTS:])
    return point


def quality_section(backend: Backend, serving: Generation, record: MigrationRecord | None) -> Section | LeftOut:
    """Show quality over the share that has moved, on the queries that were asked last."""
    title = "Quality over the share migrated"
    noted = backend.ledger.notes.get(_NOTE.format(_source(serving, record)))
    kept = [QualityPoint(**each) for each in noted or []]
    if not kept:
        return LeftOut(title, f"nobody has measured it: {_HOW}")
    points = [each for each in kept if each.asked == kept[-1].asked]
    metric, last = points[-1].metric, points[-1]
    compared = "" if last.old is None else f"; the old model alone gives {last.old:.4f}"
    sentence = (
        f"With {last.share:.0%} of the documents moved ({last.phase}), readers get {metric} {last.value:.4f} "
        f"[{last.low:.4f}, {last.high:.4f}]{compared}. Measured {len(points):,} time{'s' * (len(points) > 1)} on "
        f"{last.queries:,} judged queries."
    )
    data = {"metric": metric, "points": [asdict(each) for each in points]}
    figure = Figure("quality", f"{metric} over the share migrated", sentence, data, _table(points))
    return Section("quality", title, (sentence,), figures=(figure,))


def _source(serving: Generation, record: MigrationRecord | None) -> int:
    return serving.id if record is None else record.source_generation


def _old_alone(backend: Backend, encoders: EncoderSet, source: int, judged: Judged, k: int) -> float | None:
    old = next((each for each in backend.generations.all() if each.id == source), None)
    if old is None:
        return None
    try:
        vectors = QueryEncoder(backend, encoders).encode(list(judged.queries.values()), old)
    except EncoderError:
        return None
    with backend.snapshot():
        _, keys = Recall(backend, None).search(old, vectors, k)
        names = {document.key: document.id for document in backend.documents.by_key(np.unique(keys[keys >= 0]))}
    found = [[names[key] for key in row.tolist() if key in names] for row in keys]
    return float(judged.values(found).mean())


def _table(points: Sequence[QualityPoint]) -> Table:
    axis = common_axis([end for each in points for end in (each.low, each.high, each.old or each.value)])
    columns = (
        Column("time", "time"),
        Column("phase"),
        Column("moved", "share"),
        Column(f"{points[-1].metric}, 95 % interval", "span"),
        Column("old model alone", "figure"),
    )
    rows = tuple(
        (
            each.at,
            each.phase,
            each.share,
            Span(each.value, each.low, each.high, axis, () if each.old is None else (each.old,)),
            each.old,
        )
        for each in points
    )
    return Table("Quality over the share migrated, in figures", columns, rows)
