"""The documents and queries that models are compared on, and the comparison itself.

Every alternative searches the same documents exactly, so that nothing but the vectors differs. The documents are all
judged ones and others drawn at random: a small collection makes the task easier for every model alike, hence its
figures are good for comparing models, not for predicting the quality of the full collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document
from revector.errors import EncoderError, InvalidArgumentError, NumericalError
from revector.evaluation.best_map import quick_map
from revector.evaluation.exact import Keys, Matrix, topk
from revector.evaluation.metrics import Qrels, as_array, depth, judged_queries, per_query
from revector.spaces import EmbeddingSpace

MIN_PAIRS_TO_MAP = 32
"""A map needs so many pairs on either side before it says anything."""


@dataclass(frozen=True)
class Holdout:
    """Judged queries, and the documents they are searched in.

    Parameters
    ----------
    queries : dict of str to str
        Text of each query that has a relevant document here.
    qrels : dict
        Their grades, restricted to documents of the collection.
    documents : list of Document
        All judged documents, then others, without any that has no vector of its present text.
    old_vectors : ndarray of float32, shape (len(documents), d_old)
        Their stored vectors.
    notes : tuple of str
        What was left out.
    """

    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    documents: list[Document]
    old_vectors: Matrix
    notes: tuple[str, ...]


def draw(
    backend: Backend, generation: int, queries: Mapping[str, str], qrels: Qrels, *, max_documents: int, seed: int
) -> Holdout:
    """Draw the documents for a comparison.

    Parameters
    ----------
    backend : Backend
        Holds the documents.
    generation : int
        The serving generation; its vectors are used as they are.
    queries : mapping of str to str
        Query id to text.
    qrels : mapping of str to mapping of str to int
        Grades. Those of unknown queries and documents are left out, and counted in the notes.
    max_documents : int
        How many; more only if more are judged.
    seed : int
        Of the drawing.

    Raises
    ------
    InvalidArgumentError
        No query has a relevant document in the collection.
    """
    with backend.snapshot():
        grades, notes = _known(backend, queries, qrels)
        documents = backend.documents.by_key(_choose(backend, grades, max_documents, seed))
        keys, vectors = backend.generations.vectors(generation, [document.key for document in documents])
        stale = backend.generations.stale_keys(generation, keys)
    fresh = ~np.isin(keys, stale)
    by_key = {document.key: document for document in documents}
    kept = [by_key[key] for key in keys[fresh].tolist()]
    if len(kept) < len(documents):
        notes = (*notes, f"{len(documents) - len(kept):,} documents without a vector of their present text left out")
    return Holdout({query: queries[query] for query in grades}, grades, kept, vectors[fresh], notes)


def without(holdout: Holdout, refused: Mapping[int, EncoderError]) -> Holdout:
    """Return a holdout without some documents, by place, that a model refuses for a reason; the notes name them."""
    if not refused:
        return holdout
    kept = np.array([place not in refused for place in range(len(holdout.documents))])
    named = [f"{holdout.documents[place].id!r}: {reason}" for place, reason in islice(refused.items(), 3)]
    more = [f"and {len(refused) - 3:,} more"] if len(refused) > 3 else []
    left_out = f"{len(refused):,} document{'s' * (len(refused) > 1)} that the candidate refuses left out everywhere"
    return replace(
        holdout,
        documents=[document for document, stays in zip(holdout.documents, kept, strict=True) if stays],
        old_vectors=holdout.old_vectors[kept],
        notes=(*holdout.notes, f"{left_out} ({'; '.join(named + more)})"),
    )


def scores(
    holdout: Holdout, space: EmbeddingSpace, query_vectors: Matrix, document_vectors: Matrix, metric: str
) -> NDArray[np.float64]:
    """Search the documents exactly and score every query.

    Parameters
    ----------
    holdout : Holdout
        Queries and documents, in the order of the rows below.
    space : EmbeddingSpace
        Space of both matrices.
    query_vectors : ndarray of float32, shape (n_queries, d)
    document_vectors : ndarray of float32, shape (n_documents, d)
    metric : str
        See `revector.evaluation.metrics.depth`.

    Returns
    -------
    ndarray of float64, shape (n_queries,)
    """
    return scores_of(holdout, topk(space, query_vectors, document_vectors, depth(metric))[1], metric)


def scores_of(holdout: Holdout, rankings: Iterable[Keys], metric: str) -> NDArray[np.float64]:
    """Score the ranking of every query: rows of documents, the best one first."""
    ids = np.array([document.id for document in holdout.documents], dtype=object)
    run: dict[str, Sequence[str]] = {
        query: ids[found].tolist() for query, found in zip(holdout.queries, rankings, strict=True)
    }
    return as_array(per_query(run, holdout.qrels, metric))


def rescored(space: EmbeddingSpace, queries: Matrix, mapped: Matrix, documents: Matrix, most: int) -> list[Keys]:
    """Rank the best documents by mapped vectors anew, by their true vectors of the space.

    Parameters
    ----------
    space : EmbeddingSpace
        Of all matrices.
    queries : ndarray of float32, shape (n_queries, d)
    mapped, documents : ndarray of float32, shape (n_documents, d)
        The documents' vectors as a map has them, and as they are.
    most : int
        How many are ranked anew.

    Returns
    -------
    list of ndarray of int64
        Rows of documents, best first.
    """
    _, found = topk(space, queries, mapped, most)
    return [
        rows[topk(space, query[None], documents[rows], most)[1][0]] for query, rows in zip(queries, found, strict=True)
    ]


def cross_fitted(old: Matrix, new: Matrix, *, seed: int) -> Matrix | None:
    """Map old vectors to the new space, each by a map that has not seen it, of the kind that serves best.

    The rows are split in two halves at random; each half is mapped by the map fitted on the other. A map that is
    judged on the pairs it was fitted on looks better than it will be.

    Returns
    -------
    ndarray of float32, shape (n, d_new), or None
        ``None`` if there are too few pairs to fit a map, or a side does not vary.
    """
    if len(old) < 2 * MIN_PAIRS_TO_MAP:
        return None
    order = np.random.default_rng(seed).permutation(len(old))
    first, second = np.sort(order[: len(old) // 2]), np.sort(order[len(old) // 2 :])
    mapped = np.empty_like(new)
    for fitted, applied in ((first, second), (second, first)):
        try:
            kind = quick_map(old[fitted], new[fitted], seed=seed)
            mapped[applied] = kind.fit(old[fitted], new[fitted]).transform(old[applied])
        except NumericalError:  # a model that gives all texts the same
            return None
    return mapped


def _known(
    backend: Backend, queries: Mapping[str, str], qrels: Qrels
) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    """Restrict the judgements to queries with a text and documents that exist."""
    ids = backend.documents.keys({document for grades in qrels.values() for document in grades})
    restricted = {
        query: {document: grade for document, grade in grades.items() if document in ids}
        for query, grades in qrels.items()
        if query in queries
    }
    judged = judged_queries(restricted)
    if not judged:
        raise InvalidArgumentError(
            f"none of the {len(qrels)} judged queries has a text and a relevant document in the collection of "
            f"{backend.documents.count()} documents; do the ids of queries, qrels and documents match?"
        )
    lost = len(judged_queries(qrels)) - len(judged)
    notes = (f"{lost:,} judged queries without a text or a relevant document here left out",) if lost else ()
    return {query: restricted[query] for query in judged}, notes


def _choose(backend: Backend, grades: Qrels, max_documents: int, seed: int) -> NDArray[np.int64]:
    """Return all judged documents and, up to the maximum, others at random, in the order of the collection."""
    found = backend.documents.keys({document for judged in grades.values() for document in judged})
    judged = np.sort(np.fromiter(found.values(), dtype=np.int64, count=len(found)))
    wanted = max(0, max_documents - len(judged))
    others = np.setdiff1d(backend.documents.sample(wanted + len(judged), seed), judged)
    drawn = np.random.default_rng(seed).choice(others, size=min(wanted, len(others)), replace=False)
    return np.union1d(judged, drawn)
