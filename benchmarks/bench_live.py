"""How live a collection stays while it moves: latencies of reads and writes in every phase, beside those of idle times.

Three processes share one collection, in a file or (``--place postgres``) on a server of its own. A *reader* asks single
queries at a steady rate, a *writer* inserts, changes and deletes 20 documents a second, and the *migration* is what its
user types: ``revector start``, ``run``, ``verify``, ``cutover``, then ``rollback`` and ``retire``; the last of several
passes goes on from the cut-over to ``retire``. Both rates are open loops (`live_load`). A phase is the life of the
command's process, its interpreter's start included; what a phase leaves behind shows in the one after it.

``--set static`` moves 100,000 passages from WordLlama's first 128 dimensions to all 256, at 50 reads a second;
``--set minilm`` moves 12,000 from WordLlama to all-MiniLM-L6-v2, at 20. ``--cores shared`` pins nothing; ``--cores
spare`` pins the reader to the first core, the writer and the commands of the migration to the second one. With
``--models found`` reader and writer find the new model by themselves when the migration starts, as a server does that
nobody restarts; ``given`` hands it to them at the beginning.

No read and no write may fail, and none that was acknowledged may be lost. ``--require`` and ``--longest-write`` hold
the figures to bounds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from common import Report
from live_load import CommandFailedError, Load, Request, Timeline, failures, lost, percentile, pinned, read, write
from live_texts import Texts, real_texts
from migrating import halved, ingested
from revector import Collection, Encoder
from revector.formats.named_models import fetch_model

WRITES_A_SECOND = 20.0
IDLE = "idle"
VERIFICATIONS = 3
"""Attempts before a migration is given up: writes go on while it is verified, and a refusal may pass."""


@dataclass(frozen=True)
class Setting:
    """A collection, its two models, and how often it is read."""

    documents: int
    characters: int
    reads_a_second: float
    models: Callable[[Path], tuple[Path, Path]]
    idle_seconds: float = 60.0
    serving_seconds: float = 20.0


SETTINGS = {
    "static": Setting(100_000, 180, 50.0, lambda folder: (halved(folder), fetch_model("wordllama"))),
    "minilm": Setting(12_000, 500, 20.0, lambda folder: (fetch_model("wordllama"), fetch_model("minilm"))),
}


@dataclass(frozen=True)
class Cores:
    """Which cores reader and writer, and the migration's commands, may run on."""

    reader: frozenset[int]
    others: frozenset[int]

    @classmethod
    def named(cls, name: str) -> Cores:
        """Return all cores for everybody, or one for the reader and the next one for all others."""
        every = sorted(os.sched_getaffinity(0))
        if name == "shared":
            return cls(frozenset(every), frozenset(every))
        assert len(every) > 1, "a core to spare takes two"
        return cls(frozenset(every[:1]), frozenset(every[1:2]))


@contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """Yield where the collection is."""
    if kind == "postgres":
        from pg_server import running

        with running() as server:
            yield f"{server}#live"
    else:
        yield str(folder / "live.db")


def opened(path: str, models: Sequence[Path]) -> Collection:
    """Open the collection with the models that are given; others it finds."""
    return Collection.open(path, encoders=[Encoder.from_pretrained(model) for model in models])


def migrate(timeline: Timeline, path: str, model: Path, setting: Setting, *, keep: bool) -> None:
    """Move the collection; then keep what was reached, or go back and drop it."""
    timeline.command("start", "start", path, "--model", str(model))
    timeline.command("filling", "run", path)
    timeline.command("verify", "verify", path, attempts=VERIFICATIONS)
    timeline.command("cut-over", "cutover", path)
    timeline.wait("serving", setting.serving_seconds)
    if not keep:
        timeline.command("rollback", "rollback", path)
        timeline.wait("rolled back", setting.serving_seconds)
    name = "retire the old" if keep else "retire the new"
    timeline.command(name, "retire", path, "--yes", "--force")
    timeline.wait("after " + name, setting.serving_seconds)


def row(timeline: Timeline, phase: str, requests: Sequence[Request]) -> dict[str, Any]:
    """Return the figures of a phase."""
    here = timeline.within(phase, requests)
    idle = percentile(timeline.within(IDLE, requests), 99)
    return {
        "phase": phase,
        "seconds": timeline.seconds(phase),
        "requests": len(here),
        "p50 ms": percentile(here, 50),
        "p99 ms": percentile(here, 99),
        "longest ms": percentile(here, 100),
        "p99 without queue ms": percentile(here, 99, since="sent"),
        "p99 of idle p99": percentile(here, 99) / idle,
        "failed": len(failures(here)),
    }


@dataclass(frozen=True)
class Story:
    """What happened.

    Attributes
    ----------
    timeline : Timeline
    requests : dict of str to list of Request
        The reads and the writes.
    lost : list of str
        Ids of acknowledged writes that are gone.
    rescored : dict of str to int
        Answers, by how they were re-scored.
    broken : str
        The command that ended it early; empty if none did.
    """

    timeline: Timeline
    requests: dict[str, list[Request]]
    lost: list[str]
    rescored: dict[str, int]
    broken: str


def live(path: str, texts: Texts, models: tuple[Path, Path], setting: Setting, options: argparse.Namespace) -> Story:
    """Move the collection, `options.repeat` times, while it is read and written."""
    cores, timeline = Cores.named(options.cores), Timeline()
    given = partial(opened, path, models if options.models == "given" else ())
    with pinned(cores.reader):
        reader = Load(read, given, texts.queries, setting.reads_a_second)
    with pinned(cores.others):
        writer = Load(write, given, setting.documents, texts.documents[setting.documents :], WRITES_A_SECOND)
        timeline.wait(IDLE, setting.idle_seconds)
        broken = ""
        try:
            for turn in range(options.repeat):
                migrate(timeline, path, models[1], setting, keep=turn + 1 == options.repeat and turn > 0)
        except CommandFailedError as error:  # what was measured until then is reported before it counts as a failure
            broken = str(error)
    asked, written = reader.finish(), writer.finish()
    requests = {"reads": asked.requests, "writes": written.requests}
    with given() as documents:
        return Story(timeline, requests, lost(documents, written), asked.rescored, broken)


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--set", choices=SETTINGS, default="static", help="which collection and models")
    parser.add_argument("--place", choices=("sqlite", "postgres"), default="sqlite", help="where the collection is")
    parser.add_argument("--cores", choices=("shared", "spare"), default="shared")
    parser.add_argument("--models", choices=("found", "given"), default="found")
    parser.add_argument("--documents", type=int, help="instead of what the set has")
    parser.add_argument("--reads", type=float, metavar="N", help="a second, instead of what the set has")
    parser.add_argument("--repeat", type=int, default=2, help="passes; the last of several does not roll back")
    parser.add_argument("--require", type=float, metavar="RATIO", help="p99 of reads, in idle p99, at most")
    parser.add_argument("--longest-write", type=float, metavar="SECONDS", help="that any write may take")


def tell(report: Report, title: str, story: Story) -> dict[str, list[dict[str, Any]]]:
    """Report the figures, a table of the reads and one of the writes, and how the story ended."""
    phases = list(dict.fromkeys(phase.name for phase in story.timeline.phases))
    rows = {name: [row(story.timeline, phase, sent) for phase in phases] for name, sent in story.requests.items()}
    for name, figures in rows.items():
        report.table(f"{name}: {title}", figures)
    report.note(
        "how it ended",
        rescored=story.rescored,
        refused=story.timeline.refusals,
        lost=len(story.lost),
        broken=story.broken,
        load_average=os.getloadavg()[1],
    )
    return rows


def hold(report: Report, story: Story, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Let nothing have failed or be lost, and hold the figures to the bounds that were asked for."""
    assert not story.broken, story.broken
    for name, requests in story.requests.items():
        errors = failures(requests)
        assert not errors, f"{len(errors)} {name} failed: {', '.join(sorted(set(errors))[:3])}"
    assert not story.lost, f"{len(story.lost)} acknowledged writes are lost: {story.lost[:5]}"
    require, longest = report.options.require, report.options.longest_write
    slow = [each["phase"] for each in rows["reads"] if require and each["p99 of idle p99"] > require]
    assert not slow, f"p99 of the reads is above {require} x idle in: {', '.join(slow)}"
    blocked = [each["phase"] for each in rows["writes"] if longest and each["longest ms"] > longest * 1e3]
    assert not blocked, f"a write took longer than {longest} s in: {', '.join(blocked)}"


def main() -> None:
    """Measure one set."""
    report = Report.from_arguments("live", rounds=1, more=more)
    options = report.options
    setting = SETTINGS[options.set]
    if report.smoke:
        setting = replace(setting, documents=400, reads_a_second=5.0, idle_seconds=0.5, serving_seconds=0.2)
        options.repeat = 1
    documents, reads = options.documents or setting.documents, options.reads or setting.reads_a_second
    setting = replace(setting, documents=documents, reads_a_second=reads)
    texts = real_texts(setting.documents + setting.documents // 10, setting.characters)
    with tempfile.TemporaryDirectory() as folder:
        models = setting.models(Path(folder))
        old = Encoder.from_pretrained(models[0])
        with place(options.place, Path(folder)) as path:
            ingested(path, texts.documents[: setting.documents], old)
            story = live(path, texts, models, setting, options)
    title = (
        f"{options.place}, {setting.documents} {texts.source}, {models[0].name} to {models[1].name}, "
        f"{setting.reads_a_second:g} reads/s, {WRITES_A_SECOND:g} writes/s, "
        f"cores {options.cores}, new model {options.models}"
    )
    rows = tell(report, title, story)
    report.finish()
    hold(report, story, rows)


if __name__ == "__main__":
    main()
