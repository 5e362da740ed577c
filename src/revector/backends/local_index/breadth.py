"""How broad a search of a graph has to be: measured when the graph is built, and kept beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from revector.errors import RecallNotReachedError
from revector.index import HnswSnapshot

RECALL = 0.998
"""Share of the nearest ten vectors that a search finds, on average.

What a graph misses is often the one document that a query is for: with .990, nDCG@10 of a static model on 29,967
descriptions was .541 where exact search has .548, with .9985 it was .5479 (1,500 queries)."""
LEAST, MOST = 64, 4096
_QUERIES = 64
_MIXED = 3
"""Vectors that are added up to one query.

Queries are not like documents, and a graph is harder to cross for them: on 40,000 WordNet definitions of three models
the breadth that finds .99 for stored vectors (20 to 26) finds .90 for real queries, that for mixtures of three (275
to 380) finds .990 to .994. With 512, which every graph had before, they find .994 to .997, for 1.4 to 1.7 times the
time."""


def measured(graph: HnswSnapshot) -> int:
    """Return how many candidates (``ef``) a search keeps in a graph, so that it finds `RECALL`.

    It takes about a tenth of the time that building the graph took.
    """
    ids = graph.ids()
    if not len(ids):  # of a segment whose vectors were all deleted
        return LEAST
    mixed = np.random.default_rng(0).choice(ids, (_MIXED, _QUERIES))
    queries = np.sum([graph.get_vectors(some) for some in mixed], axis=0)
    try:
        return min(max(graph.tune(RECALL, queries), LEAST), MOST)
    except RecallNotReachedError:
        return MOST


def read(path: Path) -> int | None:
    """Return what was kept of a graph; ``None`` for one of an earlier release, or if it is not a breadth."""
    try:
        kept = int(path.read_text())
    except (OSError, ValueError):
        return None
    return kept if LEAST <= kept <= MOST else None


def keep(path: Path, breadth: int) -> None:
    """Write it beside a graph. Nothing depends on it but speed and recall, so that it is in no digest."""
    path.write_text(str(breadth))
