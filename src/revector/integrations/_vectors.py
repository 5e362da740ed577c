"""What the frameworks ask of vectors: lists that know their space, and hits that differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import number, shown, whole_number
from revector.collection import Collection, Hit
from revector.encoders.base import Kind
from revector.errors import InvalidArgumentError
from revector.search.recall import similarities
from revector.spaces import EmbeddingSpace

__all__ = ["SpacedVector", "diverse_hits", "embedded", "space_of_vector"]


class SpacedVector(list[float]):
    """A vector as frameworks pass it on, a list, which knows the space that it is of.

    Parameters
    ----------
    values : sequence of float
    space : EmbeddingSpace
    """

    def __init__(self, values: Sequence[float], space: EmbeddingSpace) -> None:
        super().__init__(values)
        self.space = space


def embedded(collection: Collection, texts: Sequence[str], kind: Kind) -> list[list[float]]:
    """Return texts as vectors of the space that serves now; each is a `SpacedVector`."""
    made = collection.embed(texts, kind=kind)
    return [SpacedVector(row, made.generation.space) for row in made.vectors.tolist()]


def space_of_vector(vector: Any) -> EmbeddingSpace:
    """Return the space of a vector; raise `InvalidArgumentError` if it does not know it."""
    if not isinstance(vector, SpacedVector):
        raise InvalidArgumentError(
            f"the query vector is {shown(vector)}, whose space nobody knows: it may be of the model before the "
            "cut-over. Search by the text, or embed it with the embeddings of this collection"
        )
    return vector.space


def diverse_hits(collection: Collection, query: str, hits: Sequence[Hit], k: int, relevance: float) -> list[Hit]:
    """Choose hits that are near the query and not near each other: maximal marginal relevance.

    One after the other, the hit with the largest ``relevance · s(q, h) − (1 − relevance) · max s(h, chosen)`` is taken,
    where s is the similarity in the space that serves (J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based
    Reranking for Reordering Documents and Producing Summaries", SIGIR 1998).

    Parameters
    ----------
    collection : Collection
    query : str
    hits : sequence of Hit
        To choose from, best first.
    k : int
        How many.
    relevance : float
        From 0, only diversity counts, to 1, only the query does.

    Raises
    ------
    InvalidArgumentError
        `k` or `relevance` is something else.
    """
    k, relevance = whole_number(k, "k", least=1), number(relevance, "relevance", least=0)
    if relevance > 1:
        raise InvalidArgumentError(f"relevance is {shown(relevance)}, expected a number from 0 to 1")
    asked = collection.embed([query])
    space, vector = asked.generation.space, asked.vectors
    stored = collection.vectors([hit.id for hit in hits], space)
    measured = [hit for hit in hits if hit.id in stored]
    if not measured:
        return list(hits[:k])
    rows = np.stack([stored[hit.id] for hit in measured])
    order = _mmr(similarities(space, vector, rows)[0], similarities(space, rows, rows), k, relevance)
    others = [hit for hit in hits if hit.id not in stored]  # they have no vector to be compared by
    return [*(measured[place] for place in order), *others][:k]


def _mmr(to_query: NDArray[np.float32], between: NDArray[np.float32], k: int, relevance: float) -> list[int]:
    """Return the places of the rows that are chosen, in their order."""
    chosen: list[int] = []
    nearest = np.zeros(len(to_query), np.float32)  # the first one is compared with none
    left = np.ones(len(to_query), dtype=bool)
    for _ in range(min(k, len(to_query))):
        worth = np.where(left, relevance * to_query - (1 - relevance) * nearest, -np.inf)
        best = int(worth.argmax())
        nearest = np.maximum(nearest, between[best]) if chosen else between[best]
        left[best] = False
        chosen.append(best)
    return chosen
