"""What searches leave to be written: counts of what they returned, vectors that they paid for, how long they took.

No search waits for the write lock: one thread of a process writes behind them, what many searches left at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from revector._forks import renew_in_child
from revector.backends.contracts import Backend, Generation, Said
from revector.encoders.once import Vector, Vectors
from revector.errors import RevectorError
from revector.migration.landing import Rows, land
from revector.migration.shadowed import SHADOW, Shadowed
from revector.migration.signs import SearchSigns
from revector.rollout import Arm, Evidence, Histogram, Moments
from revector.search.capture import MOST as MOST_CAPTURED
from revector.search.capture import keep_captured, keep_reactions

WRITE_AFTER_SECONDS = 0.5
PATIENCE_SECONDS = 0.5
"""So long a writer is waited for; what is still to be written is tried again later, and lost when it is closed."""
MOST_KEYS = 1_000_000
"""Documents whose hits are counted while nobody can write; further ones are not counted."""
ROWS_A_PIECE = 32
"""Vectors that are written at a time: that takes about a millisecond."""
_SECONDS_BETWEEN_PIECES = 0.005
MOST_ROWS = 1_000
"""Vectors that are kept while nobody can write; further ones are embedded again some time."""
SAY_EVERY_SECONDS = 3.0
"""So often, at most, it is said how long the searches of `RECENT_SECONDS` took."""
RECENT_SECONDS = 30.0
_MOST_RECENT = 1_000  # searches
MOST_SEEN = 100_000
"""Searches of a rollout that are kept while nobody can write; further ones are not counted."""

_log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """What was seen of one search: its arm ("old" or "new"), its time, and how it ended."""

    arm: str
    milliseconds: float
    empty: bool = False
    failed: bool = False


@dataclass
class _Pending:
    """What waits to be written."""

    hits: Counter[int] = field(default_factory=Counter)
    bad: Counter[int] = field(default_factory=Counter)
    vectors: dict[tuple[Generation, str], Vector] = field(default_factory=dict)
    keys: dict[tuple[Generation, int], str] = field(default_factory=dict)
    seen: dict[tuple[int, str], list[Seen]] = field(default_factory=dict)
    said: dict[tuple[int, str], list[Said]] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    reactions: dict[tuple[int, str, str], float] = field(default_factory=dict)
    shadowed: dict[int, Shadowed] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


class WriteBehind:
    """Writes what searches leave, from a thread of its own. Safe to share between threads.

    A process that dies loses what its last searches left: counts, which steer priorities, and vectors, which are
    embedded again.

    Parameters
    ----------
    backend : Backend
        Where it goes; nothing is kept for one that cannot be written.
    on_seen : callable, optional
        Called once what was seen of a rollout's searches is written, by the thread that wrote it.
    """

    def __init__(self, backend: Backend, on_seen: Callable[[], object] | None = None) -> None:
        self._backend, self._on_seen = backend, on_seen
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._pending = self._taken = _Pending()  # what a parent left, it writes
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._signs, self._took = SearchSigns(self._backend), deque[tuple[float, float]](maxlen=_MOST_RECENT)
        self._said_at = 0.0

    def took(self, seconds: float) -> None:
        """Note how long a search took, for workers that stand back behind them."""
        self._took.append((time.monotonic(), seconds))

    def count(self, keys: Sequence[int], *, failed: bool = False) -> None:
        """Count one search that returned these documents, or one that returned them and did not help."""
        if keys and not self._backend.read_only:
            with self._changed:
                counts = self._pending.bad if failed else self._pending.hits
                if len(counts) < MOST_KEYS:
                    counts.update(keys)
                self._wake()

    def land(self, generation: Generation, rows: Rows) -> None:
        """Store vectors that a search has embedded, and settle their jobs."""
        if len(rows) and not self._backend.read_only:
            with self._changed:
                if len(self._pending.keys) < MOST_ROWS:
                    for key, hash_, vector in zip(rows.keys.tolist(), rows.hashes, rows.vectors, strict=True):
                        self._pending.keys[generation, key] = hash_
                        self._pending.vectors[generation, hash_] = vector
                self._wake()

    def see(self, migration: int, name: str, seen: Seen) -> None:
        """Count what was seen of a search for a step of a migration's rollout."""
        if not self._backend.read_only:
            with self._changed:
                kept = self._pending.seen.setdefault((migration, name), [])
                if len(kept) < MOST_SEEN:
                    kept.append(seen)
                self._wake()

    def say(self, migration: int, name: str, said: Said) -> None:
        """Keep what a reader said of an answer of a step of a migration's rollout."""
        with self._changed:
            kept = self._pending.said.setdefault((migration, name), [])
            if len(kept) < MOST_SEEN:
                kept.append(said)
            self._wake()

    def shadow(self, migration: int, shadowed: Shadowed) -> None:
        """Count what was seen of a search that both generations of a migration have answered."""
        if not self._backend.read_only:
            with self._changed:
                kept = self._pending.shadowed
                kept[migration] = kept.get(migration, Shadowed()) + shadowed
                self._wake()

    def capture(self, queries: Sequence[str]) -> None:
        """Keep queries for replays; `revector.search.capture` says how many."""
        if queries and not self._backend.read_only:
            with self._changed:
                if len(self._pending.asked) < MOST_CAPTURED:
                    self._pending.asked.update(dict.fromkeys(queries, time.time()))
                self._wake()

    def react(self, captured: int, document_id: str, kind: str, weight: float) -> None:
        """Keep what a reader did with a hit of a captured query, added up by its kind."""
        with self._changed:
            reactions = self._pending.reactions
            if len(reactions) < MOST_SEEN:
                reactions[captured, document_id, kind] = reactions.get((captured, document_id, kind), 0.0) + weight
            self._wake()

    def waiting(self, generation: Generation, hashes: Sequence[str]) -> Vectors:
        """Return the vectors, by content hash, that are still to be written."""
        with self._changed:
            waits = (self._pending.vectors, self._taken.vectors)
            return {hash_: of[generation, hash_] for hash_ in hashes for of in waits if (generation, hash_) in of}

    def flush(self) -> None:
        """Write what waits now, in the calling thread; what the backend refuses is kept for the next time."""
        with self._writing:
            with self._changed:
                taken = self._taken = self._pending
                self._pending = _Pending()
            try:
                if taken:
                    self._write(taken)
            except RevectorError as error:
                _log.warning(
                    "%d hits and %d vectors are not written yet: %s", taken.hits.total(), len(taken.keys), error
                )
                self._take_back(taken)
            finally:
                self._taken = _Pending()

    def close(self) -> None:
        """Write what waits, if somebody else does not write for too long, and end the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        self._signs.end()

    def _wake(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="revector-write-behind", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(WRITE_AFTER_SECONDS):
            if self._pending:
                self.flush()
            if time.monotonic() >= self._said_at + SAY_EVERY_SECONDS:
                self._say()

    def _say(self) -> None:
        """Say how long the recent searches took, if there were any since the last word."""
        taken, now = list(self._took), time.monotonic()
        if taken and taken[-1][0] > self._said_at:
            recent = [seconds for at, seconds in taken if at >= now - RECENT_SECONDS] or [taken[-1][1]]
            self._said_at = now
            self._signs.say(recent)

    def _write(self, taken: _Pending) -> None:
        """Write piece by piece: searches of this process wait for the interpreter while a piece is put together."""
        for generation in {generation for generation, _ in taken.keys}:
            hashes = {key: hash_ for (of, key), hash_ in taken.keys.items() if of == generation}
            vectors = {hash_: vector for (of, hash_), vector in taken.vectors.items() if of == generation}
            for piece in Rows.of(list(hashes), list(hashes.values()), vectors).parts(ROWS_A_PIECE):
                self._land(generation, piece)
                self._closed.wait(_SECONDS_BETWEEN_PIECES)
        if taken.hits:
            with self._backend.transaction(PATIENCE_SECONDS):
                self._backend.documents.record_access(list(taken.hits.elements()))
            taken.hits = Counter()
        if taken.bad:
            with self._backend.transaction(PATIENCE_SECONDS):
                self._backend.documents.record_access(list(taken.bad.elements()), failed=True)
            taken.bad = Counter()
        if taken.asked:
            with self._backend.transaction(PATIENCE_SECONDS):
                keep_captured(self._backend, taken.asked)
            taken.asked = {}
        if taken.reactions:
            with self._backend.transaction(PATIENCE_SECONDS):
                keep_reactions(self._backend, taken.reactions)
            taken.reactions = {}
        for migration in list(taken.shadowed):
            self._backend.ledger.observations.add(migration, SHADOW, taken.shadowed[migration].to_json())
            del taken.shadowed[migration]
        for place in list(taken.said):
            self._backend.ledger.observations.record(*place, taken.said[place])
            del taken.said[place]
        for place in list(taken.seen):
            self._backend.ledger.observations.add(*place, _evidence(taken.seen[place]).to_json())
            del taken.seen[place]
            if self._on_seen is not None:
                self._on_seen()

    def _land(self, generation: Generation, rows: Rows) -> None:
        """Store vectors, unless their generation was dropped, or its number is another one's since a restore."""
        with self._backend.transaction(PATIENCE_SECONDS):
            existing = {(known.id, known.created_at) for known in self._backend.generations.all()}
            if (generation.id, generation.created_at) in existing:
                land(self._backend, generation.id, rows)

    def _take_back(self, taken: _Pending) -> None:
        with self._changed:
            self._pending.hits.update(taken.hits)
            self._pending.bad.update(taken.bad)
            self._pending.asked = {**taken.asked, **self._pending.asked}
            for reaction, weight in taken.reactions.items():
                self._pending.reactions[reaction] = weight + self._pending.reactions.get(reaction, 0.0)
            self._pending.keys = {**taken.keys, **self._pending.keys}
            self._pending.vectors = {**taken.vectors, **self._pending.vectors}
            for migration, shadowed in taken.shadowed.items():
                self._pending.shadowed[migration] = shadowed + self._pending.shadowed.get(migration, Shadowed())
            for place, seen in taken.seen.items():
                self._pending.seen[place] = (seen + self._pending.seen.get(place, []))[:MOST_SEEN]
            for place, said in taken.said.items():
                self._pending.said[place] = (said + self._pending.said.get(place, []))[:MOST_SEEN]


def _evidence(seen: Sequence[Seen]) -> Evidence:
    old, new = (_arm([each for each in seen if each.arm == name]) for name in ("old", "new"))
    return Evidence(old, new)


def _arm(seen: Sequence[Seen]) -> Arm:
    answered = [each for each in seen if not each.failed]
    return Arm(
        len(seen),
        len(seen) - len(answered),
        sum(each.empty for each in answered),
        Histogram.of(*(each.milliseconds for each in answered)),
        Moments(n=len(answered)),
    )
