"""Writes of documents while generations come and go: every live generation gets the vector, or a job for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document, NewDocument
from revector.migration.inputs import hashed
from revector.migration.landing import land_written
from revector.migration.serving import ServingReader


def write_documents(
    backend: Backend,
    documents: Sequence[NewDocument],
    vectors: Mapping[int, Mapping[str, NDArray[np.float32]]] | None = None,
    *,
    reader: ServingReader | None = None,
) -> list[Document]:
    """Insert or change documents, with the vectors at hand and jobs for those that are not, in one transaction.

    Parameters
    ----------
    backend : Backend
        Where to write.
    documents : sequence of NewDocument
        Checked, with distinct ids. What is hashed is what they hold, with metadata that they keep, at this moment.
    vectors : mapping of int to mapping of str to ndarray of float32, shape (dimension,), optional
        By generation and content hash, embedded before the call. A generation that has gone since is left out; a
        vector that is missing gets a job.
    reader : ServingReader, optional
        Says who serves. One that is kept knows the generations from the last time.

    Returns
    -------
    list of Document
        In the order given.
    """
    with backend.transaction():
        serving = (reader or ServingReader(backend)).read()
        written = backend.documents.put(hashed(backend, documents, serving.fields)[0])
        for generation in serving.live:
            land_written(backend, generation.id, written, (vectors or {}).get(generation.id, {}))
    return written


def delete_documents(backend: Backend, ids: Iterable[str]) -> list[int]:
    """Delete documents, their vectors in every generation and their jobs; return their keys."""
    with backend.transaction():
        keys = backend.documents.delete(ids)
        backend.ledger.jobs.forget([generation.id for generation in backend.generations.all()], keys)
    return keys
