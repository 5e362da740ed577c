"""The verbs of a migration: start, run, status, verify, cutover, rollback, retire."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Annotated, Any, Optional

import typer

from revector.cli.common import (
    NICENESS,
    AsJson,
    CollectionUrl,
    DryRun,
    Encoders,
    HooksFolder,
    TemplateFields,
    around,
    behind_searches,
    migrating,
    open_encoder,
    opened,
    required_migration,
    shown_place,
)
from revector.cli.crews import NumGpus, RayAddress, RunCommand, Workers, crew_for
from revector.cli.endings import EXIT_REFUSED, shell
from revector.cli.logs import json_logs, logged
from revector.cli.printing import complain, emit, fields
from revector.cli.progress import show_progress
from revector.cli.status import emit_foresight, emit_status, emit_unmoved
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.migration.batches.jobs import BatchJobs
from revector.migration.foresight import Foresight
from revector.migration.migration import Migration
from revector.migration.strategies import NAMES, strategies_named

SECONDS_A_DAY = 86_400.0


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(start)
    app.command(cls=RunCommand)(run)
    for command in (status, verify, cutover, rollback, retire):
        app.command()(command)


def start(
    collection: CollectionUrl,
    model: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option("--model", metavar="MODEL", help="The new model; not needed to start a migration again."),
    ] = None,
    template: TemplateFields = None,
    strategy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="NAMES",
            help=f"How to get there, separated by commas: {', '.join(NAMES)}; background unless it was said before. "
            "Options stand behind a question mark: 'dual-index?weight_of_old=0.3&after_cutover=true'.",
        ),
    ] = None,
    retention_days: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="How long the old vectors are kept; 7 unless it was said before."),
    ] = None,
    deadline: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DATE", help="When it has to be done: measures the model, and says what it takes."),
    ] = None,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Start to move to a new model, or go on with a migration that was planned, started or rolled back."""
    with behind_searches(), opened(collection, encoder) as docs:
        if dry_run:
            foresight = _foreseen(docs, model, template)
            emit_foresight(collection, foresight, as_json=as_json)
            return
        migration = _planned(docs, model, template, strategy, retention_days)
        with around("start", migration, hooks):
            migration.start()
        if deadline is not None and (schedule := migration.schedule(deadline)).needs_more:
            complain(f"revector: {schedule}")
        emit_status(collection, migration, as_json=as_json)


def run(
    collection: CollectionUrl,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try documents that failed again.")] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Go on with what others write, in every phase and without a migration, until a signal."
        ),
    ] = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch",
            help="By batch jobs of the model's service: half the price, up to a day each.",
        ),
    ] = False,
    batch_tokens: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", min=1, help="With --batch: tokens that may be out at a time, as the account allows."),
    ] = None,
    batch_only: Annotated[
        bool, typer.Option("--batch-only", help="With --batch: leave what the jobs could not do for another run.")
    ] = False,
    nice: Annotated[int, typer.Option(min=0, max=19, help="How far to stand back behind other processes.")] = NICENESS,
    metrics_port: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", min=0, max=65535, help="Answer Prometheus at this port meanwhile."),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log to stderr, a JSON object a line.")] = False,
    ray: RayAddress = None,
    workers: Workers = None,
    num_gpus: NumGpus = None,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Re-embed what is left. It can be interrupted, and run again."""
    if follow and dry_run:
        raise InvalidArgumentError("--follow goes on until a signal and has no --dry-run; leave out one of them")
    batch_jobs = _batch_jobs(batch, batch_tokens, batch_only, follow=follow)
    if follow and ray is not None:
        raise InvalidArgumentError("--follow embeds in this process, and --ray on a cluster; leave out one of them")
    if batch and ray is not None:
        raise InvalidArgumentError("--batch lets a service embed, and --ray a cluster; leave out one of them")
    crew = crew_for(collection, ray, workers, num_gpus, encoders=encoder, niceness=nice)
    with (
        json_logs(wanted=log_json),
        behind_searches(nice),
        opened(collection, encoder) as docs,
        _measured(docs, metrics_port),
    ):
        if follow:
            with _told_to_stop() as stop:
                report = docs.follow(stop)
            said = f"embedded {report.embedded:,} documents, {report.failed:,} failed"
            emit(report, said, as_json=as_json, next_steps=[f"revector doctor {shell(shown_place(collection))}"])
            return
        migration = required_migration(docs, collection)
        if dry_run:
            emit_foresight(collection, migration.foresee("run"), as_json=as_json)
            return
        if retry_failed:
            migration.retry_failed()
        with around("run", migration, hooks), show_progress() as on_progress, crew as hands:
            migration.run(on_progress=logged(on_progress), batch_jobs=batch_jobs, crew=hands)
        emit_status(collection, migration, as_json=as_json)


def status(collection: CollectionUrl, as_json: AsJson = False) -> None:
    """Say where the migration stands."""
    with opened(collection) as docs:
        migration = docs.migration
        if migration is None:
            emit_unmoved(collection, docs, as_json=as_json)
        else:
            emit_status(collection, migration, as_json=as_json)


def verify(
    collection: CollectionUrl,
    field: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--field",
            metavar="FIELD",
            help="Count documents by the values of this field of their metadata; may be given several times. By "
            "default those that have few values.",
        ),
    ] = None,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Check the new vectors: counts, a sample embedded again, search, index; exit with 3 if something is wrong."""
    with migrating(collection, encoder) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("verify"), as_json=as_json)
            return
        with around("verify", migration, hooks):
            verification = migration.verify(fields=field or None)
    figures = {name: figure for name, figure in verification.details.items() if not isinstance(figure, list)}
    found = {name.replace("_", " "): _said(figure) for name, figure in figures.items()}
    outcome = "; ".join(verification.reasons) or "passed"
    steps = [f"revector cutover {shell(shown_place(collection))}"] if verification.passed else []
    said = {"passed": verification.passed, "reasons": verification.reasons, "details": verification.details}
    emit({**said, "next_steps": steps}, fields({**found, "outcome": outcome}), as_json=as_json)
    if not verification.passed:
        raise typer.Exit(EXIT_REFUSED)


def cutover(
    collection: CollectionUrl,
    accept_failed: Annotated[bool, typer.Option(help="Leave documents behind that could not be embedded.")] = False,
    postpone_until: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FILE|TIME|COMMAND",
            help="Get ready, then wait for as long as this file exists, until this time, or until this executable ends "
            "with 0.",
        ),
    ] = None,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Serve from the new vectors. The old ones are kept up to date, for a rollback."""
    with migrating(collection, encoder) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("cutover", accept_failed=accept_failed), as_json=as_json)
            return
        with around("cutover", migration, hooks):
            migration.cutover(accept_failed=accept_failed, postpone_until=postpone_until)
        emit_status(collection, migration, as_json=as_json)


def rollback(
    collection: CollectionUrl,
    accept_failed: Annotated[
        bool, typer.Option("--accept-failed", help="Leave documents behind that the old model could not embed.")
    ] = False,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Serve from the old vectors again."""
    with migrating(collection, encoder) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("rollback", accept_failed=accept_failed), as_json=as_json)
            return
        with around("rollback", migration, hooks):
            migration.rollback(accept_failed=accept_failed)
        emit_status(collection, migration, as_json=as_json)


def retire(
    collection: CollectionUrl,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, drop them: this cannot be undone.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Before the retention period is over, too.")] = False,
    dry_run: DryRun = False,
    hooks: HooksFolder = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Drop the vectors that do not serve, and end the migration."""
    with migrating(collection, encoder) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("retire", confirm=yes, force=force), as_json=as_json)
            return
        with around("retire", migration, hooks):
            migration.retire(confirm=yes, force=force)
        emit_status(collection, migration, as_json=as_json)


def _said(figure: Any) -> str:
    return f"{figure:,.4g}" if isinstance(figure, float) else f"{figure:,}" if isinstance(figure, int) else str(figure)


def _batch_jobs(batch: bool, tokens: int | None, only: bool, *, follow: bool) -> BatchJobs | None:
    if batch and follow:
        raise InvalidArgumentError("--follow embeds what is written at once, not in batch jobs; leave out one of them")
    if not batch and (only or tokens is not None):
        raise InvalidArgumentError("--batch-tokens and --batch-only say how batch jobs are sent; add --batch")
    return BatchJobs(tokens, online=not only) if batch else None


def _measured(docs: Collection, port: int | None) -> AbstractContextManager[int | None]:
    """Answer Prometheus while a command runs, if somebody wants that."""
    if port is None:
        return nullcontext()
    from revector.metrics import serving_metrics

    return serving_metrics(docs, port)


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Yield what the signals set that end a process which runs for ever; afterwards they do what they did before."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _foreseen(docs: Collection, model: str | None, template: str | None) -> Foresight:
    """Return what `start` would do, with a new model or with the present migration."""
    if model is not None:
        return docs.foresee(open_encoder(model, template))
    if (migration := docs.migration) is None:
        raise InvalidArgumentError("there is no migration to start again; name the new model with --model")
    return migration.foresee("start")


def _planned(
    docs: Collection, model: str | None, template: str | None, strategy: str | None, retention_days: float | None
) -> Migration:
    """Return the migration to start: a new one for a model, or the present one."""
    if model is None and template is not None:
        raise InvalidArgumentError("--template needs the model that is given these fields: name it with --model")
    if model is None and strategy is not None:
        raise InvalidArgumentError("--strategy needs the model to move to: name it with --model")
    if model is not None:
        retention = None if retention_days is None else retention_days * SECONDS_A_DAY
        strategies = None if strategy is None else strategies_named(strategy)
        return docs.migrate(open_encoder(model, template), strategy=strategies, retention_seconds=retention)
    if docs.migration is None:
        raise InvalidArgumentError("there is no migration to start again; name the new model with --model")
    return docs.migration
