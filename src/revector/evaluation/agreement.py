"""How far two judges agree on the same documents: one of them may be a model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from revector._optional import require
from revector.errors import InvalidArgumentError
from revector.evaluation.metrics import Qrels

__all__ = ["Agreement", "agreement_of", "weighted_kappa"]


@dataclass(frozen=True)
class Agreement:
    """How far a judge agrees with people.

    Parameters
    ----------
    documents, queries : int
        That both have graded.
    same : float
        Share of the documents that both call relevant, or both not.
    kappa : float or None
        Cohen's kappa, which takes off what chance alone would reach: 1 is perfect, 0 is chance. On grades with
        quadratic weights; where people graded 0 or 1, on relevant or not. ``None`` where people gave one grade only.
    kendall : float or None
        Kendall's rank correlation of the grades (tau-b).
    pairwise : float or None
        Of two documents of a query that people grade apart: how often the judge puts the same one first, a tie being
        half; ``None`` where there are no such documents.
    """

    documents: int
    queries: int
    same: float
    kappa: float | None
    kendall: float | None
    pairwise: float | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the figures in a sentence."""
        found = {"Cohen's kappa": self.kappa, "Kendall's tau": self.kendall, "pairs in the same order": self.pairwise}
        figures = "".join(f", {name} {value:.2f}" for name, value in found.items() if value is not None)
        one_grade = "" if self.kappa is not None else "; people gave one grade only, so chance cannot be taken off"
        return f"{self.same:.0%} of {self.documents:,} documents are relevant, or not, to both{figures}{one_grade}"


def weighted_kappa(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return Cohen's kappa with quadratic weights of two judges' grades, shape (n,); ``None`` where both never vary.

    That is one less the mean squared difference of the two grades of a document, divided by that of the grades of
    documents at random (J. Fleiss and J. Cohen, "The Equivalence of Weighted Kappa and the Intraclass Correlation
    Coefficient as Measures of Reliability", Educational and Psychological Measurement 33, 1973). For grades 0 and 1 it
    is the kappa without weights.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    by_chance = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return float(1 - np.mean((a - b) ** 2) / by_chance) if by_chance else None


def agreement_of(people: Qrels, judge: Qrels) -> Agreement:
    """Compare the grades of documents that people and another judge have both graded.

    Parameters
    ----------
    people, judge : mapping of str to mapping of str to int
        Query id to document id to grade. A negative grade counts as 0.

    Raises
    ------
    InvalidArgumentError
        There is no such document.
    """
    both = {
        query: [(max(0, grades[id_]), judge[query][id_]) for id_ in grades if id_ in judge[query]]
        for query, grades in people.items()
        if query in judge
    }
    pairs = np.array([pair for each in both.values() for pair in each], np.int64).reshape(-1, 2)
    if not len(pairs):
        raise InvalidArgumentError("people and the judge have graded no document of the same query; do the ids match?")
    human, other = pairs.T
    relevant = pairs > 0
    compared = relevant if human.max() <= 1 else pairs
    varies = len(np.unique(human)) > 1
    return Agreement(
        len(pairs),
        sum(map(bool, both.values())),
        float((relevant[:, 0] == relevant[:, 1]).mean()),
        weighted_kappa(*compared.T) if varies else None,
        _kendall(human, other) if varies else None,
        _pairwise(list(both.values())),
    )


def _kendall(first: ArrayLike, second: ArrayLike) -> float | None:
    found = require("scipy.stats", extra="eval", purpose="evaluation").kendalltau(first, second).statistic
    return None if math.isnan(found) else float(found)


def _pairwise(graded: list[list[tuple[int, int]]]) -> float | None:
    signs = [
        np.sign(a[0] - b[0]) * np.sign(a[1] - b[1])
        for pairs in graded
        for a, b in combinations(pairs, 2)
        if a[0] != b[0]
    ]
    return float((np.mean(signs) + 1) / 2) if signs else None
