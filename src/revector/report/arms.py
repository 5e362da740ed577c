"""The arms in a report: what a rollout has seen, with intervals that hold at all times, and what its shadow has."""

from __future__ import annotations

import math

from revector.errors import MigrationError
from revector.migration.migration import Migration
from revector.migration.rolling import RolloutStatus
from revector.report.content import Column, LeftOut, Section, Span, Table
from revector.report.formatting import common_axis, shortened, shown_time
from revector.rollout import Arm, Finding, Moments
from revector.rollout.decision import ALPHA, MEANINGS

_P99_ALPHA = 0.05


def rollout_section(migration: Migration | None) -> Section | LeftOut:
    """Say how the rollout stands, and what is known of each metric."""
    title = "Rollout"
    try:
        status = None if migration is None else migration.rollout
    except MigrationError:
        status = None
    if status is None:
        return LeftOut(title, "no rollout has begun: no reader was shown the new model before the cut-over by one")
    stage = status.stage
    state = "stopped" if stage.stopped else "passed" if stage.passed else "running"
    began = f"since {shown_time(stage.began)}"
    said = f"The rollout is {state} at {status.share:.0%} of the readers, {began}: {shortened(stage.reason, 400)}."
    held = (f"Held back: {shortened(', '.join(stage.held), 400)}.",) if stage.held else ()
    sure = (
        f"Intervals hold at all times at once, with a probability of {1 - ALPHA:.0%} for the whole rollout, however "
        "often one looks. The marks are what equal arms would give, and the worst that is accepted."
    )
    return Section("rollout", title, (said, *held, sure), (_findings(status), _arms(status)))


def shadow_section(migration: Migration | None) -> Section | LeftOut:
    """Say what was seen of the searches that both generations have answered unseen."""
    title = "Searches in the shadow"
    shadowed = None if migration is None else migration.shadowed
    if shadowed is None or not shadowed.overlap.n:
        return LeftOut(title, "no search was repeated in both generations behind its reader")
    said = (
        f"Both generations have answered {shadowed.overlap.n:,} searches: {shadowed.overlap.mean:.1%} of the documents "
        f"are the same, rank-biased overlap {shadowed.rank_biased_overlap.mean:.3f}."
    )
    rows = (_arm_row("old", shadowed.old), _arm_row("new", shadowed.new))
    return Section("shadow", title, (said,), (Table("Both generations in the shadow", _ARM_COLUMNS, rows),))


_ARM_COLUMNS = (
    Column("arm"),
    Column("searches", "count"),
    Column("failed", "count"),
    Column("found nothing", "count"),
    Column("median, ms", "figure"),
    Column("p99, ms", "figure"),
    Column("mean reward", "figure"),
    Column("mean cost", "figure"),
)


def _arms(status: RolloutStatus) -> Table:
    evidence = status.evidence
    return Table(
        "What was seen of each arm since the step began",
        _ARM_COLUMNS,
        (_arm_row("old", evidence.old), _arm_row("new", evidence.new)),
    )


def _arm_row(name: str, arm: Arm) -> tuple[str | int | float | None, ...]:
    median, slowest = (arm.milliseconds.quantile(share, _P99_ALPHA).value for share in (0.5, 0.99))
    shown = (None if math.isnan(each) else f"{each:.3g}" for each in (median, slowest))
    return (name, arm.searches, arm.errors, arm.empty, *shown, _mean(arm.reward), _mean(arm.cost))


def _mean(moments: Moments) -> float | None:
    return moments.mean if moments.n else None


def _findings(status: RolloutStatus) -> Table:
    columns = (
        Column("metric"),
        Column("value, interval at all times", "span"),
        Column("accepted"),
        Column("values", "count"),
        Column("so far"),
    )
    rows = tuple(
        (MEANINGS[each.metric], _span(each), _accepted(each), each.estimate.n, _so_far(each))
        for each in status.decision.findings
    )
    return Table("What is known of each metric", columns, rows)


def _span(found: Finding) -> Span:
    estimate = found.estimate
    ends = [estimate.value, estimate.low, estimate.high, found.equal, found.limit]
    marks = (found.equal, found.limit)
    return Span(estimate.value, estimate.low, estimate.high, common_axis(ends), marks, signed=found.equal == 0)


def _accepted(found: Finding) -> str:
    return f"{'at least' if found.limit < found.equal else 'at most'} {found.limit:.4g}"


def _so_far(found: Finding) -> str:
    if found.worse:
        return "worse than accepted"
    if not found.estimate.n:
        return "nothing seen"
    return "not settled" if found.doubtful else "nothing speaks against it"
