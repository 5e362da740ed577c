"""Where a migration stands, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import RenderableType

from revector._display import shown_seconds
from revector.cli.common import shown_place
from revector.cli.endings import EXIT_REFUSED, shell
from revector.cli.printing import emit, fields, plain
from revector.cli.wording import as_typed
from revector.collection import Collection
from revector.ledger.state import Phase
from revector.migration.foresight import Foresight
from revector.migration.hands import Hands
from revector.migration.status import FailedDocument, MigrationStatus

FAILURES_SHOWN = 5

NEXT = {
    Phase.PLANNED: ("start",),
    Phase.FILLING: ("run",),
    Phase.PROVING: ("verify", "cutover"),
    Phase.SERVING: ("rollback", "retire"),
    Phase.ROLLED_BACK: ("start", "retire"),
    Phase.RETIRED: (),
}


def emit_status(url: str, migration: Hands, *, as_json: bool) -> None:
    """Print where a migration stands, and which commands come next."""
    place, current, failures = shown_place(url), migration.status(), migration.failures()
    steps = next_steps(place, current, len(failures))
    found = {**current.to_json(), "failures": failures, "next_steps": steps}
    emit(found, show_status(place, current, failures), as_json=as_json)


def emit_unmoved(url: str, docs: Collection, *, as_json: bool) -> None:
    """Print what serves a collection that has no migration, and how one begins."""
    place, insurance = shown_place(url), docs.insurance
    found = {"collection": place, "space": docs.serving_space, "migration": None, "insurance": insurance}
    said = f"{place} is served with {docs.serving_space}; no migration"
    shown = "\n".join(filter(None, [said, "" if insurance is None else str(insurance), docs.obstacle]))
    steps = [f"revector {verb} {shell(place)} --model MODEL" for verb in ("assess", "start")]
    emit({**found, "obstacle": docs.obstacle}, shown, as_json=as_json, next_steps=steps)


def emit_foresight(url: str, foresight: Foresight, *, as_json: bool) -> None:
    """Print what a verb would do; end with the exit code of a refusal if it would be refused."""
    steps = [] if foresight.refusals else [f"revector {foresight.verb} {shell(shown_place(url))}"]
    refusals = [as_typed(each) for each in foresight.refusals]
    found = {**foresight.to_json(), "refusals": refusals, "next_steps": steps}
    emit(found, plain(as_typed(str(foresight))), as_json=as_json)
    if refusals:
        raise typer.Exit(EXIT_REFUSED)


def next_steps(place: str, status: MigrationStatus, failed: int = 0) -> list[str]:
    """Return the commands that come next."""
    verbs = ["resume" if status.paused and verb == "run" else verb for verb in NEXT[status.phase]]
    retry = ["retry"] if failed and status.phase in (Phase.FILLING, Phase.PROVING) else []
    batch = " --batch" if status.batch_jobs else ""
    behind = [f"revector depends {shell(place)} --run"] if any(each.is_behind for each in status.dependents) else []
    return [*behind, *(f"revector {verb} {shell(place)}{batch * (verb == 'run')}" for verb in (*verbs, *retry))]


def show_status(url: str, status: MigrationStatus, failures: Sequence[FailedDocument]) -> RenderableType:
    """Show phase, share, outcome of the verification, what is in the way, failures, and the verbs that come next."""
    rows = status.rows()
    if status.plan is not None:
        rows["planned"] = _planned(status.plan)
    if failures:
        rows["left out"] = "\n".join(_failures(url, failures))
    if steps := next_steps(url, status):
        rows["next"] = " or ".join(steps)
    return fields(rows)


def _planned(plan: Mapping[str, Any]) -> str:
    workers, rate = plan["wanted"]["workers"], plan["cost"]["documents_per_second"]
    each = "" if rate is None else f" at {rate:,.3g} documents/s"
    return f"{shown_seconds(plan['seconds'])} with {workers} worker{'s' * (workers > 1)}{each}"


def _failures(url: str, failures: Sequence[FailedDocument]) -> list[str]:
    shown = [f"{failure.id}: {as_typed(failure.error)}" for failure in failures[:FAILURES_SHOWN]]
    more = len(failures) - len(shown)
    return [*shown, f"and {more:,} more: revector failures {shell(url)}"] if more else shown
