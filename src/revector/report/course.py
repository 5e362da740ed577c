"""The course of a migration in a report: where it stands, progress and rate over time, cost against plan."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from revector.backends.contracts import Backend
from revector.ledger.records import MigrationRecord
from revector.migration.status import MigrationStatus
from revector.migration.throttle import NO_LIMITS
from revector.migration.timeline import Moment, timeline
from revector.report.assessment import Assessment
from revector.report.content import Cell, Column, Figure, LeftOut, Section, Table, Tile
from revector.report.formatting import shortened, shown_bytes, shown_cell, shown_duration, shown_time

MOST_REASONS = 5
ROWS_OF_A_TIMELINE = 12
_A_GAP = 4.0
"""A pause that is so many times as long as the moments are apart in the median, and longer than half a minute, is one
between two runs."""
_SHORTEST_GAP_SECONDS = 30.0
_FIGURES = re.compile(r"\d[\d.,:]*")
_NO_MIGRATION = "the collection has never been migrated"


def migration_tiles(status: MigrationStatus | None, documents: int) -> list[Tile]:
    """Return what a report opens on beside the verdict."""
    if status is None:
        return [Tile("Documents", f"{documents:,}", "no migration")]
    moved = f"{status.moved:,} of {status.documents:,} documents"
    serves = "the new model serves" if status.serving_generation == status.target_generation else "the old model serves"
    return [Tile("Moved", f"{status.share:.0%}", moved), Tile("Phase", str(status.phase), status.pace or serves)]


def migration_section(
    backend: Backend, record: MigrationRecord | None, status: MigrationStatus | None
) -> Section | LeftOut:
    """Say where the migration stands."""
    title = "Where the migration stands"
    if record is None or status is None:
        return LeftOut(title, _NO_MIGRATION)
    source = {each.id: each.space for each in backend.generations.all()}.get(record.source_generation)
    verified = status.verification or {}
    rows: dict[str, str] = {
        "from": str(source or "a model whose vectors are gone"),
        "to": str(record.target_space),
        "phase": f"{status.phase}{', paused' if status.paused else ''}",
        "moved": f"{status.moved:,} of {status.documents:,} documents ({status.share:.1%})",
        "could not be embedded": f"{status.target_jobs.failed:,}",
        "pace": status.pace,
        "spent on services": status.money,
        "batch jobs": "; ".join(map(str, status.batch_jobs)),
        "deadline": status.outlook,
        "limits": "" if status.throttle == NO_LIMITS else str(status.throttle),
        "verification": "; ".join(verified.get("reasons", ())) or "passed" if verified else "none yet",
        "cut over": "" if record.cutover_at is None else shown_time(record.cutover_at),
        "old vectors kept until": "" if status.retention_ends is None else shown_time(status.retention_ends),
        "in the way": status.obstacle,
        **{f"depends: {each.name}": str(each) for each in status.dependents},
    }
    shown = tuple((name, shortened(value, 400)) for name, value in rows.items() if value)
    return Section("migration", title, tables=(Table(title, (Column("what"), Column("state")), shown),))


def progress_section(backend: Backend, record: MigrationRecord | None) -> Section | LeftOut:
    """Show progress and rate over time, with the reasons for the rate."""
    title = "Progress and rate over time"
    if record is None or record.target_generation is None:
        return LeftOut(title, _NO_MIGRATION if record is None else "the migration has not been started")
    moments = _moments(backend, record)
    if len(moments) < 2:
        return LeftOut(title, "runs of less than a few seconds keep no time line")
    runs = _runs(moments)
    kinds = _kinds(moments)
    worked = sum(run[-1].at - run[0].at for run in runs)
    sentence = (
        f"{moments[-1].done:,} of {moments[-1].total:,} documents had their vector on {shown_time(moments[-1].at)}, "
        f"after {shown_duration(worked)} of work in {len(runs)} run{'s' * (len(runs) > 1)}."
    )
    limits = _limits(runs, kinds)
    main = f" Most of the time: {limits.rows[0][0]}." if limits.rows else ""
    data = {
        "runs": [[_point(moment, kinds) for moment in run] for run in runs],
        "reasons": list(dict.fromkeys([*(str(row[0]) for row in limits.rows), *kinds.values()])),
    }
    description = (
        f"Two plots over time: the share of the documents that are done, and documents a second. {sentence}{main}"
    )
    figure = Figure("progress", "Share done, and documents a second", description, data, _rows(moments))
    return Section("progress", title, (sentence,), (limits,), (figure,))


def cost_section(
    backend: Backend, record: MigrationRecord | None, status: MigrationStatus | None, assessment: Assessment | None
) -> Section | LeftOut:
    """Hold what was seen against what the plan, or else the assessment, expected."""
    title = "Cost against plan"
    if record is None or status is None:
        return LeftOut(title, _NO_MIGRATION)
    expected, by = _expected(status, assessment)
    if not expected:
        return LeftOut(title, "no plan and no assessment has said what a migration would take")
    rate, worked = _seen(backend, record, status)
    left = status.left / rate if rate else None
    whole = None if left is None or worked is None else worked + left
    rows: list[tuple[str, str, float | None, float | None]] = [
        ("documents", "count", expected.get("documents"), status.documents),
        ("documents a second", "rate", expected.get("documents_per_second"), rate),
        ("time to embed all, as it goes", "seconds", expected.get("seconds"), whole),
    ]
    columns = (Column("what"), Column("expected"), Column("seen"), Column("seen / expected", "share"))
    shown = tuple(_against(*row) for row in rows)
    return Section("cost", title, (by, *_storage(backend, expected)), (Table(title, columns, shown),))


def _expected(status: MigrationStatus, assessment: Assessment | None) -> tuple[Mapping[str, float], str]:
    """Return the figures of the plan for this model, or else of the assessment, and which of them it is."""
    if status.plan is not None:
        workers = status.plan["wanted"]["workers"]
        figures = {name: value for name, value in status.plan["cost"].items() if value is not None}
        planned = f"Expected by the plan of {shown_time(status.plan['at'])}, with {workers} at work."
        return {**figures, "seconds": status.plan["seconds"]}, planned
    return (assessment.chosen.cost if assessment else {}), "Expected by the assessment, with one worker."


def _storage(backend: Backend, expected: Mapping[str, float]) -> tuple[str, ...]:
    stored = f"The collection takes {shown_bytes(backend.stored_bytes())} now, texts included"
    peak = expected.get("peak_bytes")
    at_most = f"; vectors and indexes of both generations take {shown_bytes(peak)} at their peak" if peak else ""
    return (f"{stored}{at_most}.",)


def _against(name: str, kind: str, expected: float | None, seen: float | None) -> tuple[Cell, ...]:
    """Return a row of two figures and their ratio."""
    column = Column(name, kind)
    ratio = seen / expected if expected and seen is not None else None
    return name, shown_cell(column, expected), shown_cell(column, seen), ratio


def _seen(backend: Backend, record: MigrationRecord, status: MigrationStatus) -> tuple[float | None, float | None]:
    """Return the rate over the time that was worked, and that time; by the events where there is no time line."""
    runs = [run for run in _runs(_moments(backend, record)) if run[-1].done > run[0].done]
    if runs:
        seconds = sum(run[-1].at - run[0].at for run in runs)
        return sum(run[-1].done - run[0].done for run in runs) / seconds, seconds
    at = {event.name: event.at for event in backend.ledger.events(record.id)}
    if {"start", "filled"} <= at.keys() and at["filled"] > at["start"]:
        seconds = at["filled"] - at["start"]
        return status.moved / seconds, seconds
    return None, None


def _moments(backend: Backend, record: MigrationRecord) -> list[Moment]:
    if record.target_generation is None:
        return []
    return timeline(backend, record.target_generation, record.created_at)


def _runs(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Return the moments of each run; what stands alone is none."""
    if len(moments) < 2:
        return []
    apart = np.diff([moment.at for moment in moments])
    gap = max(_SHORTEST_GAP_SECONDS, _A_GAP * float(np.median(apart)))
    runs = [[moments[0]]]
    for moment, seconds in zip(moments[1:], apart, strict=True):
        if seconds > gap or moment.begins:
            runs.append([])
        runs[-1].append(moment)
    return [run for run in runs if len(run) > 1]


def _kinds(moments: Sequence[Moment]) -> dict[str, str]:
    """Return a kind for each reason, which leaves figures out; those that are rare are one kind."""
    general = {moment.reason: _FIGURES.sub("…", moment.reason) or "no reason known" for moment in moments}
    counts: dict[str, int] = {}
    for moment in moments:
        counts[general[moment.reason]] = counts.get(general[moment.reason], 0) + 1
    often = sorted(counts, key=lambda kind: -counts[kind])[:MOST_REASONS]
    return {reason: shortened(kind, 100) if kind in often else "something else" for reason, kind in general.items()}


def _limits(runs: Sequence[Sequence[Moment]], kinds: dict[str, str]) -> Table:
    """Return what limited the rate, and for how much of the time; a moment speaks of the time before it."""
    seconds: dict[str, float] = {}
    documents: dict[str, int] = {}
    for run in runs:
        for before, moment in itertools.pairwise(run):
            kind = kinds[moment.reason]
            seconds[kind] = seconds.get(kind, 0.0) + moment.at - before.at
            documents[kind] = documents.get(kind, 0) + moment.done - before.done
    whole = sum(seconds.values())
    rows = tuple(
        (kind, seconds[kind], seconds[kind] / whole, max(0, documents[kind]) / seconds[kind])
        for kind in sorted(seconds, key=lambda kind: -seconds[kind])
        if seconds[kind] > 0
    )
    columns = (
        Column("reason", "reason"),
        Column("time", "seconds"),
        Column("of the time", "share"),
        Column("rate", "rate"),
    )
    return Table("What held the rate", columns, rows)


def _point(moment: Moment, kinds: dict[str, str]) -> list[float | str | None]:
    """Return when, the share that was done, documents a second, and the kind of the reason."""
    share = moment.done / moment.total if moment.total else 1.0
    rate = moment.documents_per_second
    return [
        moment.at,
        round(min(1.0, max(0.0, share)), 5),
        None if rate is None else round(rate, 3),
        kinds[moment.reason],
    ]


def _rows(moments: Sequence[Moment]) -> Table:
    places = np.unique(np.linspace(0, len(moments) - 1, ROWS_OF_A_TIMELINE).round().astype(int)).tolist()
    columns = (
        Column("time", "time"),
        Column("done", "count"),
        Column("rate", "rate"),
        Column("workers", "count"),
        Column("why no faster"),
    )
    rows = tuple(
        (each.at, each.done, each.documents_per_second, each.workers, shortened(each.reason, 100))
        for each in (moments[place] for place in places)
    )
    return Table("Progress over time, in figures", columns, rows)
