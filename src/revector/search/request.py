"""What the caller of a search asks for, checked before anything is read or paid for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, get_args

from revector._arguments import choice, flag, number, shown, valid_unicode, whole_number
from revector.backends.filters import parse_where
from revector.errors import InvalidArgumentError
from revector.migration.strategies.base import Budget, Merging, Reading
from revector.rerank.base import DEFAULT_BUDGET, RerankBudget, Reranker
from revector.search.thresholds import Threshold


class Asked(TypedDict, total=False):
    """The arguments of `Collection.search` beside query and k, for type checkers."""

    where: Mapping[str, Any] | None
    rescore: int | None
    write_through: bool | None
    merge: Merging | None
    explain: bool
    threshold: float | Threshold | None
    rerank: Reranker | None
    rerank_budget: RerankBudget | None
    key: str | None


@dataclass(frozen=True)
class Request:
    """What is asked of one search; `Collection.search` says what each part means.

    Parameters
    ----------
    k : int
        Hits a query.
    where : mapping or Where, optional
        What the documents' metadata must be like.
    rescore : int, optional
        How many of the best hits that have not moved are embedded on the spot; by default the strategy says.
    write_through : bool, optional
        Whether those vectors are stored; by default the strategy says.
    merge : {"zscore", "calibrated", "minmax", "rrf"}, optional
        How the scores of two generations become one; by default the strategy says.
    explain : bool
        Whether every hit says how it came by its place.
    threshold : float or Threshold, optional
        Hits below it are left out.
    rerank : Reranker, optional
        Puts the best hits into another order.
    rerank_budget : RerankBudget
        What that may take.
    key : str, optional
        Who asks; a rollout answers the same reader from the same arm.

    Raises
    ------
    InvalidArgumentError
        One of them is something else.
    """

    k: int = 10
    where: Any = None
    rescore: int | None = None
    write_through: bool | None = None
    merge: Merging | None = None
    explain: bool = False
    threshold: float | Threshold | None = None
    rerank: Reranker | None = None
    rerank_budget: RerankBudget = DEFAULT_BUDGET
    key: str | None = None

    def __post_init__(self) -> None:
        if self.merge is not None:
            choice(self.merge, "merge", get_args(Merging))
        if self.rerank is not None and not isinstance(self.rerank, Reranker):
            raise InvalidArgumentError(f"rerank is {shown(self.rerank)}, expected something that can score texts")
        if not isinstance(self.rerank_budget, RerankBudget):
            raise InvalidArgumentError(f"rerank_budget is {shown(self.rerank_budget)}, expected a RerankBudget")
        if not isinstance(self.threshold, (Threshold, type(None))):
            object.__setattr__(self, "threshold", number(self.threshold, "threshold"))
        checked = {
            "k": whole_number(self.k, "k", least=1),
            "where": parse_where(self.where),
            "rescore": None if self.rescore is None else whole_number(self.rescore, "rescore", least=0),
            "write_through": None if self.write_through is None else flag(self.write_through, "write_through"),
            "explain": flag(self.explain, "explain"),
            "key": None if self.key is None else _name(self.key),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def depth(self) -> int:
        """How many hits of a query are wanted before they are re-ranked."""
        return self.k if self.rerank is None else max(self.k, self.rerank_budget.documents)

    def applied_to(self, reading: Reading) -> Reading:
        """Return a reading with what is asked otherwise than the strategies chose."""
        if self.rescore is not None:
            reading = replace(reading, budget=Budget(self.rescore, texts_in_flight=sys.maxsize))
        if self.write_through is not None:
            queued = reading.queued if self.write_through else 0
            reading = replace(reading, write_through=self.write_through, queued=queued)
        return reading if self.merge is None else replace(reading, merging=self.merge)


def _name(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise InvalidArgumentError(f"key is {shown(key)}, expected a str that names who asks")
    return valid_unicode(key, "key")
