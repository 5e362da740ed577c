"""The verb that shows a new model to a growing share of the readers."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, CollectionUrl, Encoders, migrating, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, fields
from revector.migration.rolling import RolloutStatus


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(rollout)


def rollout(
    collection: CollectionUrl,
    begin: Annotated[bool, typer.Option("--begin", help="Begin it, or begin again after a stop.")] = False,
    to: Annotated[
        Optional[float],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="SHARE", help="Go on to a share of the readers at once, from 0.01 to 1."),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Show the new model to nobody, and roll back.")] = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Say where the rollout stands and what was seen; begin it, take it further, or stop it."""
    with migrating(collection, encoder) as migration:
        if stop:
            migration.rollback(accept_failed=True)
        elif begin or to is not None:
            migration.roll_out(to=to)
        status = migration.rollout
    place = shell(shown_place(collection))
    if status is None:
        begin_it = f"revector rollout {place} --begin"
        said = f"the rollout has not begun; begin it with: {begin_it}"
        emit({"stage": None}, said, as_json=as_json, next_steps=[begin_it])
    else:
        steps = [f"revector cutover {place}"] if status.stage.passed else [f"revector watch {place}"]
        emit(status, fields(shown_rollout(status)), as_json=as_json, next_steps=steps)


def shown_rollout(status: RolloutStatus) -> dict[str, str]:
    """Return where a rollout stands as people read it: the step, what was seen, and each metric with its interval."""
    stage, evidence = status.stage, status.evidence
    state = "stopped" if stage.stopped else "passed" if stage.passed else "running"
    seen = f"{evidence.old.searches:,} old, {evidence.new.searches:,} new, {evidence.preferred.n:,} preferences"
    held = {"held back": ", ".join(stage.held)} if stage.held else {}
    metrics = {finding.metric.replace("_", " "): str(finding) for finding in status.decision.findings}
    return {"rollout": f"{state}: {status.share:.0%} of the readers; {stage.reason}", "seen": seen, **held, **metrics}
