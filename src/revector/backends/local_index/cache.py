"""Approximate indexes of the embedded store: files that can always be rebuilt, brought up to date before each search.

Each generation has an HNSW graph in memory that follows the store's changes by their sequence number, within one
history of the backend. The file beside the database is a cache: its sidecar says which vectors it holds, the database
names the file that is its own, and whatever does not add up is rebuilt from the backend, with a warning. Few changes
are added to a graph; where there are many, a new one is built at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector._forks import keep_for_ever, renew_in_child
from revector.backends.contracts import Generation
from revector.backends.contracts.index import Preparation
from revector.backends.local_index.file import METRICS, IndexedBackend, IndexFile
from revector.errors import CorruptIndexError, StoreError
from revector.index import HnswHealth, HnswIndex

SEARCH_BREADTH = 512
"""Candidates a search keeps (``ef``).

On 40,000 WordNet definitions and queries unlike them, nDCG@10 with 512 is that of exact search (.1689; with 128 .1674),
for half a millisecond a query: a tenth of what encoding the query takes."""
SAVE_AFTER_CHANGES = 20_000
"""Changes after which a graph is saved before its collection is closed; a quarter of the graph where that is more."""
BUILD_SHARE = 0.25
"""Vectors beyond this share of a graph are not added to it: all are put into a new one.

A vector that is added costs four to five times its share of a build (10,000 vectors and more, 384 dimensions)."""
ABANDONED_AFTER_SECONDS = 24 * 3600
"""A file that is still being written after this time was left by a process that died."""
FEW_CHANGES = 256
"""So many are added before a search, whatever their share: that takes no longer than reading the other vectors."""

_log = logging.getLogger(__name__)


class LocalIndex:
    """The indexes of one backend. Safe to share between threads; several processes may use one folder.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    folder : Path
        Where the files are; created when the first one is saved.
    """

    def __init__(self, backend: IndexedBackend, folder: Path) -> None:
        self._backend = backend
        self._folder = folder
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self._indexes: dict[Generation, GenerationIndex] = {}

    def _renew_lock(self) -> None:
        self._guard = threading.Lock()

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now."""
        return self.of(generation).search(queries, k)

    def check(self, generation: Generation) -> HnswHealth:
        """Look at the graph of a generation as it is searched."""
        return self.of(generation).check()

    def notice(self, generation: Generation) -> str:
        """Return why the graph in use was built although there was a file; empty if there is nothing to say."""
        return self.of(generation).notice

    def of(self, generation: Generation) -> GenerationIndex:
        """Return the index of a generation, loaded or built at its first search."""
        with self._guard:
            found = self._indexes.get(generation)
            if found is None:
                found = self._indexes[generation] = GenerationIndex(self._backend, generation, self._folder)
            return found

    def prepare(self, generation: Generation) -> Preparation:
        """Make the index of a generation ready to serve, in this process and, by its file, in others."""
        return self.of(generation).prepare()

    def prune(self) -> None:
        """Forget, and remove the files of, generations that no longer exist, and what dead processes left."""
        if self._backend.read_only:
            return
        with self._guard:
            generations = self._backend.generations.all()
            self._indexes = {key: index for key, index in self._indexes.items() if key in generations}
            live = {generation.id for generation in generations}
            for file in sorted(self._folder.glob("*.hnsw")) + sorted(self._folder.glob("*.json")):
                if file.stem.isdecimal() and int(file.stem) not in live:
                    file.unlink(missing_ok=True)
            for part in self._folder.glob("*.part*"):
                if _is_abandoned(part):
                    part.unlink(missing_ok=True)

    def close(self) -> None:
        """Save what changed, and forget everything."""
        try:
            self.prune()
            with self._guard:
                for index in self._indexes.values():
                    index.save()
        except StoreError as error:
            _log.warning("the indexes were not saved: %s", error)
        self._indexes = {}


class GenerationIndex:
    """The graph of one generation.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    generation : Generation
        Whose vectors.
    folder : Path
        Where the file is.
    """

    def __init__(self, backend: IndexedBackend, generation: Generation, folder: Path) -> None:
        self._backend = backend
        self._generation = generation
        self._file = IndexFile(backend, folder, generation)
        self._held: _Held | None = None
        self._renew_locks()
        renew_in_child(self._start_in_child)
        self._reason = ""  # why the next graph is built although there was one

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()  # for changes; the graph itself keeps searches and changes apart
        self._counting, self._users = threading.Lock(), 0

    def _start_in_child(self) -> None:
        """Leave a graph to the parent whose own locks another thread may have held there; the file has one as good."""
        if self._users and self._held is not None:
            keep_for_ever(self._held)
            self._held = None
        self._renew_locks()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Count who is inside the graph in memory."""
        with self._counting:
            self._users += 1
        try:
            yield
        finally:
            with self._counting:
                self._users -= 1

    def search(
        self, queries: NDArray[np.float32], k: int, *, ef: int = SEARCH_BREADTH
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that the store holds now.

        Parameters
        ----------
        queries : ndarray of float32, shape (q, d)
        k : int
            Hits a query.
        ef : int
            Candidates to keep; at least `k` are.

        Returns
        -------
        scores : ndarray of float32, shape (q, min(k, vectors))
            Best first; -inf where there are fewer hits.
        keys : ndarray of int64, shape (q, min(k, vectors))
            Keys of documents; -1 where there are fewer hits.
        """
        with self._in_use():
            return self._up_to_date().search(queries, k, ef=ef)

    def check(self) -> HnswHealth:
        """Look at the graph as it is searched, after whatever happened in the backend."""
        with self._in_use():
            return self._up_to_date().check(ef=SEARCH_BREADTH)

    @property
    def notice(self) -> str:
        """Why the graph in use was built although there was a file, and when; empty if there is nothing to say."""
        return "" if self._held is None else self._held.built_because

    def prepare(self) -> Preparation:
        """Make the graph one that can serve, and save it, so that no search here or in another process has to build it.

        A graph that has grown by more than `BUILD_SHARE` since it was built is built anew: the new one finds at least
        as much, and its neighbours lie close in memory. It is made beside the old one, which is searched meanwhile.
        """
        began, built = time.perf_counter(), 0
        with self._in_use():
            with self._lock:
                self._held = held = self._current() or self._load()
            if held is None or self._has_grown(held):
                held = self._build()
                built = len(held.graph)
                with self._lock:
                    self._held = held
            graph = self._up_to_date()
        self.save()
        return Preparation(len(graph), built, time.perf_counter() - began)

    def save(self) -> None:
        """Write the file if the graph has changed since it was read or written."""
        with self._in_use(), self._lock:
            if self._held is not None and self._held.unsaved:
                self._save(self._held)

    def _up_to_date(self) -> HnswIndex:
        """Return the graph, after whatever happened in the store since the last time."""
        held = self._held
        if held is not None and held.moment == self._moment():
            return held.graph
        with self._lock:
            held = self._current()
            if held is None or self._is_behind(held.moment.seq, len(held.graph)):
                held = self._load() or self._build()  # another process may have prepared the file
            self._follow(held)
            self._held = held
            if held.unsaved >= max(SAVE_AFTER_CHANGES, len(held.graph) // 4):
                self._save(held)
        return held.graph

    def _moment(self) -> _Moment:
        with self._backend.snapshot():
            return _Moment(self._backend.history(), self._backend.generations.last_seq())

    def _current(self) -> _Held | None:
        """Return the graph in memory, unless the store's past was replaced since; call it with the lock held."""
        held, now = self._held, self._moment()
        if held is None or (held.moment.history == now.history and held.moment.seq <= now.seq):
            return held
        self._reason = "the database was restored from a backup, or vacuumed, while it was open"
        _log.warning("reading the index of generation %d again: %s", self._generation.id, self._reason)
        return None

    def _is_behind(self, seq: int, size: int) -> bool:
        """Tell whether a graph lacks so much that building a new one is faster."""
        return self._missing(seq) > max(FEW_CHANGES, BUILD_SHARE * size)

    def _has_grown(self, held: _Held) -> bool:
        return held.grown + self._missing(held.moment.seq) > BUILD_SHARE * len(held.graph)

    def _missing(self, seq: int) -> int:
        return self._backend.generations.count(self._generation.id, since=seq)

    def _load(self) -> _Held | None:
        """Load the file and bring it up to date; ``None`` if there is none, none to trust, or one far behind."""
        try:
            history, sidecar = self._moment().history, self._file.sidecar()
            if sidecar is None or self._is_behind(sidecar.seq, sidecar.count):
                return None
            moment = _Moment(history, sidecar.seq)
            held = _Held(self._file.graph(sidecar), moment, sidecar.grown, sidecar.built_because, unsaved=0)
            self._follow(held)
            self._check_count(held)
        except (CorruptIndexError, OSError) as error:
            self._reason = str(error)
            _log.warning("rebuilding the index of generation %d: %s", self._generation.id, error)
            return None
        return held

    def _check_count(self, held: _Held) -> None:
        expected = self._backend.generations.count(self._generation.id)
        ahead = (
            self._backend.generations.last_seq() != held.moment.seq
        )  # somebody wrote since: the counts belong to two moments
        if len(held.graph) != expected and not ahead:
            raise CorruptIndexError(f"{self._file.path} holds {len(held.graph)} vectors, the store {expected}")

    def _build(self) -> _Held:
        space, moment = self._generation.space, self._moment()
        parts = list(self._backend.generations.scan(self._generation.id))
        keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in parts)])
        vectors = np.concatenate([np.empty((0, space.dimension), np.float32), *(rows for _, rows in parts)])
        parts.clear()
        started = time.perf_counter()
        graph = HnswIndex.build(vectors, keys, metric=METRICS[space.metric])
        if len(keys):
            seconds = time.perf_counter() - started
            _log.info("index of generation %d built: %d vectors, %.2f s", self._generation.id, len(keys), seconds)
        because, self._reason = self._reason and f"{self._reason} ({time.strftime('%Y-%m-%d %H:%M')})", ""
        return _Held(graph, moment, 0, because, unsaved=1 + len(keys))  # whatever file there is, it is not this one

    def _follow(self, held: _Held) -> None:
        graph, changes = held.graph, self._backend.generations.changes_since(self._generation.id, held.moment.seq)
        if len(changes.keys):
            graph.add(changes.vectors, changes.keys)
        gone = [key for key in changes.deleted.tolist() if key in graph]
        if gone:
            graph.mark_deleted(np.array(gone, dtype=np.int64))
        held.grown += len(changes.keys)
        held.unsaved += len(changes.keys) + len(gone)
        held.moment = held.moment._replace(seq=max(held.moment.seq, changes.seq))

    def _save(self, held: _Held) -> None:
        if self._backend.read_only:
            return
        try:
            history, seq = held.moment
            if not self._file.save(held.graph, seq, history, held.grown, held.built_because):
                _log.warning("the index of generation %d was not saved: the database was restored", self._generation.id)
        except (OSError, StoreError) as error:  # a full disk must not fail a search; the file is a cache
            _log.warning("the index of generation %d was not saved: %s", self._generation.id, error)
        held.unsaved = 0


def _is_abandoned(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime > ABANDONED_AFTER_SECONDS
    except FileNotFoundError:
        return False


class _Moment(NamedTuple):
    """A point of the backend, in one of its histories."""

    history: int
    seq: int


@dataclass
class _Held:
    """A graph in memory, and where it stands.

    Parameters
    ----------
    graph : HnswIndex
    moment : _Moment
        Where the store stands that it holds.
    grown : int
        Vectors added since it was built.
    built_because : str
        Why it was built although there was a file.
    unsaved : int
        Changes that its file lacks.
    """

    graph: HnswIndex
    moment: _Moment
    grown: int
    built_because: str
    unsaved: int
