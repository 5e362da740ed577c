"""What was measured under each alternative, weighed into a decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from revector.evaluation.alternatives import BOTH, QUERY_MODEL, REEMBED, RESCORED_MAP, STAY
from revector.evaluation.decide import OTHERS_CONFIDENCE, Decided, decide
from revector.evaluation.question import Question
from revector.evaluation.significance import CONFIDENCE, Interval, paired_lift, widened

__all__ = ["Values", "weigh"]

Values = NDArray[np.float64]
"""The metric of every query, shape (n_queries,)."""


def weigh(
    values: Mapping[str, Values],
    question: Question,
    *,
    same_space: bool = False,
    seconds: float = 0.0,
    confidence: float = CONFIDENCE,
    doubt: float = 0.0,
) -> tuple[Interval, Decided]:
    """Return the lift of re-embedding, and what to do.

    Parameters
    ----------
    values : mapping of str to ndarray of float64, shape (n_queries,)
        The metric of every query under each alternative, by name.
    question : Question
        Says what is worth a migration.
    same_space, seconds
        As `revector.evaluation.decide.decide` takes them.
    confidence : float
        Of the interval of the lift.
    doubt : float
        Of the judgements: see `Judgements.doubt`.
    """
    lift = _lift(values, REEMBED, question, confidence, doubt)
    others = {
        name: _lift(values, name, question, OTHERS_CONFIDENCE, doubt)
        for name in (RESCORED_MAP, BOTH, QUERY_MODEL)
        if name in values
    }
    decided = decide(
        lift,
        question.min_lift,
        relative=question.relative,
        same_space=same_space,
        others=others,
        over_query_model=_over_query_model(values, question),
        seconds=seconds,
        doubt=doubt,
    )
    return lift, decided


def _lift(values: Mapping[str, Values], name: str, question: Question, confidence: float, doubt: float) -> Interval:
    """Return what an alternative gains over staying."""
    lift = paired_lift(
        values[STAY], values[name], relative=question.relative, confidence=confidence, seed=question.seed
    )
    return widened(lift, doubt / float(values[STAY].mean()) if question.relative else doubt)


def _over_query_model(values: Mapping[str, Values], question: Question) -> Interval | None:
    if QUERY_MODEL not in values:
        return None
    return paired_lift(values[QUERY_MODEL], values[REEMBED], seed=question.seed)
