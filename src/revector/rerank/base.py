"""What a re-ranker is to a search, and what it may spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector._arguments import number, whole_number

__all__ = ["DEFAULT_BUDGET", "PatientReranker", "RerankBudget", "Reranker"]


@runtime_checkable
class Reranker(Protocol):
    """Scores texts for a query: a `CrossEncoder`, an `LlmReranker`, or anything else that does."""

    def score(self, query: str, texts: Sequence[str]) -> NDArray[Any]:
        """Return one score a text, shape (len(texts),); higher is better, NaN is left where it was."""
        ...


@runtime_checkable
class PatientReranker(Reranker, Protocol):
    """A re-ranker that answers after a while, whether it is given a few texts or many: a service."""

    def score_within(self, query: str, texts: Sequence[str], seconds: float | None) -> NDArray[np.float32]:
        """Return what is scored after so many seconds, NaN for the rest."""
        ...

    def cost(self, query: str, texts: Sequence[str]) -> float:
        """Return what that costs at most, in the currency of the re-ranker's price.

        Raises
        ------
        InvalidArgumentError
            It has no price.
        """
        ...


@dataclass(frozen=True)
class RerankBudget:
    """What a search may spend on re-ranking a query; what does not fit keeps the order it had.

    Parameters
    ----------
    documents : int
        So many of the best hits are shown to the re-ranker.
    milliseconds : float or None
        The longest that it may take; no limit if ``None``. A service is not waited for any longer. A model in this
        process is given what fits, as far as the speed measured so far can tell.
    money : float or None
        The most that it may cost, in the currency of the re-ranker's price; no limit if ``None``.
    """

    documents: int = 50
    milliseconds: float | None = 1000.0
    money: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "documents", whole_number(self.documents, "documents", least=1))
        for name in ("milliseconds", "money"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else number(given, name, least=0))


DEFAULT_BUDGET = RerankBudget()
"""Of searches that are told nothing else."""
