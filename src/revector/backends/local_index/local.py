"""The index of a backend that has none of its own: graphs in files, which can always be built again.

Each generation is searched in a few graphs, which lie in files that all processes map, and in the vectors that none of
them holds yet, which are measured one by one. See `builder` for when graphs are made.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.backends.contracts import Generation, IndexHealth, IndexShape, Keys, Preparation
from revector.backends.local_index.builder import EF_CONSTRUCTION, IndexedBackend, M
from revector.backends.local_index.following import GenerationIndex
from revector.backends.local_index.segments import remove
from revector.errors import StoreError

LOOK_EVERY_SECONDS = 5.0
"""So often a process that holds several generations looks whether another one has dropped some."""

_log = logging.getLogger(__name__)


class LocalIndex:
    """The indexes of one backend. Safe to share between threads; several processes may use one folder.

    See `revector.backends.contracts.Index` for what each method promises.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    folder : Path
        Where the files are; created when the first one is written.
    """

    def __init__(self, backend: IndexedBackend, folder: Path) -> None:
        self._backend = backend
        self._folder = folder
        self._renew_lock()
        renew_in_child(self._renew_lock)
        self._indexes: dict[tuple[int, float, str], GenerationIndex] = {}
        self._look_at = 0.0

    def _renew_lock(self) -> None:
        self._guard = threading.Lock()

    def search(
        self, generation: Generation, queries: NDArray[np.float32], k: int, *, fresh: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the vectors that a generation holds now."""
        self._let_go()
        return self.of(generation).search(queries, k, fresh=fresh)

    def vectors(self, generation: Generation, keys: Keys) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return vectors of the present moment."""
        return self.of(generation).vectors(keys)

    def covers(self, generation: Generation) -> bool:
        """Tell whether a search takes about the usual time now."""
        return self.of(generation).covers()

    def prepare(self, generation: Generation) -> Preparation:
        """Make one graph of everything, unless that would gain little."""
        return self.of(generation).prepare()

    def widen(self, generation: Generation) -> bool:
        """Leave searches as they are: they look at as many candidates as they can."""
        return False

    def check(self, generation: Generation, *, recall: bool = True) -> IndexHealth:
        """Look at the files of a generation, and at its recall."""
        return self.of(generation).check(recall=recall)

    def shape(self, generation: Generation) -> IndexShape:
        """Say that there are graphs, all of them built alike."""
        return IndexShape("hnsw", {"m": str(M), "ef_construction": str(EF_CONSTRUCTION)})

    def notice(self, generation: Generation) -> str:
        """Return why a graph in use was built although there was one, and when."""
        return self.of(generation).notice()

    def of(self, generation: Generation) -> GenerationIndex:
        """Return the index of a generation."""
        key = _key(generation)
        with self._guard:
            found = self._indexes.get(key)
            if found is None:
                found = self._indexes[key] = GenerationIndex(self._backend, generation, self._folder)
            return found

    def prune(self) -> None:
        """Forget, and remove the files of, generations that no longer exist; and those of earlier releases."""
        generations = self._backend.generations.all()
        known = {_key(generation) for generation in generations}
        with self._guard:
            gone = [self._indexes.pop(key) for key in list(self._indexes) if key not in known]
        for index in gone:
            index.close()
        if self._backend.read_only:
            return
        live = {str(generation.id) for generation in generations}
        for file in self._folder.glob("*"):
            id_, _, rest = file.name.partition(".")
            if id_.isdecimal() and (id_ not in live or rest in ("hnsw", "json") or rest.startswith("hnsw.")):
                remove(file)

    def _let_go(self) -> None:
        """Forget, in the background, what another process has dropped."""
        now = time.monotonic()
        if len(self._indexes) > 1 and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_SECONDS
            threading.Thread(target=self._prune_quietly, name="revector-prune", daemon=True).start()

    def _prune_quietly(self) -> None:
        with suppress(StoreError):  # the collection was closed meanwhile
            self.prune()

    def close(self) -> None:
        """Call off what is being built, and forget everything."""
        with self._guard:
            indexes, self._indexes = list(self._indexes.values()), {}
        for index in indexes:
            index.close()
        try:
            self.prune()
        except StoreError as error:
            _log.warning("files of indexes that are no longer needed were not removed: %s", error)


def _key(generation: Generation) -> tuple[int, float, str]:
    """Tell a generation from one of the same number in another history; where its encoder is does not matter."""
    return generation.id, generation.created_at, generation.space.fingerprint
