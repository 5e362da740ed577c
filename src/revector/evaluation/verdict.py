"""The verdict: whether a new model is worth it, what else could be done, at what price, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from revector.evaluation.significance import ENOUGH_QUERIES, POWER, Interval, queries_to_settle
from revector.planning.cost import Cost


class Decision(str, Enum):
    """What to do. Not being sure is an answer."""

    MIGRATE = "migrate"
    STAY = "stay"
    INCONCLUSIVE = "inconclusive"

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


@dataclass(frozen=True)
class Row:
    """One alternative.

    Parameters
    ----------
    name : str
        ``"stay"``, ``"map"``, ``"map + re-score"``, ``"re-embed"`` or ``"keep both"``.
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
    """

    name: str
    quality: Interval
    retention: float | None
    seconds: float
    extra_bytes: int
    texts_a_query: int = 0
    query_seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The alternatives side by side, and the decision.

    Parameters
    ----------
    decision : Decision
        MIGRATE if the whole interval of the lift is above `min_lift`, STAY if none of it is, else INCONCLUSIVE.
    reason : str
        The decision in a sentence.
    metric : str
        What quality is measured by.
    ground_truth : str
        What it was measured on; belongs next to every figure.
    rows : tuple of Row
        Stay, map and map with re-scoring (where a map could be fitted), re-embed, and keep both generations, on the
        same documents and queries.
    lift : Interval
        Re-embed minus stay, paired by query; with `relative`, as a share of stay.
    min_lift : float
        The lift that justifies a migration.
    relative : bool
        Whether `lift` and `min_lift` are shares.
    queries_needed : int or None
        Further judged queries that would settle an inconclusive verdict; ``None`` where none would, or none is needed.
    notes : tuple of str
        What else bears on the decision: necessity, missing documents, limits of the measurement.
    cost : Cost
        Of re-embedding everything.
    old_weight : float
        Weight of the old model's scores in "keep both", from 0 (the new model alone) to 1, chosen on all queries; its
        row is what weights chosen on other queries reach.
    """

    decision: Decision
    reason: str
    metric: str
    ground_truth: str
    rows: tuple[Row, ...]
    lift: Interval
    min_lift: float
    relative: bool
    queries_needed: int | None
    notes: tuple[str, ...]
    cost: Cost
    old_weight: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {**asdict(self), "decision": self.decision.value}

    def __str__(self) -> str:
        """Return the decision, the table of alternatives, the ground truth and the notes."""
        notes = [f"- {note}" for note in self.notes]
        head = f"{self.decision.value.upper()}: {self.reason}"
        return "\n".join([head, "", *_table(self.rows, self.metric), "", f"measured on {self.ground_truth}", *notes])


def decide(lift: Interval, min_lift: float, *, relative: bool, same_space: bool) -> tuple[Decision, str, int | None]:
    """Weigh a measured lift against the least that justifies a migration.

    Parameters
    ----------
    lift : Interval
        New minus old.
    min_lift : float
        The threshold, in the lift's own unit.
    relative : bool
        How to print them.
    same_space : bool
        Both models have the same contract, so that their vectors are the same.

    Returns
    -------
    decision : Decision
    reason : str
    queries_needed : int or None
        Further queries that would settle it, when it is not settled.
    """
    if same_space:
        return Decision.STAY, "both encoders produce the same space; keep the vectors", None
    measured = _show_lift(lift, min_lift, relative)
    if lift.n_queries < ENOUGH_QUERIES:
        return _inconclusive(lift, min_lift, f"{measured}; under {ENOUGH_QUERIES} queries decide nothing")
    if lift.low > min_lift:
        return Decision.MIGRATE, f"{measured}; the whole interval is above", None
    if lift.high <= min_lift:
        return Decision.STAY, f"{measured}; none of the interval is above", None
    return _inconclusive(lift, min_lift, f"{measured}; the interval holds both")


def _inconclusive(lift: Interval, min_lift: float, finding: str) -> tuple[Decision, str, int | None]:
    needed = queries_to_settle(lift, min_lift)
    if needed is None:
        return Decision.INCONCLUSIVE, f"{finding}, and the lift is the threshold: no number of queries tells", None
    needed = max(needed, ENOUGH_QUERIES - lift.n_queries)
    is_close = abs(lift.value - min_lift) < lift.deviation / math.sqrt(lift.n_queries)
    more = f"{'more than ' if is_close else 'about '}{needed:,} more judged queries settle it"
    return Decision.INCONCLUSIVE, f"{finding}; {more} with a probability of {POWER:.0%}", needed


def _show_lift(lift: Interval, min_lift: float, relative: bool) -> str:
    show = "{:+.1%}".format if relative else "{:+.4f}".format
    ends = f"[{show(lift.low)}, {show(lift.high)}]"
    return f"lift {show(lift.value)} {ends} on {lift.n_queries:,} judged queries, asked for above {show(min_lift)}"


def _table(rows: Sequence[Row], metric: str) -> list[str]:
    confidence = f"{rows[0].quality.confidence:.0%} interval"
    lines = [f"{'':15}{metric:>11}  {confidence:17}{'of re-embed':>12}{'time':>9}{'extra storage':>14}"]
    for row in rows:
        interval = f"[{row.quality.low:.4f}, {row.quality.high:.4f}]"
        share = "-" if row.retention is None else f"{row.retention:.0%}"
        lines.append(
            f"{row.name:15}{row.quality.value:11.4f}  {interval:17}{share:>12}"
            f"{_show_seconds(row.seconds):>9}{_show_bytes(row.extra_bytes):>14}"
        )
    return lines


def _show_seconds(seconds: float) -> str:
    if seconds <= 0:
        return "-"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _show_bytes(n_bytes: int) -> str:
    if n_bytes <= 0:
        return "-"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} B"
