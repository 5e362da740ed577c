"""The alternatives of an assessment: what each finds for every query, among the same documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from revector.evaluation import holdout
from revector.evaluation.both import Side, keep_both
from revector.evaluation.exact import Keys, topk
from revector.evaluation.metrics import depth

__all__ = [
    "BOTH",
    "MAP",
    "QUERY_MODEL",
    "REEMBED",
    "RESCORED",
    "RESCORED_MAP",
    "STAY",
    "Alternatives",
    "Rankings",
    "find",
]

STAY, MAP, RESCORED_MAP, REEMBED, BOTH = "stay", "map", "map + re-score", "re-embed", "keep both"
QUERY_MODEL = "query model"
"""The new model for queries only: the vectors stay. Only families of one space, of equal dimension, stand that."""
RESCORED = 50
"""Best documents by the map that are ranked anew by their true vectors."""

Rankings = list[Keys]
"""Rows of documents for each query, the best one first."""


@dataclass(frozen=True)
class Alternatives:
    """What each alternative finds.

    Parameters
    ----------
    found : mapping of str to list of ndarray of int64
        Name to the ranking of each query. A map is missing where none could be fitted, both generations where they
        are one space or the old model is gone, the query model where dimensions or metrics differ.
    old_weight : float
        Weight of the old model's scores in "keep both".
    """

    found: Mapping[str, Rankings]
    old_weight: float


def find(
    drawn: holdout.Holdout, old: Side, new: Side, metric: str, deep: int, *, seed: int, answers: bool = True
) -> Alternatives:
    """Search the same documents under each alternative.

    Parameters
    ----------
    drawn : Holdout
    old, new : Side
        Its queries and documents by either model.
    metric : str
        By which the weight of "keep both" is chosen.
    deep : int
        Documents a ranking.
    seed : int
        Of the halves that maps are fitted on.
    answers : bool
        Whether there is an old model, to encode queries by; without one, staying finds nothing.
    """
    is_one_space = old.space.fingerprint == new.space.fingerprint
    found = {STAY: _ranked(old, old, deep) if answers else [np.empty(0, np.int64)] * len(drawn.queries)}
    mapped = None if is_one_space else holdout.cross_fitted(old.documents, new.documents, seed=seed)
    if mapped is not None:
        found[MAP] = _ranked(new, Side(new.space, new.queries, mapped), deep)
        found[RESCORED_MAP] = holdout.rescored(
            new.space, new.queries, mapped, new.documents, max(RESCORED, depth(metric))
        )
    found[REEMBED] = _ranked(new, new, deep)
    if is_one_space:
        return Alternatives(found, 0.0)
    old_weight = 0.0
    if answers:
        both = keep_both(old, new, lambda rankings: holdout.scores_of(drawn, rankings, metric), deep, seed=seed)
        found[BOTH], old_weight = both.rankings, both.old_weight
    if (old.space.dimension, old.space.metric) == (new.space.dimension, new.space.metric):
        found[QUERY_MODEL] = _ranked(new, old, deep)
    return Alternatives(found, old_weight)


def _ranked(asking: Side, answering: Side, deep: int) -> Rankings:
    return list(topk(answering.space, asking.queries, answering.documents, deep)[1])
