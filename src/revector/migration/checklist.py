"""The playbook of a migration as a list: what is done, when and by which command, and what comes next.

It is read from the ledger: the migration and its events, and the notes that `assess`, `plan` and `pilot` leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from revector._display import table_as_html
from revector.backends.contracts import Backend
from revector.ledger.records import Event, MigrationRecord
from revector.ledger.state import Phase
from revector.migration.dependents import dependents
from revector.migration.gates import retention_ends, verification_reasons
from revector.migration.scales import noted_scale
from revector.migration.status import status_of

PLACE = "COLLECTION"
"""What stands in commands for where the collection is."""
_SERVED = (Phase.SERVING, Phase.RETIRED)


@dataclass(frozen=True)
class Item:
    """A step of the playbook.

    Attributes
    ----------
    name : str
    done : bool
    found : str
        What is known of it.
    command : str
        What it is done by, with `PLACE` for the collection.
    at : float or None
        When it was done, in seconds since the epoch; ``None`` where it is not, or was not noted.
    passed_over : bool
        It was not done, and the migration has begun without it.
    """

    name: str
    done: bool
    found: str
    command: str
    at: float | None = None
    passed_over: bool = False


@dataclass(frozen=True)
class Checklist:
    """All steps, in their order.

    Attributes
    ----------
    items : tuple of Item
    """

    items: tuple[Item, ...]

    @property
    def next(self) -> Item | None:
        """The first step that is neither done nor passed over; ``None`` once there are no others."""
        return next((item for item in self.items if not (item.done or item.passed_over)), None)

    def to_json(self) -> dict[str, Any]:
        """Return the steps, and the name of the next one, as plain JSON types."""
        return {**asdict(self), "next": None if self.next is None else self.next.name}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return mark, name, time, what is known and command of each step."""
        return [
            (self._mark(item), item.name, "" if item.at is None else _shown_time(item.at), item.found, item.command)
            for item in self.items
        ]

    def _mark(self, item: Item) -> str:
        return "✓" if item.done else "-" if item.passed_over else "→" if item == self.next else "·"

    def __str__(self) -> str:
        """Return a line for each step, and below it what is known and the command."""
        return "\n".join(
            f"{mark} {name:26}{at:18}{found}\n{'':4}{command}" for mark, name, at, found, command in self.rows()
        )

    def _repr_html_(self) -> str:
        return table_as_html(("", "step", "done", "what is known", "command"), self.rows())


@dataclass(frozen=True)
class _Known:
    """What the ledger says of the present round: from the end of the migration before."""

    backend: Backend
    record: MigrationRecord | None
    events: dict[str, Event]
    notes: dict[str, dict[str, Any]]

    def at(self, event: str) -> float | None:
        found = self.events.get(event)
        return None if found is None else found.at

    def undone(self, name: str, found: str, command: str) -> Item:
        """Return a step that comes before the start."""
        return Item(name, False, found, command, passed_over=self.record is not None)

    def in_phase(self, *phases: Phase) -> bool:
        return self.record is not None and self.record.phase in phases

    @property
    def verdict(self) -> dict[str, Any]:
        """The best verdict of the last assessment, or the first one; empty if there is none."""
        kept = self.notes.get("assessment", {})
        verdicts = kept.get("verdicts") or [{}]
        return dict(verdicts[kept.get("best") or 0])


def checklist_of(backend: Backend) -> Checklist:
    """Return where a collection stands in the playbook."""
    with backend.snapshot():
        known = _known(backend)
        return Checklist(tuple(item(known) for item in _ITEMS))


def _known(backend: Backend) -> _Known:
    """Look the present round up: that of the last migration, until something was measured after its end."""
    events = backend.ledger.events_after(0)
    record = backend.ledger.record(events[-1].migration) if events else None
    ends = {event.migration: event.at for event in events if event.to_phase is Phase.RETIRED}
    kept = {name: backend.ledger.notes.get(name) for name in ("assessment", "plan", "pilot")}
    found = {name: {"measured_at": note.get("at"), **note} for name, note in kept.items() if isinstance(note, dict)}
    notes = {name: note for name, note in found.items() if isinstance(note["measured_at"], (int, float))}
    over = None if record is None else ends.pop(record.id, None)
    if over is not None and any(note["measured_at"] > over for note in notes.values()):
        record, ends = None, {0: over}
    since = max(ends.values(), default=0.0)
    own = {event.name: event for event in events if record is not None and event.migration == record.id}
    return _Known(backend, record, own, {name: note for name, note in notes.items() if note["measured_at"] > since})


def _baseline(known: _Known) -> Item:
    command = f"revector assess {PLACE} --model MODEL --judged FOLDER"
    if not (verdict := known.verdict):
        return known.undone("baseline", "how good the present model is was not measured", command)
    quality: dict[str, Any] = next((row["quality"] for row in verdict.get("rows", ()) if row.get("name") == "stay"), {})
    reached = f" of {quality['value']:.4f}" if "value" in quality else ""
    found = f"{verdict.get('metric', 'quality')}{reached}, measured on {verdict.get('ground_truth', 'queries')}"
    return Item("baseline", True, found, command, known.notes["assessment"]["measured_at"])


def _criteria(known: _Known) -> Item:
    command = f"revector assess {PLACE} --model MODEL --judged FOLDER --min-lift LIFT"
    if not (verdict := known.verdict):
        return known.undone("success criteria", "which lift is worth a migration was not said", command)
    lift = f"{verdict.get('min_lift', 0):+.1%}" if verdict.get("relative") else f"{verdict.get('min_lift', 0):+.4f}"
    found = f"a lift above {lift}; the verdict: {verdict.get('decision', 'none')}"
    return Item("success criteria", True, found, command, known.notes["assessment"]["measured_at"])


def _pilot(known: _Known) -> Item:
    command = f"revector pilot {PLACE} --model MODEL"
    if (note := known.notes.get("pilot")) is None:
        return known.undone("pilot", "nothing was tried on a part of the documents", command)
    return Item("pilot", True, "a part of the documents was moved on trial", command, note["measured_at"])


def _strategy(known: _Known) -> Item:
    command = f"revector start {PLACE} --model MODEL --strategy NAMES"
    if known.record is not None:
        kept = known.record.strategy
        names = ", ".join(str(each.get("name")) for each in (kept if isinstance(kept, list) else [kept]))
        return Item("strategy", True, f"{names}, to {known.record.target_space}", command, known.at("plan"))
    if (note := known.notes.get("plan")) is not None:
        found = f"planned, not started: {note.get('strategy', 'see revector plan')}"
        return Item("strategy", False, found, str(note.get("command") or command))
    return Item("strategy", False, "how to get there is not decided", f"revector plan {PLACE} --model MODEL")


def _metadata(known: _Known) -> Item:
    backend = known.backend
    alias = backend.generations.alias(backend.alias)
    command = f"revector doctor {PLACE}"
    if alias is None:
        return Item("metadata", False, "no generation serves", command)
    serving = backend.generations.get(alias.generation)
    vectors = backend.generations.count(serving.id)
    found = f"{vectors:,} vectors, each with its model ({serving.space}), time and the hash of its text"
    return Item("metadata", True, found, command, serving.created_at)


def _execution(known: _Known) -> Item:
    record, begin = known.record, f"revector start {PLACE} --model MODEL"
    if record is None or known.in_phase(Phase.PLANNED):
        return Item("execution", False, "not started", begin)
    if known.in_phase(Phase.ROLLED_BACK):
        return Item("execution", False, "rolled back; the new vectors are kept", f"revector start {PLACE}")
    if known.in_phase(Phase.FILLING):
        status = status_of(known.backend, record)
        found = f"{status.moved:,} of {status.documents:,} documents have moved ({status.share:.0%})"
        return Item("execution", False, found, f"revector {'resume' if record.paused else 'run'} {PLACE}")
    ended_early = known.in_phase(Phase.RETIRED) and record.cutover_at is None
    found = "ended without a cut-over" if ended_early else "all documents have moved that can be"
    return Item("execution", True, found, f"revector run {PLACE}", known.at("filled"))


def _validation(known: _Known) -> Item:
    record, command = known.record, f"revector verify {PLACE}"
    if record is None or record.verification is None:
        return Item("validation", False, "the new vectors were not verified", command)
    at = record.verification.get("at")
    if known.in_phase(*_SERVED) and record.cutover_at is not None:
        return Item("validation", True, "passed before the cut-over", command, at)
    vectors = known.backend.generations.count(record.target_generation) if record.target_generation else 0
    reasons = verification_reasons(known.backend, record, vectors=vectors)
    return Item("validation", not reasons, "; ".join(reasons) or "passed", command, None if reasons else at)


def _cutover(known: _Known) -> Item:
    record, command = known.record, f"revector cutover {PLACE}"
    if record is not None and record.cutover_at is not None and known.in_phase(*_SERVED):
        return Item("cut-over", True, f"{record.target_space} serves", command, record.cutover_at)
    back = known.at("rollback")
    found = "the old model serves" if back is None else f"rolled back on {_shown_time(back)}"
    return Item("cut-over", False, found, command)


def _hangs(known: _Known) -> Item:
    """Return the step of what hangs on the vectors, and of thresholds on their scores."""
    own, scale = dependents(known.backend), noted_scale(known.backend)
    behind = [each.name for each in own if each.is_behind]
    registered = ", ".join(map(str, own)) or "nothing is registered that hangs on the vectors"
    read = "" if scale is None else f"; thresholds are read in the scores of {scale.model}"
    command = f"revector depends {PLACE}{' --run' if behind else ''}"
    done = known.in_phase(*_SERVED) and not behind
    at = max((each.at for each in own), default=0.0) or None
    return Item("thresholds and dependents", done, registered + read, command, at if done else None)


def _retention(known: _Known) -> Item:
    record, command = known.record, f"revector status {PLACE}"
    if record is None or not known.in_phase(*_SERVED):
        return Item("retention", False, "begins with the cut-over", command)
    if known.in_phase(Phase.RETIRED):
        return Item("retention", True, "over", command, known.at("retire"))
    ends = retention_ends(record) or 0.0
    is_over = ends <= time.time()
    return Item("retention", is_over, f"until {_shown_time(ends)}", command, ends if is_over else None)


def _clean_up(known: _Known) -> Item:
    command = f"revector retire {PLACE} --yes"
    if known.in_phase(Phase.RETIRED):
        return Item("clean-up", True, "the vectors that do not serve are gone", command, known.at("retire"))
    return Item("clean-up", False, "both generations are kept" if known.record else "nothing to drop", command)


_ITEMS: tuple[Callable[[_Known], Item], ...] = (
    _baseline,
    _criteria,
    _pilot,
    _strategy,
    _metadata,
    _execution,
    _validation,
    _cutover,
    _hangs,
    _retention,
    _clean_up,
)


def _shown_time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
