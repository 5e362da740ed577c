"""The index of one generation in one process: it follows the backend with each search, and gains graphs behind them."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from revector._behind import working_behind
from revector._forks import renew_in_child
from revector.backends.contracts import Generation, IndexHealth, Keys, Preparation
from revector.backends.local_index import builder as building
from revector.backends.local_index.builder import Builder, CalledOffError, IndexedBackend, pays
from revector.backends.local_index.current import Current
from revector.backends.local_index.rest import Matrix, Rest, Results, best
from revector.backends.local_index.segments import SegmentFolder, named
from revector.backends.local_index.view import REMEDY, Moment, View
from revector.errors import CorruptIndexError, RevectorError, StoreError
from revector.similarity import normalize

COVERED_RESTS = 2
"""A generation is covered while its rest is no larger than this many `REST_LIMIT`: measuring it takes about 1 ms."""
READ_LIMIT = 4_096
"""A generation that nobody has read yet is covered while it has no more vectors: that takes about 10 ms."""
LAG_LIMIT = 256
"""A search that need not see everything reads no more vectors than this, which takes about 1 ms."""
FOLLOW_EVERY_SECONDS = 0.2
"""So often what such searches have not read is read behind them."""
_IDLE_SECONDS = 5.0
RETRY_SECONDS = 5.0
"""After this time it is tried again to build what could not be built, or what another process was building."""
COVERED_SECONDS, NOT_COVERED_SECONDS = 0.05, 0.25
"""For so long an answer holds that a generation is covered, or is not: counting what it lacks has its cost."""
_NICENESS = 10
_WAIT_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class GenerationIndex:
    """The graphs of one generation, and what none of them holds.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    generation : Generation
        Whose vectors.
    folder : Path
        Where the files are.
    """

    def __init__(self, backend: IndexedBackend, generation: Generation, folder: Path) -> None:
        self._backend = backend
        self._generation = generation
        files = SegmentFolder(folder, generation)
        self._current = Current(backend, generation, files)
        self._builder = Builder(backend, generation, files, folder)
        self._is_closed = False
        self._covered, self._covered_until = False, 0.0
        self._renew_locks()
        renew_in_child(self._start_in_child)

    def _renew_locks(self) -> None:
        self._counting, self._users = threading.Lock(), 0
        self._starting, self._thread, self._follower = threading.Lock(), None, None
        self._lags = threading.Event()
        self._not_before = 0.0
        self._called_off = False

    def _start_in_child(self) -> None:
        """Leave graphs to the parent whose own locks another thread may have held there; their files are as good."""
        if self._users:
            self._current.leave_to_parent()
        self._renew_locks()

    _thread: threading.Thread | None
    _follower: threading.Thread | None

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Count who is inside the graphs."""
        with self._counting:
            self._users += 1
        try:
            yield
        finally:
            with self._counting:
                self._users -= 1

    def search(self, queries: Matrix, k: int, *, ef: int | None = None, fresh: bool = True) -> Results:
        """Search the vectors that the generation holds now. See `revector.backends.contracts.Index.search`."""
        moment = self._current.moment() if fresh else self._near(self._current.moment())
        found = self._answered(moment, lambda view: view.search(queries, k, ef=ef))
        return self._scanned(queries, k) if found is None else found

    def vectors(self, keys: Keys) -> tuple[NDArray[np.bool_], Matrix]:
        """Return vectors of the present moment. See `revector.backends.contracts.Index.vectors`."""
        wanted, moment = np.asarray(keys, np.int64), self._current.moment()
        if self._near(moment) == moment:
            found = self._answered(moment, lambda view: view.find(wanted) if view.is_of(moment) else None)
            if found is not None:
                return found
        known, vectors = self._backend.generations.vectors(self._generation.id, wanted)
        if self._generation.space.metric == "cosine":
            vectors = normalize(vectors)
        return np.isin(wanted, known), vectors

    def covers(self) -> bool:
        """Tell whether a search takes about the usual time now. See `revector.backends.contracts.Index.covers`."""
        if time.monotonic() >= self._covered_until:
            self._covered = self._is_covered()
            if not self._covered:
                self._start_background()
            self._covered_until = time.monotonic() + (COVERED_SECONDS if self._covered else NOT_COVERED_SECONDS)
        return self._covered

    def _is_covered(self) -> bool:
        held, moment = self._current.held, self._current.moment()
        if held is None or held.moment.history != moment.history:
            names = named(self._backend.index_note(self._generation.id))
            waiting, since = 0, names[-1].upto if names else 0
        else:
            waiting, since = held.rest.weight, held.moment.seq
        unread = self._unread(since, moment)
        most = READ_LIMIT if held is None else COVERED_RESTS * building.REST_LIMIT
        return unread <= most and waiting + unread <= COVERED_RESTS * building.REST_LIMIT

    def prepare(self) -> Preparation:
        """Make one graph of everything, unless that would gain little. It takes all threads of the core."""
        began, built = time.perf_counter(), 0
        if not self._backend.read_only:
            self._call_off()
            try:
                built = self._built_whole()
            except (OSError, StoreError) as error:  # searches do without
                self._tell(error)
        return Preparation(self._backend.generations.count(self._generation.id), built, time.perf_counter() - began)

    def check(self, *, recall: bool) -> IndexHealth:
        """Look at files and recall. See `revector.backends.contracts.Index.check`."""
        health = self._answered(self._current.moment(), partial(View.health, recall=recall))
        if health is None:
            count = self._backend.generations.count(self._generation.id)
            return IndexHealth(count, 0, 0, count, (), 0, 1.0, 0.0, 0, 0, REMEDY)
        if health.damage and (held := self._current.held) is not None:
            self._current.distrust(held)
            self._start_background()
        return health

    def notice(self) -> str:
        """Return why graphs in use were built anew, and when."""
        names = named(self._backend.index_note(self._generation.id))
        return "; ".join(name.because for name in names if name.because)

    def close(self) -> None:
        """Call off what is being built."""
        self._is_closed = True
        self._lags.set()
        self._call_off()

    # Searches

    def _unread(self, since: int, moment: Moment) -> int:
        return 0 if since >= moment.seq else self._backend.generations.count(self._generation.id, since=since)

    def _near(self, moment: Moment) -> Moment:
        """Return the moment of the view at hand, if more was written since than a search should have to read."""
        held = self._current.held
        if held is None or held.moment.history != moment.history or held.moment.seq >= moment.seq:
            return moment
        if self._unread(held.moment.seq, moment) <= LAG_LIMIT:
            return moment
        self._follow_behind()
        return held.moment

    def _follow_behind(self) -> None:
        """Let a thread read what was written, unless there is one."""
        self._lags.set()
        with self._starting:
            if self._follower is None and not self._is_closed:
                self._follower = threading.Thread(target=self._follow, name="revector-index-follower")
                self._follower.start()

    def _follow(self) -> None:
        last = time.monotonic()
        while not self._is_closed and threading.main_thread().is_alive() and time.monotonic() - last < _IDLE_SECONDS:
            if not self._lags.wait(FOLLOW_EVERY_SECONDS):
                continue
            self._lags.clear()
            last = time.monotonic()
            try:
                with working_behind():
                    self._followed(self._current.moment())
            except RevectorError as error:  # the next search that must see everything meets it itself
                self._tell(error)
            time.sleep(FOLLOW_EVERY_SECONDS)
        self._follower = None

    def _answered(self, moment: Moment, ask: Callable[[View], Answer]) -> Answer | None:
        """Ask a view that reaches a moment; ``None`` if the rest does not fit into memory."""
        with self._in_use():
            while True:
                view = self._followed(moment)
                if view is None:
                    return None
                try:
                    return ask(view)
                except CorruptIndexError:
                    if not self._current.distrust(view):
                        raise

    def _followed(self, moment: Moment) -> View | None:
        view = self._current.view(moment)
        if self._current.is_renamed or (not self._backend.read_only and (view is None or pays(view))):
            self._start_background()
        return view

    def _scanned(self, queries: Matrix, k: int) -> Results:
        """Search by reading the whole generation, in the memory of a batch."""
        space, found = self._generation.space, Rest(self._generation.space).search_exact(queries, k)
        for keys, vectors in self._backend.generations.scan(self._generation.id):
            found = best([found, Rest.of(space, keys, vectors).search_exact(queries, k)], k)
        return found

    # Building

    def _start_background(self) -> None:
        """Let a thread follow, and build what pays, unless there is one, or one has just tried."""
        with self._starting:
            if self._thread is not None or self._is_closed or time.monotonic() < self._not_before:
                return
            self._called_off = False
            self._thread = threading.Thread(target=self._run, name=f"revector-index-{self._generation.id}")
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is about to end, or there are too many threads
                self._thread = None

    def _run(self) -> None:
        _lower_priority()
        try:
            with working_behind(), self._in_use():
                while not self._called_off and self._advance():
                    pass
        except CalledOffError:
            pass
        except Exception as error:  # whatever it is, searches go on without another graph
            self._tell(error)
            self._try_later()
        finally:
            self._thread = None

    def _advance(self) -> bool:
        """Use what others built, and build what pays; tell whether there may be more to do."""
        try:
            view = self._current.switch()
            if self._backend.read_only or (view is not None and not pays(view)):
                return False
            if view is not None:
                built = self._builder.extend(view, self._wanted) and self._current.switch(view) is not None
            else:
                built = self._builder.build_whole(self._wanted, threads=1) > 0 and self._current.reopen() is not None
        except CorruptIndexError:
            held = self._current.held
            if held is None or not self._current.distrust(held):
                raise
            return True
        if not built:
            self._try_later()
        return built

    def _try_later(self) -> None:
        self._not_before = time.monotonic() + RETRY_SECONDS

    def _wanted(self) -> bool:
        return not self._called_off

    def _call_off(self) -> None:
        """End the thread in the background, and wait until it has."""
        self._called_off = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE_SECONDS)

    def _is_ready(self) -> bool:
        names = named(self._backend.index_note(self._generation.id))
        waiting = self._backend.generations.count(self._generation.id, since=names[-1].upto if names else 0)
        if waiting >= max(building.REST_LIMIT, building.SCAN_LIMIT + 1):
            return False  # told without reading them all
        view = self._current.switch()
        return view is not None and self._builder.is_ready(view)

    def _built_whole(self) -> int:
        """Build one graph, unless there is none to gain; return of how many vectors."""
        while not self._is_ready():
            built = self._builder.build_whole(lambda: not self._is_closed, threads=None)
            if built:
                self._current.reopen()
                return built
            time.sleep(_WAIT_SECONDS)  # another process builds, and what it makes may do
        return 0

    def _tell(self, error: Exception) -> None:
        if self._is_closed or not threading.main_thread().is_alive() or self._is_dropped():
            return
        if isinstance(error, (OSError, RevectorError)):
            _log.warning("the index of generation %d was not built: %s", self._generation.id, error)
        else:
            _log.exception("the index of generation %d was not built", self._generation.id)

    def _is_dropped(self) -> bool:
        with suppress(StoreError):
            return all(known.id != self._generation.id for known in self._backend.generations.all())
        return False


def _lower_priority() -> None:
    """Let other threads go first where the system has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
