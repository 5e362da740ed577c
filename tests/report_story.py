"""A collection in the middle of its migration with something to tell for every part of a report."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from unittest import mock

from assessments import assessment, verdict
from revector.collection import Collection
from revector.migration import timeline
from revector.migration.filling import pulse
from revector.migration.strategies import Background, Rollout, Shadow
from revector.rollout import Margins, Ramp
from revector.search import behind
from revector.testing import HashEncoder

OLD = HashEncoder(16, seed=1, name="old")
N_DOCUMENTS = 300
WORDS = ("mount", "boot", "drive", "network", "kernel", "module", "package", "mirror", "key", "disk", "swap", "user")


class SlowEncoder(HashEncoder):
    """Takes its time, so that a run has a course."""

    def encode(self, texts, *, kind="document"):
        if kind == "document":
            time.sleep(0.002 * len(texts))
        return super().encode(texts, kind=kind)


NEW = SlowEncoder(24, seed=2, name="new")


def texts():
    """Return documents of a few words each, by id."""
    return {
        f"page-{at}": " ".join(WORDS[(at * step + 3 * step) % len(WORDS)] for step in range(1, 9)) + f" {at}"
        for at in range(N_DOCUMENTS)
    }


def judged(n=40):
    """Return queries, and the one document that answers each."""
    found = list(texts().items())[:n]
    return {f"q{id_}": text for id_, text in found}, {f"q{id_}": {id_: 1} for id_, _ in found}


@contextmanager
def quick_pulse(seconds=0.05):
    """Let workers speak several times a second, so that a run of a second has a time line."""
    with (
        mock.patch.object(pulse, "_FIRST_SECONDS", seconds),
        mock.patch.object(pulse, "SAY_EVERY_SECONDS", seconds),
        mock.patch.object(timeline, "FIRST_SPACING_SECONDS", seconds),
        mock.patch.object(timeline, "_COUNTING_SHARE", 1.0),
        mock.patch.object(behind, "WRITE_AFTER_SECONDS", 1_000.0),
    ):
        yield


def story(place):
    """Open a collection whose rollout is under way."""
    docs = Collection.open(place, OLD)
    found = texts()
    docs.upsert(list(found), list(found.values()))
    rollout = Rollout(Ramp((0.25, 1.0), min_events=5_000), Margins())
    docs._backend.ledger.notes.keep("assessment", assessment(verdict(), verdict("other", "stay", lift=-0.01)))
    with quick_pulse():
        docs.report(queries=judged()[0], qrels=judged()[1], check=False)
        migration = docs.migrate(NEW, strategy=[Background(batch=8), rollout, Shadow(share=1.0)])
        migration.start()
        _stopped_half_way(docs, migration)
        docs.report(queries=judged()[0], qrels=judged()[1], check=False)
        migration.throttle(rate=100)
        migration.run()
        migration.verify(sample=20)
        docs.report(queries=judged()[0], qrels=judged()[1], check=False)
        migration.roll_out(to=0.25)
        for at in range(300):
            docs.search(found[f"page-{at}"], 5, key=f"reader {at}")
        for at in range(20):
            docs.search(found[f"page-{at}"], 5)
        until = time.monotonic() + 10
        while docs._searcher._shadowing._waiting and time.monotonic() < until:
            time.sleep(0.01)
        docs._searcher.behind.flush()
    return docs


def _stopped_half_way(docs, migration):
    stop = threading.Event()

    def progress(now):
        if now.share >= 0.5:
            stop.set()

    migration.run(progress, stop)
