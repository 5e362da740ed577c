"""Approximate indexes of the embedded store: files that can always be rebuilt, brought up to date before each search.

Each generation has an HNSW graph in memory that follows the store's changes by their sequence number. The file beside
the database is a cache: its sidecar says which vectors it holds, and whatever does not add up is rebuilt from the
store, with a warning. Few changes are added to a graph; where there are many, a new one is built at once.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector.errors import CorruptIndexError
from revector.index import HnswHealth, HnswIndex
from revector.stores.base import Generation, Store
from revector.stores.index_file import METRICS, IndexFile
from revector.stores.indexes import Preparation

SEARCH_BREADTH = 512
"""Candidates a search keeps (``ef``).

On 40,000 WordNet definitions and queries unlike them, nDCG@10 with 512 is that of exact search (.1689; with 128 .1674),
for half a millisecond a query: a tenth of what encoding the query takes."""
SAVE_AFTER_CHANGES = 20_000
"""Changes after which a graph is saved before its collection is closed; a quarter of the graph where that is more."""
BUILD_SHARE = 0.25
"""Vectors beyond this share of a graph are not added to it: all are put into a new one.

A vector that is added costs four to five times its share of a build (10,000 vectors and more, 384 dimensions)."""
FEW_CHANGES = 256
"""So many are added before a search, whatever their share: that takes no longer than reading the other vectors."""

_log = logging.getLogger(__name__)


class IndexCache:
    """The indexes of one store. Safe to share between threads; several processes may use one folder.

    Parameters
    ----------
    store : Store
        Where the vectors are.
    folder : Path
        Where the files are; created when the first one is saved.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._guard = threading.Lock()
        self._indexes: dict[int, GenerationIndex] = {}

    def index(self, generation: Generation) -> GenerationIndex:
        """Return the index of a generation, loaded or built at its first search."""
        with self._guard:
            found = self._indexes.get(generation.id)
            if found is None:
                found = self._indexes[generation.id] = GenerationIndex(self._store, generation, self._folder)
            return found

    def prepare(self, generation: Generation) -> Preparation:
        """Make the index of a generation ready to serve, in this process and, by its file, in others."""
        return self.index(generation).prepare()

    def prune(self) -> None:
        """Forget, and remove the files of, generations that no longer exist."""
        with self._guard:
            live = {generation.id for generation in self._store.generations()}
            self._indexes = {key: index for key, index in self._indexes.items() if key in live}
            for file in sorted(self._folder.glob("*.hnsw")) + sorted(self._folder.glob("*.json")):
                if file.stem.isdecimal() and int(file.stem) not in live:
                    file.unlink(missing_ok=True)

    def close(self) -> None:
        """Save what changed, and forget everything."""
        self.prune()
        with self._guard:
            for index in self._indexes.values():
                index.save()
            self._indexes = {}


class GenerationIndex:
    """The graph of one generation.

    Parameters
    ----------
    store : Store
        Where the vectors are.
    generation : Generation
        Whose vectors.
    folder : Path
        Where the file is.
    """

    def __init__(self, store: Store, generation: Generation, folder: Path) -> None:
        self._store = store
        self._generation = generation
        self._file = IndexFile(folder, generation)
        self._lock = threading.Lock()  # for changes; the graph itself keeps searches and changes apart
        self._held: _Held | None = None

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
        scores : ndarray of float32, shape (q, k)
            Best first; -inf where there are fewer hits.
        keys : ndarray of int64, shape (q, k)
            Keys of documents; -1 where there are fewer hits.
        """
        return self._up_to_date().search(queries, k, ef=ef)

    def check(self) -> HnswHealth:
        """Look at the graph as it is searched, after whatever happened in the store."""
        return self._up_to_date().check(ef=SEARCH_BREADTH)

    def prepare(self) -> Preparation:
        """Make the graph one that can serve, and save it, so that no search here or in another process has to build it.

        A graph that has grown by more than `BUILD_SHARE` since it was built is built anew: the new one finds at least
        as much, and its neighbours lie close in memory. It is made beside the old one, which is searched meanwhile.
        """
        began, built = time.perf_counter(), 0
        with self._lock:
            self._held = held = self._held or self._load()
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
        with self._lock:
            if self._held is not None and self._held.unsaved:
                self._save(self._held)

    def _up_to_date(self) -> HnswIndex:
        """Return the graph, after whatever happened in the store since the last time."""
        held = self._held
        if held is not None and held.seq >= self._store.last_seq():
            return held.graph
        with self._lock:
            held = self._held
            if held is None or self._is_behind(held.seq, len(held.graph)):
                held = self._load() or self._build()  # another process may have prepared the file
            self._follow(held)
            self._held = held
            if held.unsaved >= max(SAVE_AFTER_CHANGES, len(held.graph) // 4):
                self._save(held)
        return held.graph

    def _is_behind(self, seq: int, size: int) -> bool:
        """Tell whether a graph lacks so much that building a new one is faster."""
        return self._missing(seq) > max(FEW_CHANGES, BUILD_SHARE * size)

    def _has_grown(self, held: _Held) -> bool:
        return held.grown + self._missing(held.seq) > BUILD_SHARE * len(held.graph)

    def _missing(self, seq: int) -> int:
        return self._store.count_vectors(self._generation.id, since=seq)

    def _load(self) -> _Held | None:
        """Load the file and bring it up to date; ``None`` if there is none, none to trust, or one far behind."""
        try:
            sidecar = self._file.sidecar(self._store.last_seq())
            if sidecar is None or self._is_behind(sidecar.seq, sidecar.count):
                return None
            held = _Held(self._file.graph(sidecar), sidecar.seq, grown=sidecar.grown, unsaved=0)
            self._follow(held)
            self._check_count(held)
        except (CorruptIndexError, OSError) as error:
            _log.warning("rebuilding the index of generation %d: %s", self._generation.id, error)
            return None
        return held

    def _check_count(self, held: _Held) -> None:
        expected = self._store.count_vectors(self._generation.id)
        ahead = self._store.last_seq() != held.seq  # somebody wrote since: the counts belong to two moments
        if len(held.graph) != expected and not ahead:
            raise CorruptIndexError(f"{self._file.path} holds {len(held.graph)} vectors, the store {expected}")

    def _build(self) -> _Held:
        space, seq = self._generation.space, self._store.last_seq()
        parts = list(self._store.scan_vectors(self._generation.id))
        keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in parts)])
        vectors = np.concatenate([np.empty((0, space.dimension), np.float32), *(rows for _, rows in parts)])
        parts.clear()
        started = time.perf_counter()
        graph = HnswIndex.build(vectors, keys, metric=METRICS[space.metric])
        if len(keys):
            seconds = time.perf_counter() - started
            _log.info("index of generation %d built: %d vectors, %.2f s", self._generation.id, len(keys), seconds)
        return _Held(graph, seq, grown=0, unsaved=1 + len(keys))  # whatever file there is, it is not this one

    def _follow(self, held: _Held) -> None:
        graph, changes = held.graph, self._store.changes_since(self._generation.id, held.seq)
        if len(changes.keys):
            graph.add(changes.vectors, changes.keys)
        gone = [key for key in changes.deleted.tolist() if key in graph]
        if gone:
            graph.mark_deleted(np.array(gone, dtype=np.int64))
        held.grown += len(changes.keys)
        held.unsaved += len(changes.keys) + len(gone)
        held.seq = max(held.seq, changes.seq)  # a caller inside an older snapshot sees an older end

    def _save(self, held: _Held) -> None:
        try:
            self._file.save(held.graph, held.seq, held.grown)
        except OSError as error:  # a full disk must not fail a search; the file is a cache
            _log.warning("the index of generation %d was not saved: %s", self._generation.id, error)
        held.unsaved = 0


@dataclass
class _Held:
    """A graph in memory, and where it stands.

    Parameters
    ----------
    graph : HnswIndex
    seq : int
        The point of the store it stands at.
    grown : int
        Vectors added since it was built.
    unsaved : int
        Changes that its file lacks.
    """

    graph: HnswIndex
    seq: int
    grown: int
    unsaved: int
