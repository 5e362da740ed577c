"""The decision that follows from what was measured. Every rule is here, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from revector.evaluation.alternatives import BOTH, QUERY_MODEL, RESCORED_MAP
from revector.evaluation.significance import ENOUGH_QUERIES, POWER, Interval, queries_to_settle
from revector.evaluation.verdict import Decision

__all__ = ["OTHERS_CONFIDENCE", "SOON_SECONDS", "Decided", "decide"]

OTHERS_CONFIDENCE = 0.99
"""Of the intervals of what else could be done: there are several, and one of them may look good by chance."""
TOLD = 0.01
"""The least distance from the threshold, in the lift's own unit, that an unsettled verdict asks enough queries for.

An interval that holds the threshold allows any smaller one as well; no number that could be asked tells those.
"""
SOON_SECONDS = 3600.0
"""A re-embedding that takes longer is worth a bridge."""


@dataclass(frozen=True)
class Decided:
    """What to do, why, and how many further queries would settle it, when it is not settled."""

    decision: Decision
    reason: str
    queries_needed: int | None = None


def decide(
    lift: Interval,
    min_lift: float,
    *,
    relative: bool,
    same_space: bool,
    others: Mapping[str, Interval] | None = None,
    over_query_model: Interval | None = None,
    seconds: float = 0.0,
    doubt: float = 0.0,
) -> Decided:
    """Weigh measured lifts against the least that justifies a migration.

    In this order: the vectors stay where both models give the same; under `ENOUGH_QUERIES` nothing is decided; queries
    by the new model, with the vectors that there are, are enough where they reach the threshold and re-embedding is not
    better beyond chance; re-embedding where the whole interval of its lift is above the threshold, through a map where
    that takes long and the map helps beyond chance; both generations where only they reach it; staying where none of
    the interval is above it.

    Parameters
    ----------
    lift : Interval
        Re-embedding minus staying.
    min_lift : float
        The threshold, in the lift's own unit.
    relative : bool
        How to print them.
    same_space : bool
        Both models give the same vectors.
    others : mapping of str to Interval, optional
        The lifts of the other alternatives over staying, by name, with a confidence of `OTHERS_CONFIDENCE`.
    over_query_model : Interval, optional
        Re-embedding minus changing the query model alone.
    seconds : float
        What re-embedding takes.
    doubt : float
        Of judgements that stand in for those of people: more of them do not settle what is in doubt.
    """
    others = others or {}
    if same_space:
        return Decided(Decision.STAY, "both encoders produce the same space; keep the vectors")
    measured = _shown(lift, min_lift, relative)
    if lift.n_queries < ENOUGH_QUERIES:
        return _inconclusive(
            lift, min_lift, f"{measured}; under {ENOUGH_QUERIES} queries decide nothing", doubt, relative=relative
        )
    if _reaches(others.get(QUERY_MODEL), min_lift) and not (over_query_model and over_query_model.low > 0):
        gain = _lift(others[QUERY_MODEL], relative)
        return Decided(Decision.CHANGE_QUERY_MODEL, f"queries by the new model, on the vectors as they are: {gain}")
    if lift.low > min_lift:
        return _moving(lift, min_lift, f"{measured}; the whole interval is above", others.get(RESCORED_MAP), seconds)
    if _reaches(others.get(BOTH), min_lift):
        gain = _lift(others[BOTH], relative)
        return Decided(Decision.KEEP_BOTH, f"{measured}, which only both models together reach: {gain}")
    if lift.high <= min_lift:
        return Decided(Decision.STAY, f"{measured}; none of the interval is above{_how(lift, min_lift)}")
    return _inconclusive(lift, min_lift, f"{measured}; the interval holds both", doubt, relative=relative)


def _reaches(lift: Interval | None, min_lift: float) -> bool:
    return lift is not None and lift.low > min_lift


def _moving(lift: Interval, min_lift: float, reason: str, bridge: Interval | None, seconds: float) -> Decided:
    if bridge is None or seconds <= SOON_SECONDS or bridge.low <= 0:
        return Decided(Decision.MIGRATE, reason)
    share = f"{min(1.0, bridge.value / lift.value):.0%} of it on day one" if lift.value > 0 else "no less on day one"
    return Decided(Decision.BRIDGE_THEN_MIGRATE, f"{reason}; a map with re-scoring gives {share}")


def _how(lift: Interval, min_lift: float) -> str:
    if lift.high < 0:
        return ": the new model is worse"
    return ": practically equivalent" if lift.low > -abs(min_lift) else ""


def _inconclusive(lift: Interval, min_lift: float, finding: str, doubt: float, *, relative: bool) -> Decided:
    if doubt:
        settles = "more of these judgements do not settle it, queries that people have judged do"
        return Decided(Decision.INCONCLUSIVE, f"{finding}; {settles}")
    few, distance = max(1, ENOUGH_QUERIES - lift.n_queries), abs(lift.value - min_lift)
    if lift.low > min_lift or lift.high <= min_lift:
        return Decided(Decision.INCONCLUSIVE, f"{finding}; judge at least {few:,} more", few)
    needed = max(queries_to_settle(lift, TOLD) or few, few)
    as_measured = queries_to_settle(lift, distance) if distance > TOLD else None
    hope = "" if as_measured is None else f", {max(as_measured, few):,} if the lift is what was measured"
    least = f"a lift that is {TOLD:.0%} or more off" if relative else f"a lift that is {TOLD:g} or more off"
    more = f"{needed:,} more judged queries settle {least} with a probability of {POWER:.0%}{hope}"
    return Decided(Decision.INCONCLUSIVE, f"{finding}; {more}", needed)


def _shown(lift: Interval, min_lift: float, relative: bool) -> str:
    asked = f"{min_lift:+.1%}" if relative else f"{min_lift:+.4f}"
    return f"lift {_lift(lift, relative)} on {lift.n_queries:,} judged queries, asked for above {asked}"


def _lift(lift: Interval, relative: bool) -> str:
    show = "{:+.1%}".format if relative else "{:+.4f}".format
    return f"{show(lift.value)} [{show(lift.low)}, {show(lift.high)}]"
