"""A pilot: some of the documents are embedded for real, beside what serves, and the plan is held against that.

A worker like any other fills a generation that nobody searches; what it took is compared with what was planned, the
plan is worked out again from it, and the generation is thrown away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._display import shown_bytes, shown_seconds
from revector.backends.contracts import Generation
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.errors import EncoderError, InvalidArgumentError
from revector.evaluation import holdout, metrics, significance
from revector.evaluation.significance import Interval, mean_interval, paired_lift
from revector.migration.beside import beside, require_no_migration
from revector.migration.filling.filling import OnProgress
from revector.migration.schedule import deadline_of
from revector.planning.cost import vector_bytes
from revector.planning.indexing import INDEXED, Indexed, build_index
from revector.planning.move import Move
from revector.planning.plan import Plan, Wanted
from revector.planning.planner import compiled, keep_plan, kept_plan, make_plan
from revector.planning.probe import Filled, fill
from revector.planning.texts import model_of, texts_of

__all__ = ["LEAST", "SHARE", "Judged", "Pilot", "Quality", "pilot", "size_of"]

NOTE = "pilot"
SHARE = 0.02
LEAST, LEAST_SECONDS = 1_000, 8.0
"""A pilot takes so many documents at least, and so long by the plan: less is over before a worker has warmed up."""
METRIC = "nDCG@10"
_ASSESSMENT = "assessment"


@dataclass(frozen=True)
class Judged:
    """Queries with judgements, and the present model, which is asked them as well."""

    queries: Mapping[str, str]
    qrels: metrics.Qrels
    encoder: TextEncoder


@dataclass(frozen=True)
class Quality:
    """What judged queries find among the documents of a pilot.

    Attributes
    ----------
    metric : str
    old, new : Interval
        With the present vectors, and with the new ones.
    lift : Interval
        Of the differences.
    assessed : float or None
        The lift that the last assessment of the same model has measured.
    """

    metric: str
    old: Interval
    new: Interval
    lift: Interval
    assessed: float | None


@dataclass(frozen=True)
class Pilot:
    """What a pilot found, beside what was planned.

    Attributes
    ----------
    at : float
        When it ended, in seconds since the epoch.
    documents, failed : int
        That were embedded, and that could not be.
    seconds : float
        That took.
    planned_rate, rate : float or None, float
        Documents a second of a worker.
    planned_seconds, revised_seconds : float
        For the whole collection, its index included.
    planned_bytes, bytes : int
        What the vectors of the pilot, and their index, were expected to take at most, and took.
    planned_money, money : float or None
        What a service was expected to take for the pilot, and took.
    quality : Quality or None
        What judged queries find.
    plan : Plan
        Worked out again.
    """

    at: float
    documents: int
    failed: int
    seconds: float
    planned_rate: float | None
    rate: float
    planned_seconds: float
    revised_seconds: float
    planned_bytes: int
    bytes: int
    planned_money: float | None
    money: float | None
    quality: Quality | None
    plan: Plan

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return {**asdict(self), "plan": self.plan.to_json()}

    def rows(self) -> dict[str, str]:
        """Return it as people read it, by subject: planned, then seen."""
        failed = f"; {self.failed:,} could not be embedded" if self.failed else ""
        found = {
            "pilot": f"{self.documents:,} documents in {shown_seconds(self.seconds)}{failed}",
            "rate": f"{_shown(self.planned_rate)} documents/s planned, {self.rate:,.4g} seen",
            "time": f"{shown_seconds(self.planned_seconds)} planned for everything, "
            f"{shown_seconds(self.revised_seconds)} by what was seen",
            "storage": f"at most {shown_bytes(self.planned_bytes)} planned for these, {shown_bytes(self.bytes)} seen",
            "money": self._shown_money(),
            "quality": "" if self.quality is None else _shown_quality(self.quality),
        }
        return {name: line for name, line in found.items() if line}

    def _shown_money(self) -> str:
        return "" if self.money is None else f"{_shown(self.planned_money)} planned for these, {self.money:.4g} seen"

    def __str__(self) -> str:
        """Return it in lines."""
        return "\n".join(f"{name:12}{line}" for name, line in self.rows().items())


def size_of(documents: int, share: float, rate: float | None = None) -> int:
    """Return how many documents a pilot takes, of a worker that embeds so many a second."""
    return min(documents, max(LEAST, round(share * documents), round(LEAST_SECONDS * (rate or 0.0))))


def pilot(
    move: Move,
    *,
    share: float = SHARE,
    judged: Judged | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Pilot:
    """Embed a share of the documents beside what serves, compare with the plan, and revise it.

    Parameters
    ----------
    move : Move
    share : float
        Of the documents; `LEAST` of them at least, and what takes `LEAST_SECONDS`.
    judged : Judged, optional
        Then all judged documents are among them, and quality is measured as well.
    on_progress, stop
        As for a worker.

    Raises
    ------
    MigrationError
        A migration is under way, or the collection is in that space already.
    InvalidArgumentError
        There are no documents, or no query can be used.
    CancelledError
        It was called off; nothing of it is left.
    """
    backend = move.backend
    backend.require_writable()
    require_no_migration(backend, "a pilot")
    if judged is not None:
        metrics.require_library()
        significance.require_library()
    if not (documents := backend.documents.count()):
        raise InvalidArgumentError("the collection is empty: there is nothing to pilot; add documents first")
    if judged is not None:
        _drawn(move, judged, 0)  # what cannot be used is said before anything is embedded
    planned = _planned(move, on_progress, stop)
    size = size_of(documents, share, planned.cost.documents_per_second)
    drawn = None if judged is None else _drawn(move, judged, size)
    keys = backend.documents.sample(size, 1) if drawn is None else _keys_of(drawn)
    spent = getattr(model_of(move.encoder), "spent", None)
    with beside(backend, move.space, "a pilot") as (made, renew):
        before = backend.stored_bytes()
        filled = fill(move, made, keys, renew, on_progress=on_progress, stop=stop)
        quality = None if judged is None or drawn is None else _quality(move, made, judged, drawn)
        indexed = build_index(move, made, min(INDEXED, documents))
        vectors, grown = backend.generations.count(made.id), max(0, backend.stored_bytes() - before)
    revised = _revised(move, planned, filled, indexed)
    keep_plan(backend, revised)
    found = Pilot(
        at=time.time(),
        documents=filled.documents,
        failed=filled.failed,
        seconds=filled.seconds,
        planned_rate=planned.cost.documents_per_second,
        rate=revised.cost.documents_per_second or filled.documents_per_second,
        planned_seconds=planned.seconds,
        revised_seconds=revised.seconds,
        planned_bytes=vector_bytes(move.space.dimension, vectors),
        bytes=grown,
        planned_money=_money_for(planned, filled),
        money=None if spent is None else model_of(move.encoder).spent - spent,  # type: ignore[attr-defined]
        quality=quality,
        plan=revised,
    )
    backend.ledger.notes.keep(NOTE, found.to_json())
    return found


def _planned(move: Move, on_progress: OnProgress | None, stop: threading.Event | None) -> Plan:
    """Return the plan that there is for this model, or a new one."""
    kept = kept_plan(move.backend)
    if kept is not None and kept.target_fingerprint == move.space.fingerprint:
        return kept
    return make_plan(move, Wanted(), on_progress=on_progress, stop=stop)


def _revised(move: Move, planned: Plan, filled: Filled, indexed: Indexed) -> Plan:
    """Work a plan out again from what was seen."""
    notes = tuple(note for note in planned.measured.notes if "not tried" not in note)
    measured = replace(planned.measured, filled=filled, indexed=indexed, notes=notes)
    wanted = planned.wanted
    try:
        if wanted.deadline is not None:
            deadline_of(wanted.deadline)
    except InvalidArgumentError:  # it has passed
        wanted = replace(wanted, deadline=None)
    revised = compiled(move, wanted, texts_of(move.backend, move.encoder), measured)
    is_the_same = revised.strategy == planned.strategy and revised.wanted.deadline == planned.wanted.deadline
    return replace(revised, command=planned.command) if is_the_same else revised


def _drawn(move: Move, judged: Judged, size: int) -> holdout.Holdout:
    queries, qrels = metrics.checked_queries(judged.queries), metrics.checked_qrels(judged.qrels)
    drawn = holdout.draw(move.backend, move.serving.id, queries, qrels, max_documents=size, seed=1)
    if len(drawn.queries) < significance.MIN_QUERIES:
        raise InvalidArgumentError(
            f"one judged query cannot tell models apart; judge {significance.MIN_QUERIES} at least"
        )
    return drawn


def _keys_of(drawn: holdout.Holdout) -> NDArray[np.int64]:
    return np.array([document.key for document in drawn.documents], dtype=np.int64)


def _quality(move: Move, made: Generation, judged: Judged, drawn: holdout.Holdout) -> Quality:
    """Score judged queries with the vectors that serve, and with those that were just made, of the same documents."""
    keys = _keys_of(drawn)
    found, vectors = move.backend.generations.vectors(made.id, keys, current=True)
    lacking = {place: EncoderError("it has no new vector") for place in np.flatnonzero(~np.isin(keys, found)).tolist()}
    drawn, asked = holdout.without(drawn, lacking), list(drawn.queries.values())
    sides = ((judged.encoder, move.serving.space, drawn.old_vectors), (move.encoder, move.space, vectors))
    old, new = (
        holdout.scores(drawn, space, encode_checked(encoder, asked, kind="query"), rows, METRIC)
        for encoder, space, rows in sides
    )
    return Quality(METRIC, mean_interval(old), mean_interval(new), paired_lift(old, new), _assessed(move))


def _assessed(move: Move) -> float | None:
    """Return the lift of the last assessment, if it was of this model."""
    kept = move.backend.ledger.notes.get(_ASSESSMENT)
    verdicts = kept.get("verdicts", []) if isinstance(kept, dict) else []
    of_model = (each for each in verdicts if each.get("model") == move.space.model and each.get("metric") == METRIC)
    return next((each["lift"]["value"] for each in of_model if each.get("lift")), None)


def _money_for(planned: Plan, filled: Filled) -> float | None:
    online = next((price.amount for price in planned.prices if price.name == "online"), None)
    if online is None or not planned.texts.tokens:
        return None
    return online * filled.documents * filled.tokens_a_text / planned.texts.tokens


def _shown(figure: float | None) -> str:
    return "nothing" if figure is None else f"{figure:,.4g}"


def _shown_quality(quality: Quality) -> str:
    assessed = "" if quality.assessed is None else f"; assessed before: {quality.assessed:+.4f}"
    lift = f"{quality.lift.value:+.4f} [{quality.lift.low:+.4f}, {quality.lift.high:+.4f}]"
    return f"{quality.metric} {quality.old} with the present vectors, {quality.new} with the new ones: {lift}{assessed}"
