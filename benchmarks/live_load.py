"""Load on a live collection: readers and writers at a steady rate, each a process, and what became of their requests.

The loop is open: request *i* is due at ``begin + i / rate`` whatever became of those before it, and its latency counts
from then, so that waiting in a queue counts. Times are those of the monotonic clock, which all processes of a machine
share.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Literal, NamedTuple

import numpy as np

from revector import Collection

K = 10
WARM_UP = 50
"""Searches before a reader counts, and a tenth of that for a writer: they load the models and the index."""
PATIENCE_SECONDS = 30.0
"""What the queue may take at the end, when nothing new is due."""
NEW, DELETED = 0.4, 0.1
"""Shares of the writes; the others change a document that exists."""

Opened = Callable[[], Collection]
"""Opens the collection, in the process that will use it: a function that can be pickled."""
REFUSED = 3
"""Exit code of a gate that refuses; `revector.cli` says so."""
SPAWN = get_context("spawn")


class Request(NamedTuple):
    """When a request was due, sent and answered, and its error (empty: it worked)."""

    due: float
    sent: float
    answered: float
    error: str


Since = Literal["due", "sent"]
"""What a latency counts from: the schedule, which is what users feel, or the call, which is what the store did."""


def at_rate(rate: float, stop: Any, act: Callable[[int], None], threads: int = 1) -> list[Request]:
    """Send numbered requests until `stop` is set, by so many threads, each of which takes the next one.

    Those that are due by then still get their turn, for `PATIENCE_SECONDS` together; the rest has failed.
    """
    begin, turns, sent_by_turn = time.monotonic(), itertools.count(), dict[int, Request]()

    def send() -> float:
        """Send requests; return when this thread has noticed the end."""
        end = math.inf
        for turn in turns:
            due = begin + turn / rate
            if stop.wait(max(0.0, due - time.monotonic())):
                end = min(end, time.monotonic())
                if due > end or time.monotonic() > end + PATIENCE_SECONDS:
                    break
            sent, error = time.monotonic(), ""
            try:
                act(turn)
            except Exception as failure:  # whatever it is: it is counted, and shown
                error = f"{type(failure).__name__}: {failure}"
            sent_by_turn[turn] = Request(due, sent, time.monotonic(), error)
        return end

    with ThreadPoolExecutor(threads) as pool:
        end = min(each.result() for each in [pool.submit(send) for _ in range(threads)])
    now = time.monotonic()
    left = (turn for turn in range(math.floor((end - begin) * rate) + 1) if turn not in sent_by_turn)
    waiting = [Request(begin + turn / rate, now, now, "it was still in the queue at the end") for turn in left]
    return [sent_by_turn[turn] for turn in sorted(sent_by_turn)] + waiting


@contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """Let the processes that are started meanwhile run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Load:
    """A process that sends requests from the moment it is ready until `finish`, which returns what it returns.

    Parameters
    ----------
    work : callable
        What the process does: takes `ready` (to be called once), `stop` (an event) and the arguments.
    *arguments
        Of `work`; they are pickled.
    """

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._stop = SPAWN.Event()
        self._results, sending = SPAWN.Pipe(duplex=False)
        self._process = SPAWN.Process(target=_work, args=(work, sending, self._stop, arguments), daemon=True)
        self._process.start()
        sending.close()  # so that a process that dies is noticed
        self._results.recv()

    def finish(self) -> Any:
        """Stop it; return its result."""
        self._stop.set()
        result = self._results.recv()
        self._process.join()
        return result


def _work(work: Callable[..., Any], sending: Any, stop: Any, arguments: Sequence[Any]) -> None:
    sending.send(work(lambda: sending.send("ready"), stop, *arguments))


@dataclass
class Asked:
    """What a reader did: its requests, and how many answers were re-scored in full, in part, not at all."""

    requests: list[Request] = field(default_factory=list)
    rescored: dict[str, int] = field(default_factory=dict)


def read(
    ready: Callable[[], None], stop: Any, opened: Opened, queries: Sequence[str], rate: float, threads: int = 1
) -> Asked:
    """Search one query at a time, each as a user asks it, by so many threads of a service."""
    asked = itertools.cycle(queries)
    with opened() as documents:

        def search(_turn: int) -> None:
            hits = documents.search(next(asked), K)
            if len(hits) < K - 1:  # a document that is deleted between recall and reading is left out
                raise AssertionError(f"{len(hits)} hits of {K}")
            if any(one.score < other.score for one, other in itertools.pairwise(hits)):
                raise AssertionError("hits are out of order")

        for turn in range(WARM_UP):
            search(turn)
        ready()
        return Asked(at_rate(rate, stop, search, threads), rescored(documents))


def rescored(documents: Collection) -> dict[str, int]:
    """Return how this process's answers were re-scored while documents moved."""
    return vars(documents.rescored)


@dataclass
class Written:
    """What a writer did: its requests, and by id the text that it was told is stored (``None``: deleted)."""

    requests: list[Request] = field(default_factory=list)
    texts: dict[str, str | None] = field(default_factory=dict)


def write(
    ready: Callable[[], None], stop: Any, opened: Opened, n_documents: int, texts: Sequence[str], rate: float
) -> Written:
    """Insert, change and delete documents one at a time; those before are called ``0`` to ``n_documents - 1``."""
    chance, fresh, written = random.Random(0), itertools.cycle(texts), Written()
    with opened() as documents:

        def write_one(turn: int) -> None:
            name = f"new-{turn}" if chance.random() < NEW else str(chance.randrange(n_documents))
            text = f"{next(fresh)} ({turn})"
            exists = not name.startswith("new-") and written.texts.get(name, "") is not None
            if exists and chance.random() < DELETED / (1 - NEW):
                documents.delete([name])
                written.texts[name] = None
            else:
                documents.upsert([name], [text])
                written.texts[name] = text

        for turn in range(-WARM_UP // 10, 0):
            write_one(turn)
        ready()
        written.requests = at_rate(rate, stop, write_one)
    return written


def lost(documents: Collection, written: Written) -> list[str]:
    """Return the ids of acknowledged writes that the collection does not hold, or that searches cannot find."""
    present = set(documents.ids())
    kept = [name for name, text in written.texts.items() if text is not None and name in present]
    missing = [name for name, text in written.texts.items() if (text is not None) is not (name in present)]
    stored = documents.documents(kept)
    serving = {info.id: info.content_hash for info in documents.info(kept)}
    return missing + [
        document.id
        for document in stored
        if document.text != written.texts[document.id] or serving.get(document.id) != document.content_hash
    ]


class Phase(NamedTuple):
    """A stretch of the story; one name may come several times."""

    name: str
    begin: float
    end: float


class CommandFailedError(Exception):
    """A command of the migration failed."""


class Timeline:
    """What happened when."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.refusals: list[str] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note a phase."""
        begin = time.monotonic()
        yield
        self.note(name, begin, time.monotonic())

    def note(self, name: str, begin: float, end: float) -> None:
        """Note a phase whose times are known."""
        self.phases.append(Phase(name, begin, end))

    def wait(self, name: str, seconds: float) -> None:
        """Let a phase last."""
        with self.phase(name):
            time.sleep(seconds)

    def command(self, name: str, *words: str, attempts: int = 1) -> None:
        """Run ``revector`` in a process of its own, as its user would: the phase is that process's life.

        Raises
        ------
        CommandFailedError
            It failed, or refused as many times as it was tried.
        """
        for _ in range(attempts):
            with self.phase(name):
                command = [sys.executable, "-m", "revector", *words]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != REFUSED:
                break
            self.refusals.append(f"{name}: {(done.stderr + done.stdout).split('outcome')[-1].strip()}")
        if done.returncode:
            raise CommandFailedError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}{done.stdout}")

    def seconds(self, name: str) -> float:
        """Return how long all phases of a name lasted."""
        return sum(phase.end - phase.begin for phase in self.phases if phase.name == name)

    def within(self, name: str, requests: Iterable[Request]) -> list[Request]:
        """Return the requests that were due in phases of a name."""
        spans = self._spans(name)
        return [each for each in requests if any(begin <= each.due < end for begin, end in spans)]

    def beside(self, name: str, requests: Iterable[Request]) -> list[Request]:
        """Return the requests that were under way at some time of phases of a name."""
        spans = self._spans(name)
        return [each for each in requests if any(each.sent < end and begin < each.answered for begin, end in spans)]

    def _spans(self, name: str) -> list[tuple[float, float]]:
        return [(phase.begin, phase.end) for phase in self.phases if phase.name == name]


def percentile(requests: Sequence[Request], percent: float, since: Since = "due") -> float:
    """Return a latency in milliseconds that a request had, no value between two; NaN without requests."""
    if not requests:
        return float("nan")
    seconds = [request.answered - getattr(request, since) for request in requests]
    return float(np.percentile(seconds, percent, method="higher")) * 1e3


def failures(requests: Iterable[Request]) -> list[str]:
    """Return the errors."""
    return [request.error for request in requests if request.error]
