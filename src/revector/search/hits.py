"""What a search returns: documents, and on request how each came by its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Arm = Literal["alone", "old", "new", "both"]
"""Which generations of a migration an answer was made from; "alone" where there is no migration."""


@dataclass(frozen=True)
class Explanation:
    """How a hit came by its place. Scores are similarities: higher is better.

    Parameters
    ----------
    arm : {"alone", "old", "new", "both"}
        Which generations answered: the only one, or that of the migration's old or new model, or both.
    old_score, new_score : float or None
        By either model; ``None`` where that generation was not read, or has no vector of the document.
    merging : str
        How the scores of two generations became one (`Reading.merging`); empty where one generation answered.
    weight_of_old : float
        Share of the old model's score where both models know the document; 0 where the new one ranks alone.
    guessed : {"", "old", "new"}
        Which model's score stands in the ranking although there is none: what the other one's score stands for.
    calibration : str
        By which arithmetic a score by the one model stands for one by the other; empty if that was not needed.
    rescored : bool
        The new model embedded the document in this search.
    carried : bool
        The vector was carried over by a map from another space; the document has not been embedded by this model.
    """

    arm: Arm
    old_score: float | None = None
    new_score: float | None = None
    merging: str = ""
    weight_of_old: float = 0.0
    guessed: Literal["", "old", "new"] = ""
    calibration: str = ""
    rescored: bool = False
    carried: bool = False


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Parameters
    ----------
    id : str
    score : float
        Higher is better. Comparable within one search, not between phases of a migration.
    text : str
    metadata : dict
    generation : int
        The generation whose space the ranking is in.
    text_gone : bool
        The document has no text: its vector is of an earlier one, or was carried over from another model's space.
    degraded : str or None
        Why the answer may be worse than usual, such as a model that is not at hand; ``None`` if nothing was missing.
    rerank_score : float or None
        By the re-ranker, whose order comes first; ``None`` if there is none, or it has not scored the document.
    explanation : Explanation or None
        How it came by its place; ``None`` unless the search was asked to explain.
    query_id : str or None
        What `record_feedback` wants, the same for all hits of a query; ``None`` if it was asked without a key.
    """

    id: str
    score: float
    text: str
    metadata: dict[str, Any]
    generation: int
    text_gone: bool = False
    degraded: str | None = None
    rerank_score: float | None = None
    explanation: Explanation | None = None
    query_id: str | None = None

    def flagged(self, problem: str | None) -> Hit:
        """Return the hit with one more reason why the answer may be worse than usual, if there is one."""
        if problem is None:
            return self
        return replace(self, degraded=problem if self.degraded is None else f"{self.degraded}; {problem}")
