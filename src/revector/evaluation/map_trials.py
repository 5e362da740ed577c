"""Trials of maps: pairs to fit them on, documents and queries held out, and what a search through a map finds there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector._arrays import as_float32
from revector.errors import InvalidArgumentError, ShapeError
from revector.evaluation.metrics import as_array, per_query
from revector.evaluation.significance import Interval, Values, mean_interval, paired_lift
from revector.mapping import SpaceMap
from revector.similarity import cosine_topk, normalize

Rows = NDArray[np.float32]
Places = NDArray[np.int64]
Serves = Literal["documents", "queries"]
Judgements = Mapping[int, Mapping[int, int]]
"""Row of a query -> row of a pair -> grade; above 0 is relevant."""

DEPTH = 10
LEAST_PAIRS = 200
"""Fewer cannot be split into pairs to fit and documents to search."""
HELD_OUT = 1 / 5
ENOUGH_HELD_OUT = 1000
"""Where a fifth of the pairs is less, further fifths are held out in turn: with 150 documents, chance decides."""
MOST_HELD_OUT = 5000
MOST_QUERIES = 1000

OWN_TOP = f"the new model's own top {DEPTH}"
JUDGED = f"the judged quality (nDCG@{DEPTH})"


@dataclass(frozen=True)
class Trial:
    """Pairs to fit on; documents and queries held out, with what the new model alone makes of them.

    Parameters
    ----------
    training, searched : (ndarray of float32, ndarray of float32)
        Old and new rows of the pairs to fit on, and of the documents that are searched.
    queries : ndarray of float32, shape (n, d_new)
    qrels : dict or None
        Grades by place of a query and of a held-out document; without them the new model's own top is the truth.
    serves : {"documents", "queries"}
        What the map is for.
    """

    training: tuple[Rows, Rows]
    searched: tuple[Rows, Rows]
    queries: Rows
    qrels: dict[str, dict[str, int]] | None
    serves: Serves

    @property
    def ground_truth(self) -> str:
        """What a search has to find to count as right."""
        return OWN_TOP if self.qrels is None else JUDGED

    def fit(self, candidate: SpaceMap) -> SpaceMap:
        """Return a map like the candidate, fitted on the pairs."""
        pairs = self.training if self.serves == "documents" else self.training[::-1]
        return candidate.unfitted().set_params(source=None, target=None).fit(*pairs)

    def score(self, fitted: SpaceMap) -> Values:
        """Return what each query finds through a map."""
        x = self.searched[0]
        if self.serves == "documents":
            return self._values(self._search(self.queries, fitted.transform(x)))
        return self._values(self._search(fitted.transform(self.queries), x))

    def retention(self, values: Values) -> Interval:
        """Return the mean as a share of what re-embedded documents give."""
        if self.qrels is None:
            return mean_interval(values)  # the new model keeps all of its own
        lift = paired_lift(self._values(self._search(self.queries, self.searched[1])), values, relative=True)
        return Interval(1 + lift.value, 1 + lift.low, 1 + lift.high, lift.deviation, lift.n_queries, lift.confidence)

    def residual(self, fitted: SpaceMap) -> float:
        """Return what the map leaves of the held-out rows, as a share of their spread."""
        x, y = self.searched if self.serves == "documents" else self.searched[::-1]
        wanted = normalize(y)
        spread = np.linalg.norm(wanted - wanted.mean(axis=0))
        return float(np.linalg.norm(fitted.transform(x) - wanted) / spread)

    def _search(self, queries: Rows, documents: Rows) -> Places:
        return cosine_topk(queries, documents, DEPTH)[1]

    def _values(self, found: Places) -> Values:
        if self.qrels is None:
            own = self._search(self.queries, self.searched[1])
            return np.array([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, own, strict=True)])
        run = {str(query): [str(place) for place in row] for query, row in enumerate(found.tolist())}
        return as_array(per_query(run, self.qrels, f"nDCG@{DEPTH}"))


def draw(
    x: Rows, y: Rows, queries: Any, judgements: Judgements | None, serves: Serves, rng: np.random.Generator
) -> list[Trial]:
    """Return trials that hold out parts of the pairs in turn; one trial where a part is enough, or judged.

    Raises
    ------
    InvalidArgumentError
        Fewer than 200 pairs, judgements without queries or of most pairs.
    ShapeError
        Rows that do not fit.
    """
    if len(x) != len(y):
        raise ShapeError(f"rows of new: got {len(y)}, expected {len(x)}")
    if len(x) < LEAST_PAIRS:
        raise InvalidArgumentError(f"got {len(x)} pairs, expected at least {LEAST_PAIRS} to compare maps on")
    if serves not in ("documents", "queries"):
        raise InvalidArgumentError(f"serves is {serves!r}, expected 'documents' or 'queries'")
    asked = None if queries is None else as_float32(queries, "queries")
    order = _judged_first(rng.permutation(len(x)), judgements, asked)
    judged = 0 if judgements is None else len(_relevant(judgements))
    n_held_out = max(judged, min(int(len(x) * HELD_OUT), MOST_HELD_OUT))
    if len(x) - n_held_out < LEAST_PAIRS // 2:
        raise InvalidArgumentError(f"{judged} of {len(x)} pairs are judged: too few are left to fit a map on")
    times = 1 if judged else min(int(1 / HELD_OUT), math.ceil(ENOUGH_HELD_OUT / n_held_out))
    parts = [order[start : start + n_held_out] for start in range(0, times * n_held_out, n_held_out)]
    return [_trial(x, y, part, np.setdiff1d(order, part), asked, judgements, serves) for part in parts]


def together(trials: Sequence[Trial], values: Sequence[Values]) -> Values:
    """Return one value a query: of queries that were asked in each trial, the mean."""
    same = len(trials) > 1 and all(trial.queries is trials[0].queries for trial in trials)
    return np.mean(values, axis=0) if same else np.concatenate(values)


def _trial(
    x: Rows,
    y: Rows,
    held_out: Places,
    training: Places,
    asked: Rows | None,
    judgements: Judgements | None,
    serves: Serves,
) -> Trial:
    """Draw the queries, if none are given, and the documents that are searched.

    What is mapped is held out: documents; or the queries, which search all documents as they are, those of the pairs
    among them, as in use.
    """
    all_are_searched = serves == "queries"
    if asked is None:
        stand_in = min(len(held_out) // (1 if all_are_searched else 4), MOST_QUERIES)
        asked, held_out = y[held_out[:stand_in]], held_out[stand_in:]
    searched = np.concatenate([held_out, training]) if all_are_searched else held_out
    qrels = None if judgements is None else _restricted(judgements, searched)
    return Trial((x[training], y[training]), (x[searched], y[searched]), asked, qrels, serves)


def _relevant(judgements: Judgements) -> list[int]:
    return sorted({row for grades in judgements.values() for row, grade in grades.items() if grade > 0})


def _judged_first(order: Places, judgements: Judgements | None, queries: Rows | None) -> Places:
    """Move the rows that judgements name to the front: a query needs its documents among those held out."""
    if judgements is None:
        return order
    if queries is None:
        raise InvalidArgumentError("judgements need the queries they are about; pass queries=")
    relevant = _relevant(judgements)
    if not relevant or relevant[0] < 0 or relevant[-1] >= len(order):
        raise InvalidArgumentError(f"judgements name no relevant row, or one outside the {len(order)} pairs")
    if any(not 0 <= query < len(queries) for query in judgements):
        raise InvalidArgumentError(f"judgements name a query outside the {len(queries)} given")
    judged = np.isin(order, relevant)
    return np.concatenate([order[judged], order[~judged]])


def _restricted(judgements: Judgements, held_out: Places) -> dict[str, dict[str, int]]:
    """Name held-out documents by their place."""
    places = {int(row): place for place, row in enumerate(held_out)}
    return {
        str(query): {str(places[row]): grade for row, grade in grades.items() if row in places}
        for query, grades in judgements.items()
    }
