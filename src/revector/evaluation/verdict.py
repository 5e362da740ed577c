"""The verdict: whether a new model is worth it, what else could be done, at what price, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any

from revector._display import shown_bytes, shown_seconds, table_as_html
from revector.evaluation.changed import Changed
from revector.evaluation.separability import Separability
from revector.evaluation.significance import Interval
from revector.evaluation.slices import Slice
from revector.formats.judgements import PEOPLE
from revector.planning.cost import Cost

__all__ = ["ASSESSMENT", "Assessment", "Decision", "QueryScore", "Row", "Verdict"]


class Decision(str, Enum):
    """What to do. Not being sure is an answer."""

    MIGRATE = "migrate"
    BRIDGE_THEN_MIGRATE = "bridge_then_migrate"
    KEEP_BOTH = "keep_both"
    CHANGE_QUERY_MODEL = "change_query_model"
    STAY = "stay"
    INCONCLUSIVE = "inconclusive"

    @property
    def moves(self) -> bool:
        """Whether something is to be done."""
        return self not in (Decision.STAY, Decision.INCONCLUSIVE)

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


ASSESSMENT = "assessment"
"""The note of the last one, beside the ledger."""
_WORST_SHOWN, _WIDTH = 5, 60


@dataclass(frozen=True)
class Row:
    """One alternative.

    Parameters
    ----------
    name : str
        ``"stay"``, ``"map"``, ``"map + re-score"``, ``"re-embed"``, ``"keep both"``, or ``"query model"``: the new
        model for queries, the stored vectors for documents.
    quality : Interval
        The metric, mean over queries.
    retention : float or None
        Quality as a share of re-embedding everything; ``None`` where that scores 0.
    seconds : float
        Time to get there, at the speed measured here.
    extra_bytes : int
        Storage beside what the collection has now.
    texts_a_query : int
        Documents that a query has embedded by the new model, each once in its life where the vectors are kept.
    query_seconds : float
        What a query's own encoding takes: with the models that it is asked of, one after the other.
    pipeline : str
        What the application makes of the hits, such as ``"fused with BM25, re-ranked"``; empty for the vectors alone.
    metrics : dict of str to float
        Other metrics, mean over queries.
    """

    name: str
    quality: Interval
    retention: float | None
    seconds: float
    extra_bytes: int
    texts_a_query: int = 0
    query_seconds: float = 0.0
    pipeline: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class QueryScore:
    """The metric of a query by either model."""

    id: str
    text: str
    old: float
    new: float


@dataclass(frozen=True)
class Verdict:
    """What speaks for one candidate and against it, and the decision.

    Parameters
    ----------
    model : str
        The candidate.
    decision : Decision
        See `revector.evaluation.decide.decide`.
    reason : str
        The decision in a sentence.
    metric : str
        What quality is measured by.
    ground_truth : str
        What it was measured on; belongs next to every figure.
    judged_by : str
        ``"people"``, or what stands in for them.
    rows : tuple of Row
        Stay, map and map with re-scoring (where a map could be fitted), re-embed, keep both generations, and the query
        model alone (where dimensions are equal), on the same documents and queries; after each stage of the pipeline.
    lift : Interval
        Re-embed minus stay, paired by query, of the whole pipeline; with `relative`, as a share of stay.
    p_value : float
        Of the paired randomisation test against `min_lift`.
    min_lift : float
        The lift that justifies a migration.
    relative : bool
        Whether `lift` and `min_lift` are shares.
    queries_needed : int or None
        Further judged queries that would settle an inconclusive verdict; ``None`` where none would, or none is needed.
    slices : tuple of Slice
        The lift for queries of one kind.
    queries : tuple of QueryScore
        Every query.
    worse, better : tuple of Changed
        Those that changed most, with what either model finds.
    separability : dict of str to Separability
        What the application's threshold does under the ``"old"`` and the ``"new"`` model, if there is one.
    notes : tuple of str
        What else bears on the decision: necessity, missing documents, limits of the measurement.
    cost : Cost
        Of re-embedding everything.
    old_weight : float
        Weight of the old model's scores in "keep both", from 0 (the new model alone) to 1, chosen on all queries; its
        row is what weights chosen on other queries reach.
    """

    model: str
    decision: Decision
    reason: str
    metric: str
    ground_truth: str
    judged_by: str
    rows: tuple[Row, ...]
    lift: Interval
    p_value: float
    min_lift: float
    relative: bool
    queries_needed: int | None
    notes: tuple[str, ...]
    cost: Cost
    old_weight: float = 0.0
    slices: tuple[Slice, ...] = ()
    queries: tuple[QueryScore, ...] = ()
    worse: tuple[Changed, ...] = ()
    better: tuple[Changed, ...] = ()
    separability: dict[str, Separability] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {**asdict(self), "decision": self.decision.value}

    def __str__(self) -> str:
        """Return the decision, the table of alternatives, the ground truth, what changed, and the notes."""
        head = f"{self.decision.value.upper()}: {self.reason}"
        truth = f"measured on {self.ground_truth}" + (f", judged by {self.judged_by}" * (self.judged_by != PEOPLE))
        return "\n".join([head, "", *_table(self.rows, self.metric), "", truth, *self._findings()])

    def _findings(self) -> Iterator[str]:
        yield from (f"- worse for {found}" for found in self.slices if found.is_worse)
        yield from (f"- threshold, {model} model: {found}" for model, found in self.separability.items())
        yield from (f"- {note}" for note in self.notes)
        if self.worse:
            yield f"- {_counted(self.queries)}; those that got worse most:"
        for each in self.worse[:_WORST_SHOWN]:
            yield f"    {each.old:.2f} -> {each.new:.2f}  {_one_line(each.text)}"

    def _repr_html_(self) -> str:
        columns = ("", self.metric, "interval", "of re-embed", "time", "extra storage")
        notes = (f"measured on {self.ground_truth}", *self.notes)
        named = (replace(row, name=", ".join(filter(None, (row.name, row.pipeline)))) for row in self.rows)
        return table_as_html(columns, map(_cells, named), f"{self.decision.value.upper()}: {self.reason}", notes)


@dataclass(frozen=True)
class Assessment:
    """The verdicts on several candidates, and which of them to take.

    Parameters
    ----------
    verdicts : tuple of Verdict
        In the order of the candidates. With several, the intervals of their lifts hold for all of them together
        (Bonferroni).
    best : int or None
        The one to take, ``None`` if none is worth it.
    reason : str
        Why that one, in a sentence.
    measured_at : float
        Unix time.
    """

    verdicts: tuple[Verdict, ...]
    best: int | None
    reason: str
    measured_at: float

    @property
    def decision(self) -> Decision:
        """That on the best candidate; with none, whether any is still open."""
        if self.best is not None:
            return self.verdicts[self.best].decision
        is_open = any(verdict.decision is Decision.INCONCLUSIVE for verdict in self.verdicts)
        return Decision.INCONCLUSIVE if is_open else Decision.STAY

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        verdicts = [verdict.to_json() for verdict in self.verdicts]
        return {"decision": self.decision.value, **asdict(self), "verdicts": verdicts}

    def __str__(self) -> str:
        """Return the choice, and each verdict."""
        return "\n\n".join([self.reason, *(f"{verdict.model}\n{verdict}" for verdict in self.verdicts)])


def _counted(queries: Sequence[QueryScore]) -> str:
    better, worse = (sum(sign * (each.new - each.old) > 0 for each in queries) for sign in (1, -1))
    return f"{better:,} queries got better, {worse:,} worse, {len(queries) - better - worse:,} stayed"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]} …"


def _table(rows: Sequence[Row], metric: str) -> list[str]:
    confidence = f"{rows[0].quality.confidence:.0%} interval"
    lines = [f"{'':15}{metric:>11}  {confidence:17}{'of re-embed':>12}{'time':>9}{'extra storage':>14}"]
    stage = ""
    for row in rows:
        if row.pipeline != stage:
            stage = row.pipeline
            lines.append(f"{stage}:")
        name, quality, interval, share, seconds, extra = _cells(row)
        lines.append(f"{name:15}{quality:>11}  {interval:17}{share:>12}{seconds:>9}{extra:>14}")
    return lines


def _cells(row: Row) -> tuple[str, str, str, str, str, str]:
    interval = f"[{row.quality.low:.4f}, {row.quality.high:.4f}]"
    share = "-" if row.retention is None else f"{row.retention:.0%}"
    return (
        row.name,
        f"{row.quality.value:.4f}",
        interval,
        share,
        shown_seconds(row.seconds) if row.seconds > 0 else "-",
        shown_bytes(row.extra_bytes) if row.extra_bytes > 0 else "-",
    )
