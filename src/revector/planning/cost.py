"""The arithmetic of a migration: documents, the rate of a worker and the dimensions give time and storage.

The one cost model of the project: the verdict, plans, pilots, rehearsals and dates all come here.
"""

from __future__ import annotations

from dataclasses import dataclass

from revector.spaces import EmbeddingSpace

__all__ = ["PLAN_NOTE", "Cost", "vector_bytes"]

PLAN_NOTE = "plan"
"""Under this name a ledger keeps the last plan."""
_BYTES_A_DOCUMENT = 420
"""Beside the floats: the job, keys, hashes and their indexes in the store, links and label in the HNSW index."""


def vector_bytes(dimension: int, n_documents: int) -> int:
    """Return what a generation takes at most, in the store and in its index.

    A collection of 2,000 documents, with a graph of all, grew from the start of a migration to its cut-over by 906
    bytes a document at 64 dimensions, 2,694 at 256, 3,801 at 384, 5,153 at 512, 7,376 at 768, 10,851 at 1,024, 16,155
    at 1,536 and 32,076 at 3,072; this is 0 to 19 % above each. The index holds five bytes for each dimension, the store
    up to a third more than four: a page holds whole rows, and what is left of it stays empty.
    """
    index, store = 5 * dimension, 16 * dimension // 3
    return n_documents * (index + store + _BYTES_A_DOCUMENT)


@dataclass(frozen=True)
class Cost:
    """What embedding a whole collection with another model takes.

    Attributes
    ----------
    documents : int
        To be embedded.
    documents_per_second : float or None
        Of one worker, as measured on a sample; ``None`` if there was nothing to measure.
    seconds : float
        Time to embed them all.
    target_bytes : int
        Vectors and index of the new generation.
    peak_bytes : int
        Vectors and indexes of both generations, which live side by side until the old one is retired.
    """

    documents: int
    documents_per_second: float | None
    seconds: float
    target_bytes: int
    peak_bytes: int

    @classmethod
    def of(
        cls,
        documents: int,
        source: EmbeddingSpace,
        target: EmbeddingSpace,
        rate: float | None,
        *,
        workers: int = 1,
        texts: int | None = None,
        writes_per_second: float | None = None,
    ) -> Cost:
        """Extrapolate from the rate of one worker.

        Parameters
        ----------
        documents : int
        source, target : EmbeddingSpace
        rate : float or None
            Documents a second.
        workers : int
            Each as fast as that one, on a machine of its own.
        texts : int, optional
            Different texts among the documents, where identical ones are embedded once; as many as documents.
        writes_per_second : float, optional
            Vectors that the store takes, from all workers together.
        """
        source_bytes, target_bytes = (vector_bytes(space.dimension, documents) for space in (source, target))
        seconds = (documents if texts is None else texts) / (rate * workers) if rate else 0.0
        if writes_per_second:
            seconds = max(seconds, documents / writes_per_second)
        return cls(documents, rate, seconds, target_bytes, source_bytes + target_bytes)
