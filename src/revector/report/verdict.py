"""The verdict in a report: what it opens on, the queries that got worse, the alternatives, lift by query and slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from revector.report.assessment import Alternative, Assessment, Judgement, Slice
from revector.report.content import Cell, Column, Compared, Figure, Headline, LeftOut, Section, Span, Table, Tile
from revector.report.formatting import common_axis, shortened, shown_time, signed

TITLES = {
    "migrate": "Migrate",
    "bridge_then_migrate": "Bridge, then migrate",
    "keep_both": "Keep both models",
    "change_query_model": "Change the query model; the vectors stay",
    "stay": "Stay with the present model",
    "inconclusive": "Not decided yet",
}
MOST_BARS = 160
"""Where there are more queries, neighbours in the order of their lift share a bar."""
_NOT_ASSESSED = (
    "nothing was assessed yet: 'revector assess' compares a new model with the present one on judged queries"
)


def headline(assessment: Assessment | None, tiles: Sequence[Tile]) -> Headline:
    """Return what a report opens on: the verdict, and the figures that matter most."""
    if assessment is None:
        return Headline("", "No verdict yet", f"{_NOT_ASSESSED[0].upper()}{_NOT_ASSESSED[1:]}.", tuple(tiles))
    found = assessment.chosen
    title = TITLES.get(found.decision, shortened(found.decision, 60))
    return Headline(found.decision, title, _sentence(found.reason), (*_tiles(found), *tiles), found.model)


def verdict_sections(assessment: Assessment | None) -> list[Section | LeftOut]:
    """Return the parts of a report that an assessment is for."""
    if assessment is None:
        return [LeftOut("Verdict, queries, alternatives and slices", _NOT_ASSESSED)]
    found = assessment.chosen
    return [_worse(found), _alternatives(assessment), _lift_by_query(found), _slices(found)]


def _tiles(found: Judgement) -> list[Tile]:
    old, new = found.quality("stay"), found.quality("re-embed")
    tiles = [Tile(found.metric, f"{old:.3f} → {new:.3f}", "old → new model")] if None not in (old, new) else []
    if math.isfinite(found.lift.value):
        show = "{:+.1%}".format if found.relative else "{:+.3f}".format
        value, low, high = (
            show(each).replace("-", "−") for each in (found.lift.value, found.lift.low, found.lift.high)
        )
        tiles.append(Tile("Lift", value, f"95 % interval {low} to {high}"))
    return tiles


def _worse(found: Judgement) -> Section | LeftOut:
    title = "Queries that got worse"
    if not found.worse and not found.better:
        return LeftOut(title, "the assessment does not tell of single queries")
    sentences = [
        f"The {len(found.worse)} queries that lose the most by {found.metric}, with the first documents that each "
        "model finds. A grade is what the judgements say of a document."
        if found.worse
        else "No query got worse."
    ]
    tables = (_gains(found.better, found.metric),) if found.better else ()
    return Section("worse", title, tuple(sentences), tables, compared=found.worse)


def _gains(better: Sequence[Compared], metric: str) -> Table:
    columns = (Column("query"), Column("old", "figure"), Column("new", "figure"), Column("change", "signed"))
    rows = tuple((shortened(each.query, 120), each.old, each.new, each.new - each.old) for each in better)
    return Table(f"Queries that gained the most, by {metric}", columns, rows)


def _alternatives(assessment: Assessment) -> Section:
    found = assessment.chosen
    judged = f", judged by {found.judged_by}" if found.judged_by else ""
    at = f" on {shown_time(assessment.measured_at)}" if assessment.measured_at else ""
    measured = [f"Measured{at}: {found.ground_truth}{judged}."] if found.ground_truth else []
    tables = [_table_of(found)] if found.alternatives else []
    if any(each.metrics for each in found.alternatives):
        tables.append(_metrics(found.alternatives))
    if len(assessment.judgements) > 1:
        tables.insert(0, _candidates(assessment.judgements))
    notes = tuple(map(_sentence, found.notes))
    return Section("alternatives", "The alternatives", tuple(measured), tuple(tables), notes=notes)


def _table_of(found: Judgement) -> Table:
    axis = common_axis([end for each in found.alternatives for end in _ends(each.quality)])
    stay = found.quality("stay")
    marks = () if stay is None else (stay,)
    columns = (
        Column("alternative"),
        Column(f"{found.metric}, 95 % interval", "span"),
        Column("of re-embed", "share"),
        Column("time", "seconds"),
        Column("extra storage", "bytes"),
        Column("texts a query", "count"),
        Column("query encoding", "seconds"),
    )
    rows = tuple(
        (
            each.name,
            replace(each.quality, axis=axis, marks=marks),
            each.retention,
            each.seconds or None,
            each.extra_bytes or None,
            each.texts_a_query or None,
            each.query_seconds or None,
        )
        for each in found.alternatives
    )
    return Table("What could be done, and what it takes; the mark is the present quality", columns, rows)


def _metrics(alternatives: Sequence[Alternative]) -> Table:
    names = list(dict.fromkeys(name for each in alternatives for name in each.metrics))[:12]
    rows = tuple((each.name, *(each.metrics.get(name) for name in names)) for each in alternatives)
    return Table("By other metrics", (Column("alternative"), *(Column(name, "figure") for name in names)), rows)


def _candidates(judgements: Sequence[Judgement]) -> Table:
    axis = common_axis([end for each in judgements for end in _ends(each.lift)], zero=True)
    columns = (Column("candidate"), Column("verdict"), Column("lift, 95 % interval", "span"), Column("time", "seconds"))
    rows = tuple(
        (
            each.model or "a candidate",
            TITLES.get(each.decision, each.decision),
            replace(each.lift, axis=axis, marks=tuple({0.0, each.min_lift}), signed=True),
            each.cost.get("seconds"),
        )
        for each in judgements
    )
    return Table("The candidates", columns, rows)


def _lift_by_query(found: Judgement) -> Section | LeftOut:
    title = "Lift by query"
    if not found.queries:
        return LeftOut(title, "the assessment does not list its queries")
    lifts = np.sort([each.new - each.old for each in found.queries])[::-1]
    better, worse = int((lifts > 0).sum()), int((lifts < 0).sum())
    same = len(lifts) - better - worse
    sentence = f"{better:,} of {len(lifts):,} queries got better, {worse:,} got worse, {same:,} stayed as they were."
    bars = lifts if len(lifts) <= MOST_BARS else np.array([part.mean() for part in np.array_split(lifts, MOST_BARS)])
    mean = float(lifts.mean())
    asked = None if found.relative else found.min_lift
    shares = np.quantile(lifts, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1))
    names = ("worst", "10 %", "25 %", "median", "75 %", "90 %", "best")
    quantiles = Table(
        "Lift by query: quantiles",
        (Column("quantile"), Column("new − old", "signed")),
        tuple(zip(names, (float(value) for value in shares), strict=True)),
    )
    together = len(lifts) / len(bars)
    shared = f" Each of the {len(bars)} bars is the mean of about {together:.0f} queries." if together > 1 else ""
    description = (
        f"Bars of new minus old {found.metric}, the greatest gain first. {sentence} The mean is {signed(mean)}.{shared}"
    )
    data = {"bars": [round(float(each), 5) for each in bars], "mean": mean, "asked": asked, "metric": found.metric}
    figure = Figure("lift", f"New − old {found.metric} of each query, sorted", description, data, quantiles)
    return Section("lift", title, (sentence,), figures=(figure,))


def _slices(found: Judgement) -> Section | LeftOut:
    title = "Lift by slice"
    if not found.slices:
        return LeftOut(title, "the assessment has none: no field tells its queries apart, or the parts are too small")
    axis = common_axis([end for each in found.slices for end in _ends(each.lift)], zero=True)
    columns = (
        Column("slice"),
        Column("lift, 95 % interval", "span"),
        Column("adjusted p", "p"),
        Column("old", "figure"),
        Column("new", "figure"),
        Column("queries", "count"),
        Column("so far"),
    )
    rows = tuple(_slice_row(each, axis) for each in sorted(found.slices, key=lambda each: each.lift.value))
    worse = sum(each.lift.high < 0 for each in found.slices)
    said = f"{worse:,} of {len(found.slices):,} slices are worse: their whole interval is below zero."
    level = "p is for no difference, which the mark stands for, adjusted by Holm's method for the number of slices."
    return Section("slices", title, (said,), (Table(title, columns, rows),), notes=(level,))


def _slice_row(found: Slice, axis: tuple[float, float]) -> tuple[Cell, ...]:
    lift = replace(found.lift, axis=axis, marks=(0.0,), signed=True)
    so_far = "worse" if lift.high < 0 else "better" if lift.low > 0 else "not clear"
    return (f"{found.by}: {found.value}", lift, found.p_adjusted, found.old, found.new, found.n_queries, so_far)


def _ends(span: Span) -> tuple[float, float, float]:
    return span.value, span.low, span.high


def _sentence(text: str) -> str:
    """Return a note as a sentence of its own."""
    begun = f"{text[:1].upper()}{text[1:]}"
    return begun if not begun or begun.endswith((".", "!", "?", "…")) else f"{begun}."
