"""When graphs are built, of what, and how they come into use: one process at a time, behind searches.

A vector waits in the rest until `REST_LIMIT` have come together. Then a graph is made of them, and of every trailing
graph that is not larger than what is being made. So there are about log2(n / REST_LIMIT) graphs, each larger than all
that follow it together, and a vector takes part in about as many builds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from revector.backends.contracts import Backend, Generation
from revector.backends.local_index.feed import VectorFeed
from revector.backends.local_index.rest import Keys, Matrix, Rest
from revector.backends.local_index.segments import METRICS, Segment, SegmentFolder, SegmentName, as_note, named
from revector.backends.local_index.view import Moment, View
from revector.errors import StoreError
from revector.index import HnswSnapshot
from revector.ledger.owners import new_owner

REST_LIMIT = 32_768
"""Rows of the rest from which on a graph of them is built.

In each process they take this times 4 bytes times the dimension (32 MiB with 256), and a search that measures them all
takes less than 1 ms on one core. It goes on growing while a graph is built; see `COVERED_RESTS` in `following`."""
SCAN_LIMIT = 4_096
"""So many vectors are measured as fast as a graph is searched: they need none."""
WHOLE_SHARE = 0.8
"""A generation is ready to serve if one graph holds this share of it."""
DEAD_SHARE = 0.25
"""A graph of which more is left out is not ready to serve: it makes searches longer."""
M, EF_CONSTRUCTION = 16, 200
"""Every graph is built so."""
LEASE_SECONDS = 120.0
_RENEWAL_SECONDS = 30.0
_VECTORS_A_BATCH = 4096

_log = logging.getLogger(__name__)

Batches = Iterable[tuple[Keys, Matrix]]


class IndexedBackend(Backend, Protocol):
    """A backend whose indexes are files."""

    @property
    def generations(self) -> VectorFeed:
        """The vectors, and what happens to them."""
        ...

    @property
    def writing(self) -> bool:
        """Whether the calling thread is inside a transaction: what it reads may yet be taken back."""
        ...

    def index_note(self, generation: int) -> str | None:
        """Return what `keep_index_note` kept for a generation, or ``None``."""
        ...

    def keep_index_note(self, generation: int, note: str) -> None:
        """Name the index files that belong to a generation."""
        ...

    def forget_deletions(self, generation: int, upto: int) -> bool:
        """Give back a slice of a generation's deletions up to a point, but for the newest; tell if there were any."""
        ...


class CalledOffError(Exception):
    """A build is no longer wanted."""


@dataclass(frozen=True)
class _Plan:
    """A segment to be built.

    Parameters
    ----------
    note : str or None
        What the database must still name when it is built.
    moment : Moment
        At which it stands; the history must still be the same when it is built.
    kept : sequence of SegmentName
        What stays before it.
    voids : ndarray of int64
        See `Segment`.
    batches : iterable of (keys, vectors)
        What goes into it.
    expected : int
        How many vectors those are, about.
    because : str
        See `SegmentName`.
    """

    note: str | None
    moment: Moment
    kept: Sequence[SegmentName]
    voids: Keys
    batches: Batches
    expected: int
    because: str


def pays(view: View) -> bool:
    """Tell whether a search would gain enough by another graph."""
    return bool(view.reason) or view.rest.weight >= REST_LIMIT or _is_mostly_dead(view)


def first_to_merge(view: View) -> int:
    """Return the place of the first segment that is built anew together with all that follows it and the rest."""
    if _is_mostly_dead(view):
        return 0
    place, building = len(view.segments), len(view.rest)
    while place > 0 and len(view.segments[place - 1]) <= building:
        place -= 1
        building += len(view.segments[place])
    return place


def _is_mostly_dead(view: View) -> bool:
    return view.dead >= max(REST_LIMIT, len(view))


class Builder:
    """Builds the graphs of one generation.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are, the names of the files, and the lease.
    generation : Generation
    files : SegmentFolder
    folder : Path
        Where they are; created when the first graph is built.
    """

    def __init__(self, backend: IndexedBackend, generation: Generation, files: SegmentFolder, folder: Path) -> None:
        self._backend = backend
        self._generation = generation
        self._files = files
        self._folder = folder
        self._lease = f"index:{generation.id}"

    def extend(self, view: View, wanted: Callable[[], bool]) -> bool:
        """Build what pays most, on one thread; tell whether it was named. Nothing is built beside another process."""

        def plan() -> _Plan | None:
            return self._of_view(view) if self._backend.index_note(self._generation.id) == view.note else None

        return self._alone(plan, wanted, threads=1) > 0

    def build_whole(self, wanted: Callable[[], bool], threads: int | None) -> int:
        """Build one graph of everything; return of how many vectors, 0 if another process is at it or was faster."""
        return self._alone(self._of_everything, wanted, threads)

    def is_ready(self, view: View) -> bool:
        """Tell whether searches are at their fastest, or nearly."""
        if len(view) <= SCAN_LIMIT:
            return True
        largest = max((len(segment) for segment in view.segments), default=0)
        return (
            largest >= WHOLE_SHARE * len(view)
            and view.dead <= DEAD_SHARE * view.graphed
            and view.rest.weight < REST_LIMIT
        )

    def _alone(self, plan: Callable[[], _Plan | None], wanted: Callable[[], bool], threads: int | None) -> int:
        """Build what a plan says under the lease; return the vectors of a graph that was named."""
        lease = _Lease(self._backend, self._lease, wanted)
        if not lease.acquire():
            return 0
        try:
            found = plan()
            return 0 if found is None else self._build(found, lease, threads)
        finally:
            lease.release()

    def _of_view(self, view: View) -> _Plan:
        first = first_to_merge(view)
        kept, merged = view.segments[:first], view.segments[first:]
        changed = np.unique(np.concatenate([view.rest.touched(), *(segment.voids for segment in merged)]))
        held = [np.empty(0, np.int64), *(segment.holds(changed) for segment in kept)]
        return _Plan(
            view.note,
            view.moment,
            view.names[:first],
            np.unique(np.concatenate(held)),
            _vectors_of(view.rest, merged),
            len(view.rest) + sum(len(segment) for segment in merged),
            _dated(view.reason),
        )

    def _of_everything(self) -> _Plan:
        """Plan one graph of what the backend holds; what is written while it is read is in the next one as well."""
        id_, vectors = self._generation.id, self._backend.generations
        with self._backend.snapshot():
            moment = Moment(self._backend.history(), vectors.last_seq())
            note, count = self._backend.index_note(id_), vectors.count(id_)
        _, reason = self._files.open(named(note))
        return _Plan(note, moment, (), np.empty(0, np.int64), vectors.scan(id_), count, _dated(reason))

    def _build(self, plan: _Plan, lease: _Lease, threads: int | None) -> int:
        files, space, token, began = self._files, self._generation.space, secrets.token_hex(16), time.perf_counter()
        self._folder.mkdir(parents=True, exist_ok=True)
        before = [name.token for name in named(plan.note)]
        files.remove_all_but(before)  # what killed builders, and earlier releases, left
        outdated = [token]
        try:
            size = len(
                HnswSnapshot.build(
                    files.graph(token),
                    lease.watched(plan.batches),
                    space.dimension,
                    expected=plan.expected,
                    m=M,
                    ef_construction=EF_CONSTRUCTION,
                    metric=METRICS[space.metric],
                    threads=threads,
                    progress=lease.tick,
                )
            )
            name = files.finish(token, plan.moment.seq, plan.voids, plan.because)
            if not self._name(plan, name):
                return 0
            outdated = [old for old in before if old not in {kept.token for kept in plan.kept}]
        finally:
            files.remove(outdated)
        seconds = time.perf_counter() - began
        _log.info("index of generation %d built: %d vectors, %.2f s", self._generation.id, size, seconds)
        while self._backend.forget_deletions(self._generation.id, plan.moment.seq):
            lease.tick()
        return size

    def _name(self, plan: _Plan, new: SegmentName) -> bool:
        """Let the database name a segment, unless it names others, or has another past, than when it was planned."""
        id_ = self._generation.id
        with self._backend.transaction():
            if self._backend.history() != plan.moment.history or self._backend.index_note(id_) != plan.note:
                return False
            self._backend.generations.get(id_)  # nothing is named of one that was dropped
            self._backend.keep_index_note(id_, as_note([*plan.kept, new]))
        return True


class _Lease:
    """The right to build, renewed while a build goes on.

    Parameters
    ----------
    backend : IndexedBackend
    name : str
    wanted : callable
        Tells whether the build is still wanted.
    """

    def __init__(self, backend: IndexedBackend, name: str, wanted: Callable[[], bool]) -> None:
        self._leases = backend.ledger.leases
        self._name = name
        self._owner = new_owner()
        self._wanted = wanted
        self._renew_at = 0.0

    def acquire(self) -> bool:
        """Take or renew it; tell whether it is held."""
        self._renew_at = time.monotonic() + _RENEWAL_SECONDS
        return self._leases.acquire(self._name, self._owner, LEASE_SECONDS)

    def release(self) -> None:
        """Give it back; it runs out where that cannot be written."""
        try:
            self._leases.release(self._name, self._owner)
        except StoreError as error:
            _log.warning("the lease %s was not given back: %s", self._name, error)

    def tick(self, _share: float = 0.0) -> None:
        """Renew it where it is time to; raise `CalledOffError` if the build is to end."""
        if not self._wanted() or not threading.main_thread().is_alive():  # the interpreter is about to end
            raise CalledOffError
        if time.monotonic() >= self._renew_at and not self.acquire():
            raise CalledOffError

    def watched(self, batches: Batches) -> Batches:
        """Yield batches for as long as the build is wanted."""
        for batch in batches:
            self.tick()
            yield batch


def _vectors_of(rest: Rest, segments: Sequence[Segment]) -> Batches:
    yield from rest.batches()
    for segment in segments:
        keys = segment.graph.ids()
        for some in _slices(len(keys)):
            yield keys[some], segment.graph.get_vectors(keys[some])


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, start + _VECTORS_A_BATCH) for start in range(0, n, _VECTORS_A_BATCH))


def _dated(reason: str) -> str:
    return reason and f"{reason} ({time.strftime('%Y-%m-%d %H:%M')})"
