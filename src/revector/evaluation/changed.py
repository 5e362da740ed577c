"""Which queries a new model answers better, and which worse, with what either model finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.evaluation.exact import Keys
from revector.evaluation.holdout import Holdout

__all__ = ["Changed", "Shown", "changed"]

MOST, HITS, CHARACTERS = 10, 3, 300

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """A document that was found: id, the start of its text, and its grade; 0 also where nobody has judged it."""

    id: str
    text: str
    grade: int


@dataclass(frozen=True)
class Changed:
    """A query whose metric changed.

    Parameters
    ----------
    id, text : str
    old, new : float
        The metric by either model.
    by_old, by_new : tuple of Shown
        The first documents that either model finds.
    """

    id: str
    text: str
    old: float
    new: float
    by_old: tuple[Shown, ...]
    by_new: tuple[Shown, ...]


def changed(
    drawn: Holdout, old: Values, new: Values, rankings: tuple[Sequence[Keys], Sequence[Keys]]
) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """Return the queries that got worse and better, those that changed most first.

    Parameters
    ----------
    drawn : Holdout
    old, new : ndarray of float64, shape (n_queries,)
        The metric by either model.
    rankings : pair of sequence of ndarray of int64
        What the old and the new model find for each query, best first.
    """
    order = np.argsort(new - old, kind="stable")
    worst = [place for place in order[:MOST].tolist() if new[place] < old[place]]
    best = [place for place in order[::-1][:MOST].tolist() if new[place] > old[place]]
    ids, texts = list(drawn.queries), list(drawn.queries.values())

    def shown(query: str, rows: Keys) -> tuple[Shown, ...]:
        found = [drawn.documents[row] for row in rows[:HITS].tolist()]
        return tuple(Shown(each.id, _start(each.text), drawn.qrels[query].get(each.id, 0)) for each in found)

    def of(places: list[int]) -> tuple[Changed, ...]:
        return tuple(
            Changed(
                ids[place],
                _start(texts[place]),
                float(old[place]),
                float(new[place]),
                *(shown(ids[place], found[place]) for found in rankings),
            )
            for place in places
        )

    return of(worst), of(best)


def _start(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} …"
