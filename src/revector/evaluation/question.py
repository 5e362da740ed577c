"""What is asked of an assessment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from revector._arguments import flag, number, shown, strings, whole_number
from revector.errors import InvalidArgumentError
from revector.evaluation.metrics import Qrels, checked_qrels, checked_queries, depth
from revector.formats.judgements import Judgements
from revector.rerank.base import Reranker

__all__ = ["Asked", "Question", "judgements_of"]


class Asked(TypedDict, total=False):
    """The arguments of `Collection.assess` beside candidates and judgements, for type checkers."""

    metric: str
    min_lift: float
    relative: bool
    max_documents: int
    seed: int
    bm25: bool
    reranker: Reranker | None
    rerank_documents: int
    threshold: float | None
    slice_by: Sequence[str]


@dataclass(frozen=True)
class Question:
    """What is asked of an assessment.

    Parameters
    ----------
    metric : str
        What quality is measured by (see `revector.evaluation.metrics.depth`).
    min_lift : float
        The lift above which a migration is worth it.
    relative : bool
        Whether `min_lift` is a share of the present quality.
    max_documents : int
        How many documents are embedded for the comparison, if no more are judged.
    seed : int
        Of everything drawn at random.
    bm25 : bool
        Whether the application fuses its hits with those of BM25: the verdict is on the whole then.
    reranker : Reranker, optional
        Re-ranks the application's hits: the verdict is on the whole then.
    rerank_documents : int
        So many of the best hits are re-ranked.
    threshold : float, optional
        The score by the present model below which the application drops hits.
    slice_by : sequence of str
        Fields of the metadata; a query is of the value that its best judged document has.
    """

    metric: str = "nDCG@10"
    min_lift: float = 0.0
    relative: bool = False
    max_documents: int = 20_000
    seed: int = 0
    bm25: bool = False
    reranker: Reranker | None = None
    rerank_documents: int = 50
    threshold: float | None = None
    slice_by: Sequence[str] = ()

    def __post_init__(self) -> None:
        depth(self.metric)
        number(self.min_lift, "min_lift")
        flag(self.relative, "relative")
        whole_number(self.max_documents, "max_documents", least=1)
        whole_number(self.seed, "seed", least=0)
        flag(self.bm25, "bm25")
        if self.reranker is not None and not isinstance(self.reranker, Reranker):
            raise InvalidArgumentError(
                f"reranker is {shown(self.reranker)}, expected an object with score(query, texts)"
            )
        whole_number(self.rerank_documents, "rerank_documents", least=1)
        if self.threshold is not None:
            number(self.threshold, "threshold")
        object.__setattr__(self, "slice_by", tuple(strings(self.slice_by, "slice_by")))


def judgements_of(queries: Mapping[str, str] | Judgements | None, qrels: Qrels | None) -> Judgements | None:
    """Return judgements however they were given: whole, or as queries and grades; ``None`` if there are none.

    Raises
    ------
    InvalidArgumentError
        One is given without the other, or is something else.
    """
    if (queries is None or isinstance(queries, Judgements)) == (qrels is not None):
        raise InvalidArgumentError("queries and qrels come together: give both, Judgements, or neither")
    if queries is None or isinstance(queries, Judgements):
        return queries
    return Judgements(checked_queries(queries), checked_qrels(qrels or {}))
