"""The operator's hands on a migration that runs: throttle, pause, resume, retry, failures, events, depends."""

from __future__ import annotations

import json
import time
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, CollectionUrl, DryRun, migrating, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, plain, print_json, say, strict, table
from revector.cli.status import emit_foresight, emit_status
from revector.cli.wording import as_typed
from revector.errors import InvalidArgumentError
from revector.ledger.records import Event
from revector.migration.foresight import Foresight
from revector.migration.throttle import NO_LIMITS


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (throttle, pause, resume, retry, failures, events, depends):
        app.command()(command)


def throttle(
    collection: CollectionUrl,
    max_load: Annotated[
        Optional[float],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="N", help="Wait while the load average a core is above N."),
    ] = None,
    query: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="SQL", help="Wait while this query in the collection's database answers more than 0."),
    ] = None,
    http: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="URL", help="Go on while this URL answers 200; wait at 429 and 503."),
    ] = None,
    search_p99: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="MS", help="Wait while the slowest hundredth of searches takes longer."),
    ] = None,
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="N", help="Documents a second, of all workers together."),
    ] = None,
    share: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="F", help="Of the time that a worker works; it sleeps for the rest."),
    ] = None,
    batch: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Texts given to the model at a time."),
    ] = None,
    window: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="HH:MM-HH:MM", help="Work between these times of the day, and wait otherwise."),
    ] = None,
    dry_run: DryRun = False,
    off: Annotated[bool, typer.Option("--off", help="Take all limits away but those that are given.")] = False,
    as_json: AsJson = False,
) -> None:
    """Limit the workers, or show what limits them; those that run take note of it within a second."""
    said = {"max_load": max_load, "query": query, "http": http, "search_p99": search_p99}
    said |= {"rate": rate, "share": share, "batch": batch, "window": window}
    changes = {name: value for name, value in said.items() if value is not None}
    with migrating(collection) as migration:
        if dry_run:
            wanted = (NO_LIMITS if off else migration.throttle()).changed(**changes)
            emit_foresight(collection, Foresight("throttle", (f"limit the workers: {wanted}",)), as_json=as_json)
            return
        limits = migration.throttle(NO_LIMITS if off else None, **changes)
        pace = migration.status().pace
    place = shown_place(collection)
    found = {"throttle": limits.to_json(), "pace": pace, "next_steps": [f"revector status {shell(place)}"]}
    emit(found, plain(f"{limits}{'; now: ' if pace else ''}{pace}"), as_json=as_json)


def pause(collection: CollectionUrl, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let all workers end after the batch in hand. Reads and writes go on."""
    with migrating(collection) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("pause"), as_json=as_json)
            return
        migration.pause()
        emit_status(collection, migration, as_json=as_json)


def resume(collection: CollectionUrl, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Allow to run again."""
    with migrating(collection) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("resume"), as_json=as_json)
            return
        migration.resume()
        emit_status(collection, migration, as_json=as_json)


def retry(collection: CollectionUrl, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let the next run try the documents again that could not be embedded."""
    with migrating(collection) as migration:
        if dry_run:
            emit_foresight(collection, migration.foresee("retry"), as_json=as_json)
            return
        retried = migration.retry_failed()
    step = f"revector run {shell(shown_place(collection))}"
    steps = [step] if retried else []
    emit({"retried": retried, "next_steps": steps}, plain(f"{retried:,} documents wait for: {step}"), as_json=as_json)


def failures(collection: CollectionUrl, as_json: AsJson = False) -> None:
    """List the documents that could not be embedded, and why."""
    with migrating(collection) as migration:
        found = migration.failures()
    steps = [f"revector retry {shell(shown_place(collection))}"] if found else []
    rows = [(each.id, str(each.attempts), as_typed(each.error)) for each in found]
    shown = table({"id": "", "attempts": "dim", "reason": ""}, rows)
    emit({"failures": found, "next_steps": steps}, shown if rows else "no document has failed", as_json=as_json)


def events(
    collection: CollectionUrl,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until a signal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what has happened to the migrations of a collection; with --follow and --json, a document a line."""
    with opened(collection) as docs:
        if follow:
            for event in docs.watch(after=0):
                print_json(json.dumps(strict(event))) if as_json else say(plain(event_line(event)))
        found = docs.events()
    steps = [f"revector status {shell(shown_place(collection))}"]
    shown = "\n".join(map(event_line, found)) or "no events"
    emit({"events": found, "next_steps": steps}, plain(shown), as_json=as_json)


def depends(
    collection: CollectionUrl,
    name: Annotated[Optional[str], typer.Argument(help="What it is called.")] = None,  # noqa: UP045
    sql: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="SQL", help="The statement that brings it up to date."),
    ] = None,
    hook: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE", help="The executable that brings it up to date."),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Let go of it.")] = False,
    run: Annotated[bool, typer.Option("--run", help="Bring up to date what is due, or has failed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what hangs on the vectors, such as a semantic cache: it is brought up to date when other vectors serve."""
    with opened(collection) as docs:
        if forget or sql is not None or hook is not None:
            if name is None:
                raise InvalidArgumentError("the dependent has no name; write it behind the collection")
            docs.forget_dependent(name) if forget else docs.depends(name, sql=sql, hook=hook)
        if run and (migration := docs.migration) is not None:
            migration.run_dependents()
        found = docs.dependents
    place = shell(shown_place(collection))
    steps = [f"revector depends {place} --run"] if any(each.is_behind for each in found) else []
    shown = "\n".join(map(str, found)) or "nothing hangs on the vectors"
    emit({"dependents": found, "next_steps": steps}, plain(shown), as_json=as_json)


def event_line(event: Event) -> str:
    """Return an event as people read it."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
    moved = f" ({event.from_phase or 'new'} → {event.to_phase})" if event.from_phase is not event.to_phase else ""
    details = ", ".join(f"{name}: {value}" for name, value in event.details.items())
    return f"{at}  migration {event.migration}  {event.name}{moved}{'  ' if details else ''}{details}"
