"""A generation at one moment: the graphs it is in, without what they no longer hold, and the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Generation
from revector.backends.contracts.index import IndexHealth
from revector.backends.local_index.feed import VectorChanges
from revector.backends.local_index.rest import Keys, Matrix, Rest, Results, best
from revector.backends.local_index.segments import Segment, SegmentName
from revector.index.health import SAMPLE, examine

SEARCH_BREADTH = 512
"""Candidates a search keeps (``ef``) in a graph of all vectors for which that was not measured (see `breadth`).

On 40,000 WordNet definitions and queries unlike them, nDCG@10 with 512 is that of exact search (.1689; with 128 .1674),
for half a millisecond a query: a tenth of what encoding the query takes."""
AS_MEASURED = 0
"""Stands for what was measured of each graph."""
LEAST_BREADTH = 128
"""Candidates a search keeps in a graph of a small share of the vectors: at least the share of `SEARCH_BREADTH`."""
REMEDY = "delete the index folder, and it is built anew"
_HEALTH_K = 10


class Moment(NamedTuple):
    """A point of the backend, in one of its histories."""

    history: int
    seq: int


@dataclass(frozen=True)
class View:
    """What a generation holds at one moment. Immutable; safe to share between threads.

    Parameters
    ----------
    generation : Generation
    moment : Moment
    unchanged_since : int
        Nothing happened to the generation between this point and that of the moment.
    note : str or None
        What the database named when the segments were opened.
    segments : tuple of Segment
        The oldest first. Each key is live in one of them, or in the rest.
    rest : Rest
    reason : str
        Why not all segments that were named are here; empty if they are.
    """

    generation: Generation
    moment: Moment
    unchanged_since: int
    note: str | None
    segments: tuple[Segment, ...]
    rest: Rest
    reason: str = ""

    def __len__(self) -> int:
        return self.graphed + len(self.rest)

    @property
    def graphed(self) -> int:
        """Live vectors in graphs."""
        return sum(len(segment) for segment in self.segments)

    @property
    def dead(self) -> int:
        """Nodes of graphs that are left out."""
        return sum(len(segment.whole) - len(segment) for segment in self.segments)

    @property
    def names(self) -> tuple[SegmentName, ...]:
        """How the database names the segments."""
        return tuple(segment.name for segment in self.segments)

    def reaches(self, moment: Moment) -> bool:
        """Tell whether nothing is missing that had happened by some moment."""
        return self.moment.history == moment.history and self.moment.seq >= moment.seq

    def is_of(self, moment: Moment) -> bool:
        """Tell whether this is what the generation held at exactly that moment."""
        return self.reaches(moment) and self.unchanged_since <= moment.seq

    def after(self, changes: VectorChanges, *, alone: bool = False) -> View:
        """Return the view after some changes; see `Rest.after`."""
        moment = self.moment._replace(seq=max(self.moment.seq, changes.seq))
        gone = np.concatenate([changes.keys, changes.deleted])
        if not len(gone):
            return replace(self, moment=moment)
        segments = tuple(segment.without(gone) for segment in self.segments)
        rest = self.rest.after(changes, alone=alone)
        return replace(self, moment=moment, unchanged_since=moment.seq, segments=segments, rest=rest)

    def over(self, segments: list[Segment], note: str, built: View) -> View | None:
        """Return the view of the same vectors over other segments, the last of which was built of an earlier view.

        Nothing is read from the backend. ``None`` if this view does not continue the other one.
        """
        rest = self.rest.beyond(built.rest)
        if rest is None or (self.moment.history, self.note) != (built.moment.history, built.note):
            return None
        touched = rest.touched()
        hidden = tuple(segment.without(touched) for segment in segments)
        return replace(self, note=note, segments=hidden, rest=rest, reason="")

    def search(self, queries: Matrix, k: int, *, ef: int | None = None) -> Results:
        """Return scores and keys of the nearest vectors of each query, best first, shape (q, min(k, vectors))."""
        parts = [segment.search(queries, k, self._breadth(segment, ef)) for segment in self.segments]
        if len(self.rest) or not parts:  # as a rule nothing was written since
            parts.append(self.rest.search_exact(queries, k))
        return best(parts, min(k, len(self)))

    def search_exact(self, queries: Matrix, k: int) -> Results:
        """Measure all vectors. As `search` otherwise."""
        parts = [segment.graph.search_exact(queries, k) for segment in self.segments]
        return best([*parts, self.rest.search_exact(queries, k)], min(k, len(self)))

    def find(self, keys: Keys) -> tuple[NDArray[np.bool_], Matrix]:
        """Tell which keys have a vector, shape (n,), and return those vectors, shape (found, d)."""
        known = np.zeros(len(keys), np.bool_)
        vectors = np.empty((len(keys), self.generation.space.dimension), np.float32)
        for find in (self.rest.find, *(segment.graph.find for segment in self.segments)):
            missing = np.flatnonzero(~known)
            found, rows = find(keys[missing])
            known[missing[found]], vectors[missing[found]] = True, rows
        return known, vectors[known]

    def ids(self) -> Keys:
        """Return the keys of all vectors."""
        return np.concatenate([self.rest.keys(), *(segment.graph.ids() for segment in self.segments)])

    def get_vectors(self, ids: Any) -> Matrix:
        """Return the vectors of keys that have one."""
        return self.find(np.asarray(ids, np.int64))[1]

    def health(self, *, recall: bool) -> IndexHealth:
        """Look at the files byte by byte, and measure recall beside exact search."""
        damage = tuple(found for segment in self.segments if (found := segment.damage()))
        unreachable = 0 if damage else sum(segment.graph.check(sample=1).unreachable for segment in self.segments)
        shape = {"live": len(self), "deleted": self.dead, "levels": 0, "unreachable": 0, "degrees": ()}
        measured = examine(self, shape, None, _HEALTH_K, AS_MEASURED, SAMPLE if recall else 0)
        return IndexHealth(
            live=len(self),
            deleted=self.dead,
            graphs=len(self.segments),
            scanned=len(self.rest),
            damage=damage,
            unreachable=unreachable,
            recall=measured.recall,
            recall_error=measured.recall_error,
            k=_HEALTH_K,
            queries=measured.queries,
            remedy=REMEDY,
        )

    def _breadth(self, segment: Segment, ef: int | None) -> int:
        """Return how many candidates to keep in one of the graphs: as measured, or its share of those of all."""
        if not ef:
            if segment.breadth is not None:
                return segment.breadth
            ef = SEARCH_BREADTH
        return max(min(ef, LEAST_BREADTH), ef * len(segment) // max(self.graphed, 1))
