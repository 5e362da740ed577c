"""A live view of a migration, from any process: drawn on a terminal, in lines where there is none."""

from __future__ import annotations

import json
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from revector.cli.common import AsJson, CollectionUrl, opened, shown_place
from revector.cli.endings import shell
from revector.cli.hands import event_line
from revector.cli.printing import can_draw, emit, fields, live_screen, plain, print_json, say, strict
from revector.cli.progress import show_seconds
from revector.cli.rollout import shown_rollout
from revector.cli.status import next_steps
from revector.collection import Collection
from revector.errors import MigrationError, StoreError
from revector.ledger.records import Event
from revector.ledger.state import Phase
from revector.migration.migration import Migration
from revector.migration.rolling import RolloutStatus
from revector.migration.status import MigrationStatus

EVENTS_SHOWN = 8
_IN_THE_HEAD = ("phase", "moving to", "documents", "moved")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(watch)


@dataclass(frozen=True)
class View:
    """What there is to see of a collection at one moment; `status` is ``None`` where there is no migration."""

    place: str
    space: str
    documents: int
    status: MigrationStatus | None = None
    rollout: RolloutStatus | None = None
    events: tuple[Event, ...] = ()
    trouble: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the migration has ended."""
        return self.status is not None and self.status.phase is Phase.RETIRED

    @property
    def steps(self) -> list[str]:
        """The commands that come next."""
        if self.status is None:
            return [f"revector start {shell(self.place)} --model MODEL"]
        return next_steps(self.place, self.status, self.status.target_jobs.failed)

    @property
    def changing(self) -> Any:
        """What another line is printed for; the rate alone is no reason."""
        if self.status is None:
            return self.documents, self.trouble
        status, stage = self.status, None if self.rollout is None else self.rollout.stage
        reasons = tuple(worker.reason for worker in status.workers)
        figures = (status.moved, status.target_jobs.failed, status.money, status.batch_jobs)
        return status.phase, status.paused, figures, reasons, stage, self.trouble

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        said = {"at": time.time(), "collection": self.place, "space": self.space, "documents": self.documents}
        seen = {"migration": self.status, "rollout": self.rollout, "events": self.events, "trouble": self.trouble}
        left = None if self.status is None else self.status.seconds_left
        return {**said, **seen, "seconds_left": left, "next_steps": self.steps}


class Watcher:
    """Looks at a collection, again and again.

    Parameters
    ----------
    docs : Collection
    place : str
        Where it is, without secrets.
    """

    def __init__(self, docs: Collection, place: str) -> None:
        self._docs, self._place = docs, place
        self._migration: Migration | None = None
        self._events: deque[Event] = deque(maxlen=EVENTS_SHOWN)

    def look(self) -> View:
        """Return what there is to see now: of the migration that was seen first until that is over."""
        docs = self._docs
        self._migration = self._migration or docs.migration
        self._events.extend(docs.events(after=self._events[-1].id if self._events else 0))
        view = View(self._place, str(docs.serving_space), len(docs), events=tuple(self._events))
        if self._migration is None:
            return view
        return replace(view, status=self._migration.status(), rollout=_rollout_of(self._migration))

    def looks(self, every: float) -> Iterator[View]:
        """Yield what there is to see, until the migration is over; a store that cannot be asked is asked again."""
        view = self.look()
        yield view
        while not view.is_over:
            began = time.monotonic()
            try:
                view = self.look()
            except StoreError as error:
                view = replace(view, trouble=str(error))
            took = time.monotonic() - began
            yield view
            time.sleep(max(every, took))  # a look that takes long takes no more than half of the time


def watch(
    collection: CollectionUrl,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a migration, whoever works on it: phase, share, rate and its reason, time left, failures, money, arms.

    It goes on until Ctrl-C, or until the migration is over. Without a terminal it prints a line each time something
    changes, with --json a document a line.
    """
    with opened(collection) as docs, _ended_by_signals():
        watcher = Watcher(docs, shown_place(collection))
        if once:
            view = watcher.look()
            emit(view, _shown(view), as_json=as_json)
        elif as_json or not can_draw():
            _print_changes(watcher.looks(every), as_json=as_json)
        else:
            _draw(watcher.looks(every))


def _draw(views: Iterator[View]) -> None:
    """Draw on the whole terminal; afterwards the last view stands where the command was typed."""
    view: View | None = None
    try:
        with live_screen() as show:
            for view in views:
                show(_shown(view))
    finally:
        if view is not None:
            say(_shown(view))


def _print_changes(views: Iterator[View], *, as_json: bool) -> None:
    before: View | None = None
    for view in views:
        known = before.events[-1].id if before and before.events else 0
        news = [event for event in view.events if event.id > known] if before else []
        if before is None or news or view.changing != before.changing:
            if as_json:
                print_json(json.dumps(strict(view)))
            else:
                say(plain("\n".join([*map(event_line, news), f"{time.strftime('%H:%M:%S')}  {_line(view)}"])))
        before = view


def _line(view: View) -> str:
    if view.trouble:
        return view.trouble
    status = view.status
    if status is None:
        return f"{view.documents:,} documents, served with {view.space}; no migration"
    said = {
        "left": "" if status.seconds_left is None else f"{show_seconds(status.seconds_left)} left",
        "failed": f"{status.target_jobs.failed:,} failed" if status.target_jobs.failed else "",
        "spent": f"spent {status.money}" if status.money else "",
        "batch jobs": f"{len(status.batch_jobs)} batch jobs out" if status.batch_jobs else "",
        "rollout": "" if view.rollout is None else f"{view.rollout.share:.0%} of the readers see the new model",
    }
    done = f"{status.phase} {status.share:.1%}: {status.moved:,} of {status.documents:,}"
    return "; ".join(filter(None, [done, status.pace, *said.values()]))


def _shown(view: View) -> RenderableType:
    return Group(*_head(view), fields(_details(view)), *_events(view))


def _head(view: View) -> Iterator[RenderableType]:
    status = view.status
    yield plain(f"{view.place}  {time.strftime('%H:%M:%S')}", "bold")
    if status is None:
        yield plain(f"{view.documents:,} documents, served with {view.space}; no migration")
        return
    bar = Table.grid(padding=(0, 1), expand=True)  # first, so that it is seen in a small window
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    moved = f"{status.share:.1%}  {status.moved:,} of {status.documents:,}"
    bar.add_row(ProgressBar(total=1.0, completed=status.share), plain(moved))
    yield bar
    yield plain(status.rows()["phase"])
    yield plain(f"served with {view.space}, moving to {status.target_space}", "dim")


def _details(view: View) -> dict[str, str]:
    rows = {} if view.status is None else _of_status(view.place, view.status)
    rows |= {} if view.rollout is None else shown_rollout(view.rollout)
    if view.trouble:
        rows["trouble"] = view.trouble
    if view.steps:
        rows["next"] = " or ".join(view.steps)
    return rows


def _of_status(place: str, status: MigrationStatus) -> dict[str, str]:
    rows = {name: value for name, value in status.rows().items() if name not in _IN_THE_HEAD}
    if status.seconds_left is not None:
        rows["left"] = show_seconds(status.seconds_left)
    if failed := status.target_jobs.failed:
        rows["left out"] = f"{failed:,} could not be embedded: revector failures {shell(place)}"
    return rows


def _events(view: View) -> Iterator[RenderableType]:
    if view.events:
        yield plain("\nevents", "bold")
        yield plain("\n".join(map(event_line, reversed(view.events))))


def _rollout_of(migration: Migration) -> RolloutStatus | None:
    with suppress(MigrationError):  # there is none among the strategies
        return migration.rollout
    return None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the signals that end a process leave the terminal as Ctrl-C does."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
