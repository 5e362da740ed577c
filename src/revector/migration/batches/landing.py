"""Landing the answers of a batch job, in whatever order they come, by compare-and-set, in short transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from revector.backends.contracts import Backend
from revector.encoders.batching import LineAnswer
from revector.encoders.once import Vector
from revector.migration.batches.book import Waiting
from revector.migration.filling.lander import MOST_NUMBERS
from revector.migration.landing import Rows, land
from revector.migration.patience import patient

__all__ = ["BatchLander", "Landed"]


@dataclass
class Landed:
    """What became of a job.

    Attributes
    ----------
    documents : int
        Whose vectors landed.
    texts : int
        That were embedded.
    tokens : int or None
        That the lines say they were charged; ``None`` if one of them does not say.
    reasons : dict of str to str
        Why texts have no vector, by content hash.
    is_whole : bool
        All answers were read; otherwise the run was to end.
    """

    documents: int = 0
    texts: int = 0
    tokens: int | None = 0
    reasons: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True


class BatchLander:
    """Lands vectors of one generation.

    Parameters
    ----------
    backend : Backend
        Where to.
    generation : int
        Where the vectors belong.
    waiting : Waiting
        Those that have their vector are taken out.
    on_landed : callable, optional
        Called with the number of vectors that landed, and the keys of their documents.
    may_land : callable
        Waits for as long as the run is held back; tells whether it goes on.
    """

    def __init__(
        self,
        backend: Backend,
        generation: int,
        waiting: Waiting,
        on_landed: Callable[[int, Sequence[int]], object] | None,
        may_land: Callable[[int], bool],
    ) -> None:
        self._backend, self._generation, self._waiting = backend, generation, waiting
        self._on_landed, self._may_land = on_landed, may_land

    def land(self, answers: Iterable[LineAnswer], owner: str, stop: threading.Event) -> Landed:
        """Land the answers of a job. What nobody waits for is passed over: it came twice, or was never asked for."""
        landed, seen, rows = Landed(), set[str](), dict[str, Vector]()
        most = 0
        for answer in answers:
            if answer.name not in seen:
                seen.add(answer.name)
                if answer.tokens is None or landed.tokens is None:
                    landed.tokens = None
                else:
                    landed.tokens += answer.tokens
            if answer.row is None:
                landed.reasons[answer.name] = answer.reason
            elif answer.name in self._waiting:
                rows[answer.name] = answer.row
                most = most or self._rows_at_once(len(answer.row))
            if rows and len(rows) >= most:
                self._store(rows, owner, landed)
                rows = {}
                if stop.is_set() or not self._may_land(most):
                    landed.is_whole = False
                    return landed
        if rows:
            self._store(rows, owner, landed)
        landed.reasons = {name: why for name, why in landed.reasons.items() if name in self._waiting}
        return landed

    def _store(self, vectors: dict[str, Vector], owner: str, landed: Landed) -> None:
        pairs = [(key, name) for name in vectors for key in self._waiting[name]]
        keys, hashes = [key for key, _ in pairs], [name for _, name in pairs]
        landed.documents += self.store(Rows.of(np.array(keys, dtype=np.int64), hashes, vectors), owner)
        landed.texts += len(vectors)
        for name in vectors:
            del self._waiting[name]

    def store(self, rows: Rows, owner: str) -> int:
        """Store vectors and settle their jobs; return how many landed."""
        total = 0
        for part in rows.parts(self._rows_at_once(rows.vectors.shape[1])):
            landed = patient(land)(self._backend, self._generation, part, owner=owner)
            if self._on_landed is not None:
                self._on_landed(landed, part.keys.tolist())
            total += landed
        return total

    @patient
    def _rows_at_once(self, dimension: int) -> int:
        return max(1, min(self._backend.generations.rows_at_once(self._generation), MOST_NUMBERS // dimension))
