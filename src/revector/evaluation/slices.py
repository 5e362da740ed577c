"""The lift for queries of one kind: by a facet of the query, by its length, by the metadata of what answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from revector.evaluation.holdout import Holdout
from revector.evaluation.question import Question
from revector.evaluation.significance import ENOUGH_QUERIES, Interval, chance_of_lift, holm, paired_lift

__all__ = ["Slice", "slices"]

Values = NDArray[np.float64]

LENGTH = "length"
_LENGTHS = ((2, "1-2 words"), (5, "3-5 words"), (10, "6-10 words"))
_LONG = "over 10 words"


@dataclass(frozen=True)
class Slice:
    """The queries of one kind.

    Parameters
    ----------
    by : str
        The facet, such as ``"language"``.
    value : str
        What these queries have of it.
    n_queries : int
    old, new : float
        The metric, mean over these queries.
    lift : Interval
        New minus old.
    p_value, p_adjusted : float
        Of the randomisation test against no lift; the second one holds for all slices together (Holm).
    """

    by: str
    value: str
    n_queries: int
    old: float
    new: float
    lift: Interval
    p_value: float
    p_adjusted: float

    @property
    def is_worse(self) -> bool:
        """Whether these queries got worse beyond chance."""
        return self.lift.value < 0 and self.p_adjusted <= 1 - self.lift.confidence

    def __str__(self) -> str:
        """Return the lift, and what it is of."""
        return f"{self.by} {self.value}: {self.lift.value:+.4f} on {self.n_queries:,} queries (p {self.p_adjusted:.2g})"


def slices(
    drawn: Holdout, old: Values, new: Values, facets: Mapping[str, Mapping[str, str]], question: Question
) -> tuple[Slice, ...]:
    """Compare the models on the queries of each kind that has enough of them.

    Parameters
    ----------
    drawn : Holdout
        The queries.
    old, new : ndarray of float64, shape (n_queries,)
        The metric of each.
    facets : mapping of str to mapping of str to str
        Name of a facet, such as language, to its value for each query id.
    question : Question
        Says which fields of the metadata count, too.

    Returns
    -------
    tuple of Slice
        None of a facet with one value only, or of fewer than `ENOUGH_QUERIES`.
    """
    found = [
        _slice(by, value, old[rows], new[rows], question.seed)
        for by, values in _facets(drawn, facets, question.slice_by)
        for value, rows in _by_value(values)
    ]
    adjusted = holm([each.p_value for each in found])
    return tuple(replace(each, p_adjusted=chance) for each, chance in zip(found, adjusted, strict=True))


def _slice(by: str, value: str, old: Values, new: Values, seed: int) -> Slice:
    chance = chance_of_lift(old, new, seed=seed)
    lift = paired_lift(old, new, seed=seed)
    return Slice(by, value, len(old), float(old.mean()), float(new.mean()), lift, chance, chance)


def _facets(
    drawn: Holdout, facets: Mapping[str, Mapping[str, str]], fields_by: Sequence[str]
) -> Iterator[tuple[str, list[str | None]]]:
    """Yield the name of each facet, and what each query has of it."""
    yield LENGTH, [_length(text) for text in drawn.queries.values()]
    for name, values in facets.items():
        yield name, [values.get(query) for query in drawn.queries]
    by_id = {document.id: document for document in drawn.documents} if fields_by else {}
    for name in fields_by:
        best = [max(grades, key=grades.__getitem__) for grades in drawn.qrels.values()]
        fields: list[Mapping[str, object]] = [by_id[id_].metadata if id_ in by_id else {} for id_ in best]
        yield name, [None if (value := each.get(name)) is None else str(value) for each in fields]


def _by_value(values: list[str | None]) -> list[tuple[str, NDArray[np.int64]]]:
    kinds = sorted({value for value in values if value is not None})
    if len(kinds) < 2:
        return []
    held = np.array([kinds.index(value) if value is not None else -1 for value in values])
    rows = [(kind, np.flatnonzero(held == place)) for place, kind in enumerate(kinds)]
    return [(kind, found) for kind, found in rows if len(found) >= ENOUGH_QUERIES]


def _length(text: str) -> str:
    words = len(text.split())
    return next((name for most, name in _LENGTHS if words <= most), _LONG)
