"""Exporting a collection: its documents with the vectors that serve, streamed into a file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from revector.backends.contracts import Backend, Document, Generation
from revector.errors import CancelledError
from revector.formats.vector_files import Batch, writing

_DOCUMENTS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes
    ----------
    files : tuple of str
    documents : int
    without_vector : int
        Those that have none: a matrix lacks them, other files have them with null.
    space : str
        Of the vectors.
    bytes : int
        Of all files.
    seconds : float
    """

    files: tuple[str, ...]
    documents: int
    without_vector: int
    space: str
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)


def export(
    backend: Backend,
    serving: Generation,
    path: str | os.PathLike[str],
    on_progress: Callable[[int, int], object] | None = None,
    stop: threading.Event | None = None,
) -> Export:
    """Write all documents with the vectors of a generation; see `Collection.export`."""
    began, total = time.monotonic(), backend.documents.count()
    documents = without = 0
    with writing(path, serving.space) as (write, files):
        for some in backend.documents.scan(_DOCUMENTS_AT_ONCE):
            if stop is not None and stop.is_set():
                raise CancelledError("the export was called off; nothing of it is left")
            batch = _batch(backend, serving, some)
            write(batch)
            documents, without = documents + len(some), without + int((~batch.known).sum())
            if on_progress is not None:
                on_progress(documents, max(total, documents))
    return Export(
        files=tuple(map(str, files)),
        documents=documents,
        without_vector=without,
        space=str(serving.space),
        bytes=sum(file.stat().st_size for file in files),
        seconds=time.monotonic() - began,
    )


def _batch(backend: Backend, serving: Generation, documents: list[Document]) -> Batch:
    keys = np.array([document.key for document in documents], dtype=np.int64)
    found, vectors = backend.generations.vectors(serving.id, keys)
    return Batch(
        ids=[document.id for document in documents],
        texts=[document.text for document in documents],
        metadata=[document.metadata for document in documents],
        known=np.isin(keys, found),
        vectors=vectors,
    )
