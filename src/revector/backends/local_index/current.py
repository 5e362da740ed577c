"""The newest view of a generation in one process, brought up to date by whoever searches it."""

from __future__ import annotations

import logging
import threading

from revector._forks import keep_for_ever, renew_in_child
from revector.backends.contracts import Generation
from revector.backends.local_index.builder import IndexedBackend
from revector.backends.local_index.feed import VectorChanges
from revector.backends.local_index.rest import Rest
from revector.backends.local_index.segments import SegmentFolder, named
from revector.backends.local_index.view import Moment, View
from revector.errors import PointTooOldError

MEMORY_LIMIT_BYTES = 1 << 30
"""Of a rest. A larger one, of a generation whose graphs were lost, is read from the backend by each search."""
_POINTS_WITHOUT_COUNT = 64
"""So few points of the store hold no more vectors than can be read without counting them first."""

_EARLIER_VIEWS = 4

_log = logging.getLogger(__name__)


class Current:
    """The newest view of one generation. Safe to share between threads.

    One thread at a time brings it up to date. Others that need it wait for that one: it reads the rows that they would
    have to read themselves, a few as a rule, and began earlier. Nothing else happens while they wait.

    Parameters
    ----------
    backend : IndexedBackend
        Where the vectors are.
    generation : Generation
    files : SegmentFolder
        Where its graphs are.
    """

    def __init__(self, backend: IndexedBackend, generation: Generation, files: SegmentFolder) -> None:
        self._backend = backend
        self._generation = generation
        self._files = files
        self.held: View | None = None
        self._earlier: tuple[View, ...] = ()  # for snapshots that began before the last changes
        self.is_renamed = False
        """Whether the database names other segments than those of the view."""
        self._warned = ""
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._refreshing = threading.Lock()

    def leave_to_parent(self) -> None:
        """Forget, in a forked child, views whose own locks another thread may have held in the parent."""
        keep_for_ever((self.held, self._earlier))
        self.held, self._earlier = None, ()

    def moment(self) -> Moment:
        """Return where the backend stands."""
        with self._backend.snapshot():
            return Moment(self._backend.history(), self._backend.generations.last_seq())

    def view(self, moment: Moment) -> View | None:
        """Return a view of some moment, or of a later one where other threads have gone on too far.

        ``None`` if the rest would be larger than `MEMORY_LIMIT_BYTES`.
        """
        held = self._of(moment)
        if held is not None:
            return held
        if self._backend.writing:  # what is read may be taken back: nobody else sees it
            return self._renewed(self.held, alone=True)
        with self._refreshing:
            held = self._of(moment)
            if held is None:
                if self.held is not None:
                    self._earlier = (self.held, *self._earlier[: _EARLIER_VIEWS - 1])
                held = self.held = self._renewed(self.held)
        return held

    def _of(self, moment: Moment) -> View | None:
        """Return the view at hand that is of a moment, or reaches it."""
        held = self.held
        if held is None or not held.reaches(moment):
            return None
        if held.is_of(moment):
            return held
        return next((earlier for earlier in self._earlier if earlier.is_of(moment)), held)

    def switch(self, built: View | None = None) -> View | None:
        """Change to the segments that the database names now, while searches use those they have.

        Parameters
        ----------
        built : View, optional
            That a segment was built of here. Otherwise what the segments lack is read from the backend.
        """
        view, note = self.view(self.moment()), self._backend.index_note(self._generation.id)
        if view is None or note is None or view.note == note:
            self.is_renamed = False
            return view
        segments, reason = self._files.open(named(note))
        fresh = None
        if built is not None and not reason and segments and segments[-1].name.upto == built.moment.seq:
            fresh = view.over(segments, note, built)
        return self.reopen() if fresh is None else self._replace(fresh)

    def reopen(self) -> View | None:
        """Change to the segments that the database names now, and read from the backend what they lack."""
        return self._replace(self._opened())

    def distrust(self, view: View) -> bool:
        """Use no graph of a view any longer whose file is damaged; tell whether there is one."""
        damaged = {segment.name.token: found for segment in view.segments if (found := segment.damage())}
        self._files.distrusted.update(damaged)
        with self._refreshing:
            self.held, self._earlier = None, ()
        return bool(damaged)

    def _replace(self, fresh: View | None) -> View | None:
        with self._refreshing:
            self._earlier = ()  # they hold the segments that go
            self.held = fresh if fresh is None else self._renewed(fresh)
            return self.held

    def _renewed(self, held: View | None, *, alone: bool = False) -> View | None:
        """Return a view with what happened since another one."""
        if held is not None:
            why: object = "the database has another past"
            try:
                with self._backend.snapshot():
                    moment = self.moment()
                    if held.moment.history == moment.history:
                        self.is_renamed = self._backend.index_note(self._generation.id) != held.note
                        return self._followed(held, moment, alone)
            except PointTooOldError as error:
                why = error
            _log.info("the index of generation %d is opened again: %s", self._generation.id, why)
        return self._opened()

    def _followed(self, held: View, moment: Moment, alone: bool) -> View | None:
        id_, since = self._generation.id, held.moment.seq
        if moment.seq - since > _POINTS_WITHOUT_COUNT and not self._fits(held.rest.weight, since):
            return None
        return held.after(self._backend.generations.changes_since(id_, since), alone=alone)

    def _opened(self) -> View | None:
        view, note, reason = self._open()
        if reason and note != self._backend.index_note(self._generation.id):
            view, _, reason = self._open()  # files were replaced while they were opened
        if reason and reason != self._warned:
            _log.warning("the index of generation %d is built anew behind searches: %s", self._generation.id, reason)
        self._warned = reason
        return view

    def _open(self) -> tuple[View | None, str | None, str]:
        """Return a view of the segments that the database names, what it names, and why some of them are not there."""
        id_ = self._generation.id
        with self._backend.snapshot():
            history, note = self._backend.history(), self._backend.index_note(id_)
            segments, reason = self._files.open(named(note))
            upto = segments[-1].name.upto if segments else 0
            self.is_renamed = False
            try:
                changes = self._lacking(upto)
            except PointTooOldError as error:  # which of their vectors were deleted since, nobody knows any more
                segments, upto, reason = [], 0, reason or str(error)
                changes = self._lacking(upto)
        if changes is None:
            return None, note, reason
        since = upto or changes.seq  # from 0, nobody knows of what was deleted before
        rest = Rest(self._generation.space)
        view = View(self._generation, Moment(history, upto), since, note, tuple(segments), rest, reason)
        return view.after(changes), note, reason

    def _lacking(self, upto: int) -> VectorChanges | None:
        """Return what segments lack that end at a point; ``None`` if it does not fit into memory."""
        return self._backend.generations.changes_since(self._generation.id, upto) if self._fits(0, upto) else None

    def _fits(self, rows: int, since: int) -> bool:
        rows += self._backend.generations.count(self._generation.id, since=since)
        return rows * self._generation.space.dimension * 4 <= MEMORY_LIMIT_BYTES
