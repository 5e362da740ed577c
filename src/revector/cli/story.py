"""How the demonstration looks: its steps while they happen, and the table of what happened."""

from __future__ import annotations

import shlex
from types import TracebackType

from rich.console import Group, RenderableType
from rich.progress import TaskID
from rich.table import Table

from revector.cli.endings import shell
from revector.cli.printing import plain, progress_bar, say
from revector.cli.progress import describe, show_seconds
from revector.demo.report import DemoReport, Sample, Traffic, index_figures
from revector.migration.filling.progress import Progress


class SilentListener:
    """Shows nothing: for ``--json``."""

    def __enter__(self) -> SilentListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave."""

    def step(self, title: str) -> None:
        """Ignore a step."""

    def counted(self, done: int, total: int) -> None:
        """Ignore a count."""

    def found(self, text: str) -> None:
        """Ignore a finding."""

    def progress(self, progress: Progress, traffic: Traffic) -> None:
        """Ignore progress."""

    def sampled(self, sample: Sample) -> None:
        """Ignore a sample."""


class StoryDisplay:
    """Prints the steps of the story, with a bar for what is under way."""

    def __init__(self) -> None:
        self._bar = progress_bar()
        self._task: TaskID | None = None
        self._n_steps = 0

    def __enter__(self) -> StoryDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_task()
        self._bar.stop()

    def step(self, title: str) -> None:
        """Print the title of a step."""
        self._end_task()
        self._n_steps += 1
        self._say(plain(f"\n{self._n_steps}. {title}", "bold"))

    def counted(self, done: int, total: int) -> None:
        """Move the bar; queries that are encoded too do not push it beyond its end."""
        self._update(min(done, total), total, "")

    def found(self, text: str) -> None:
        """Print what a step found."""
        self._end_task()
        self._say(plain(text))

    def progress(self, progress: Progress, traffic: Traffic) -> None:
        """Move the bar of the re-embedding, and tell of the searches meanwhile."""
        searches = f"{traffic.answered:,} searches answered, median {traffic.median_milliseconds:.0f} ms"
        self._update(progress.done, progress.total, f"{describe(progress)}; {searches}")

    def sampled(self, sample: Sample) -> None:
        """Print a state and its quality."""
        self._say(_sample_line(sample))

    def _say(self, shown: RenderableType) -> None:
        """Print to stdout, with the bar, which is on stderr, out of the way."""
        self._bar.stop()
        say(shown)
        self._bar.start()

    def _update(self, done: int, total: int, details: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=total, details=details)
        self._bar.update(self._task, completed=done, total=total, details=details)

    def _end_task(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


def what_happened(report: DemoReport, *, kept: bool) -> RenderableType:
    """Show the samples, the checks, and what to try next."""
    return Group("", _samples_table(report), "", _example(report), "", *_checks(report), "", *_next(report, kept))


def _sample_line(sample: Sample) -> str:
    return f"  {sample.state:17}{sample.migrated:4.0%} migrated   nDCG@10 {sample.ndcg:.4f}   {_difference(sample)}"


def _difference(sample: Sample) -> str:
    interval = sample.difference
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _samples_table(report: DemoReport) -> Table:
    title = f"{report.documents:,} documents from {report.old_model} to {report.new_model}, {report.queries:,} queries"
    table = Table(
        title=title, title_style="bold", title_justify="left", caption=_caption(report), caption_justify="left"
    )
    table.add_column("state")
    for column in ("migrated", "nDCG@10", "beyond the old model, 95 % interval"):
        table.add_column(column, justify="right")
    table.add_row("old model alone", "0%", f"{report.old_ndcg:.4f}", "")
    for sample in report.samples:
        table.add_row(sample.state, f"{sample.migrated:.0%}", f"{sample.ndcg:.4f}", _difference(sample))
    table.add_row("new model directly", "", f"{report.direct_ndcg:.4f}", "", style="dim")
    return table


def _caption(report: DemoReport) -> str:
    speed = f"re-embedded {report.documents_per_second:,.0f} documents/s while it answered searches"
    return f"{speed}; {index_figures(report.verification.details)}; {show_seconds(report.seconds)} in all"


def _example(report: DemoReport) -> RenderableType:
    example = report.example
    return plain(f"“{example.query}” found {example.old_first} first, and finds {example.new_first} now.")


def _checks(report: DemoReport) -> list[RenderableType]:
    marks = {True: ("✓ ", "green"), False: ("✗ ", "bold red")}
    return [plain(*marks[check.held]).append_text(plain(f"{check.claim}: {check.figures}")) for check in report.checks]


def next_commands(report: DemoReport, *, kept: bool) -> list[str]:
    """Return the commands to try next, on what the demonstration made if that was kept, and on the user's documents."""
    database, query = shell(report.database), shlex.quote(report.example.query)
    on_this = [f"revector search {database} {query}", f"revector status {database}"]
    on_yours = [
        "revector init mine.db --model wordllama && revector add mine.db documents.jsonl",
        "revector assess mine.db --model minilm --judged FOLDER",
        "revector start mine.db --model minilm && revector run mine.db",
    ]
    return on_this * kept + on_yours


def _next(report: DemoReport, kept: bool) -> list[RenderableType]:
    commands = next_commands(report, kept=kept)
    return [plain("Next:", "bold"), *(plain(f"  {command}", whole=True) for command in commands)]
