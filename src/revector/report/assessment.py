"""An assessment as a report reads it: the JSON of `revector assess --json`, or the last one, from the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.report.content import Compared, Found, Span
from revector.report.formatting import shortened, shown_id

NOTE = "assessment"
"""The name of the ledger's note."""
MOST_COMPARED = 10


@dataclass(frozen=True)
class Alternative:
    """What could be done instead; the fields are those of `revector.evaluation.verdict.Row`."""

    name: str
    quality: Span
    retention: float | None
    seconds: float | None
    extra_bytes: float | None
    texts_a_query: float | None
    query_seconds: float | None
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Slice:
    """A part of the queries."""

    by: str
    value: str
    n_queries: int
    old: float | None
    new: float | None
    lift: Span
    p_adjusted: float | None


@dataclass(frozen=True)
class Judged:
    """A query and how good the answers of both models are."""

    id: str
    text: str
    old: float
    new: float


@dataclass(frozen=True)
class Judgement:
    """The verdict on one candidate; the fields are those of `revector.evaluation.verdict.Verdict`."""

    model: str
    decision: str
    reason: str
    metric: str
    ground_truth: str
    judged_by: str
    alternatives: tuple[Alternative, ...]
    lift: Span
    p_value: float | None
    min_lift: float
    relative: bool
    slices: tuple[Slice, ...]
    queries: tuple[Judged, ...]
    worse: tuple[Compared, ...]
    better: tuple[Compared, ...]
    notes: tuple[str, ...]
    cost: Mapping[str, float]

    def quality(self, name: str) -> float | None:
        """Return the quality of an alternative, if it was measured."""
        return next((each.quality.value for each in self.alternatives if each.name == name), None)


@dataclass(frozen=True)
class Assessment:
    """Verdicts on one candidate or several; `chosen` is the one that a report shows in full."""

    measured_at: float | None
    judgements: tuple[Judgement, ...]
    chosen: Judgement


def read_assessment(value: Any, target: str = "") -> Assessment | None:
    """Read an assessment of one verdict or several; ``None`` where there is none.

    Parameters
    ----------
    value : mapping or None
        As JSON has it. What is missing is left out.
    target : str
        The model that the collection moves to: its verdict is shown rather than the best one.

    Raises
    ------
    InvalidArgumentError
        It is something else than an assessment; the message names the part.
    """
    if value is None:
        return None
    whole = _Object(value, "the assessment")
    listed = whole.objects("verdicts") if "verdicts" in whole.value else [whole]
    judgements = tuple(map(_judgement, listed))
    if not judgements:
        return None
    best = whole.number("best")
    chosen = next((each for each in judgements if target and each.model == target), None)
    if chosen is None and best is not None and 0 <= best < len(judgements):
        chosen = judgements[int(best)]
    return Assessment(whole.number("measured_at"), judgements, chosen or max(judgements, key=_lift))


def _lift(judgement: Judgement) -> float:
    return -math.inf if math.isnan(judgement.lift.value) else judgement.lift.value


class _Object:
    """A JSON object whose fields may be missing, but not of another kind."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "an object")
        self.value, self.where = value, where

    def number(self, name: str) -> float | None:
        found = self.value.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise _wrong(f"{self.where}[{name!r}]", found, "a number")
        try:
            real = float(found)
        except OverflowError:
            real = math.inf
        return real if math.isfinite(real) else None

    def text(self, name: str, otherwise: str = "") -> str:
        found = self.value.get(name)
        if found is None:
            return otherwise
        if isinstance(found, (list, dict)):
            raise _wrong(f"{self.where}[{name!r}]", found, "a string")
        return shortened(found, 1_000)

    def id(self, name: str) -> str:
        return shown_id(self.value.get(name, ""))

    def objects(self, name: str, most: int | None = None) -> list[_Object]:
        return [_Object(each, f"{self.where}[{name!r}][{at}]") for at, each in enumerate(self._list(name)[:most])]

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(shortened(each, 1_000) for each in self._list(name))

    def numbers(self, name: str) -> dict[str, float]:
        held = _Object(self.value.get(name) or {}, f"{self.where}[{name!r}]")
        found = {shown_id(each): held.number(each) for each in held.value}
        return {each: value for each, value in found.items() if value is not None}

    def span(self, name: str) -> Span:
        held = _Object(self.value.get(name) or {}, f"{self.where}[{name!r}]")
        value, low, high = (held.number(each) for each in ("value", "low", "high"))
        if value is None:
            return Span(math.nan, -math.inf, math.inf)
        return Span(value, -math.inf if low is None else low, math.inf if high is None else high)

    def _list(self, name: str) -> list[Any]:
        found = self.value.get(name)
        if found is not None and not isinstance(found, (list, tuple)):
            raise _wrong(f"{self.where}[{name!r}]", found, "a list")
        return list(found or ())


def _judgement(read: _Object) -> Judgement:
    if not read.value.get("decision"):
        raise _wrong(read.where, dict(read.value), "a verdict with a decision")
    return Judgement(
        model=read.text("model"),
        decision=read.text("decision").lower(),
        reason=read.text("reason"),
        metric=read.text("metric", "nDCG@10"),
        ground_truth=read.text("ground_truth"),
        judged_by=read.text("judged_by"),
        alternatives=tuple(map(_alternative, read.objects("rows"))),
        lift=read.span("lift"),
        p_value=read.number("p_value"),
        min_lift=read.number("min_lift") or 0.0,
        relative=bool(read.value.get("relative")),
        slices=tuple(map(_slice, read.objects("slices"))),
        queries=tuple(each for each in map(_judged, read.objects("queries")) if each is not None),
        worse=tuple(each for each in map(_compared, read.objects("worse", MOST_COMPARED)) if not each.new >= each.old),
        better=tuple(each for each in map(_compared, read.objects("better", MOST_COMPARED)) if each.new > each.old),
        notes=read.texts("notes"),
        cost=read.numbers("cost"),
    )


def _alternative(read: _Object) -> Alternative:
    return Alternative(
        name=", ".join(filter(None, (read.text("name"), read.text("pipeline")))),
        quality=read.span("quality"),
        retention=read.number("retention"),
        seconds=read.number("seconds"),
        extra_bytes=read.number("extra_bytes"),
        texts_a_query=read.number("texts_a_query"),
        query_seconds=read.number("query_seconds"),
        metrics=read.numbers("metrics"),
    )


def _slice(read: _Object) -> Slice:
    n_queries = int(read.number("n_queries") or 0)
    figures = read.number("old"), read.number("new")
    return Slice(read.text("by"), read.text("value"), n_queries, *figures, read.span("lift"), read.number("p_adjusted"))


def _judged(read: _Object) -> Judged | None:
    old, new = read.number("old"), read.number("new")
    return None if old is None or new is None else Judged(read.id("id"), read.text("text"), old, new)


def _compared(read: _Object) -> Compared:
    old, new = (read.number(name) for name in ("old", "new"))
    by_old, by_new = (tuple(map(_found, read.objects(name, 3))) for name in ("by_old", "by_new"))
    query = read.text("text") or read.id("id")
    return Compared(query, math.nan if old is None else old, math.nan if new is None else new, by_old, by_new)


def _found(read: _Object) -> Found:
    return Found(read.id("id"), shortened(read.value.get("text") or ""), read.number("grade"))


def _wrong(where: str, value: object, expected: str) -> InvalidArgumentError:
    how = "an assessment is what 'revector assess --json' prints"
    return InvalidArgumentError(f"{where} is {shown(value)}, expected {expected}; {how}")
