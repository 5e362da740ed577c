"""Whose turn comes first where the map between the spaces is worst: until they are embedded, it answers for them."""

from __future__ import annotations

import numpy as np

from revector.backends.contracts import Backend
from revector.mapping import LocalResidualMap, load_map
from revector.migration.priorities import PRIORITY_REST

LEVELS = 4
"""Priorities that the rest is dealt out to, from the quarter of the documents whose image is the most doubtful."""
_KEYS_A_SLICE = 2_000


def put_worst_first(backend: Backend, source_generation: int, target_generation: int) -> int:
    """Deal out the jobs of the rest by how doubtful the map is where their documents lie; return how many.

    Where there is no map yet that knows its pairs, the order stays as it is.

    Parameters
    ----------
    backend : Backend
    source_generation, target_generation : int
        Where the map leads from and to.
    """
    spaces = [backend.generations.get(each).space for each in (source_generation, target_generation)]
    kept = backend.generations.load_map(*(space.fingerprint for space in spaces))
    known = None if kept is None else load_map(kept)
    if not isinstance(known, LocalResidualMap):
        return 0
    jobs, after, dealt = backend.ledger.jobs, 0, 0
    bounds = np.empty(0)
    while keys := jobs.waiting(target_generation, PRIORITY_REST, after, _KEYS_A_SLICE):
        after = keys[-1]
        found, rows = backend.generations.vectors(source_generation, keys)
        if not len(found):
            continue
        doubt = known.doubt(rows)
        if not len(bounds):  # the first slice stands for all: keys say nothing of what a document is about
            bounds = np.quantile(doubt, np.linspace(1, 0, LEVELS + 1)[1:-1])
        levels = (doubt[:, None] < bounds).sum(axis=1)
        for level in range(LEVELS):
            jobs.set_priority(target_generation, found[levels == level].tolist(), PRIORITY_REST + level)
        dealt += len(found)
    return dealt
