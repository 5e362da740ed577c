"""Importing documents with vectors that somebody has made already: nothing is embedded, and nothing believed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from revector.backends.arguments import checked_documents, checked_vectors
from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.identify import identify
from revector.errors import CancelledError, InvalidArgumentError, SpaceMismatchError
from revector.formats.vector_files import Batch
from revector.formats.vector_reading import VectorFile, read_vectors
from revector.migration.inputs import hashed
from revector.migration.serving import ServingReader
from revector.migration.writes import write_documents

__all__ = ["Import", "import_vectors"]

SAMPLE = 200
"""Vectors that the model is told by, where the file does not name their space."""


@dataclass(frozen=True)
class Import:
    """What was imported.

    Attributes
    ----------
    documents : int
    without_vector : int
        Those that have none in the file; `follow` embeds them.
    space : str
        Of the vectors.
    """

    documents: int
    without_vector: int
    space: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)


def import_vectors(
    backend: Backend,
    encoders: EncoderSet,
    reader: ServingReader,
    path: str | os.PathLike[str],
    on_progress: Callable[[int], object] | None = None,
    stop: threading.Event | None = None,
) -> Import:
    """Insert or change documents, with the vectors of a file; see `Collection.import_vectors`."""
    serving, file = reader.read().serving, read_vectors(path)
    batches = _required(file, serving, encoders)
    documents = without = 0
    for batch in batches:
        if stop is not None and stop.is_set():
            raise CancelledError(f"the import was called off; its first {documents:,} documents are stored")
        _write(backend, reader, serving, batch)
        documents, without = documents + len(batch.ids), without + int((~batch.known).sum())
        if on_progress is not None:
            on_progress(documents)
    return Import(documents, without, str(serving.space))


def _write(backend: Backend, reader: ServingReader, serving: Generation, batch: Batch) -> None:
    new = checked_documents(batch.ids, batch.texts, batch.metadata)
    backend.documents.require_storable(new)
    new, _ = hashed(backend, new, reader.read().fields)
    taken = [document.content_hash for document, known in zip(new, batch.known, strict=True) if known]
    vectors = {}
    if taken:
        matrix = checked_vectors(range(len(taken)), taken, batch.vectors, serving.space.dimension)
        vectors = dict(zip(taken, matrix, strict=True))
    write_documents(backend, new, {serving.id: vectors}, reader=reader)


def _required(file: VectorFile, serving: Generation, encoders: EncoderSet) -> Iterator[Batch]:
    """Return the batches once it is clear that their vectors are those of the model that serves.

    Raises
    ------
    SpaceMismatchError
        They are of another space, by what the file says or by a sample that is embedded again.
    EncoderError
        The file says nothing, and the model is not at hand.
    """
    if file.space is not None:
        serving.space.require(file.space, purpose=f"the vectors of {file.path}")
        return file.batches
    encoder = encoders.require(serving, purpose="telling whether the vectors are its own")
    looked_at = list(islice(file.batches, 1))
    texts = [
        serving.space.text_of(batch.texts[place], batch.metadata[place])
        for batch in looked_at
        for place in np.flatnonzero(batch.known).tolist()
    ]
    vectors = np.concatenate([batch.vectors for batch in looked_at]) if texts else np.empty((0, 0), np.float32)
    if not texts:
        raise InvalidArgumentError(f"{file.path} has no vectors in its first rows; add it without them")
    if vectors.shape[1] != serving.space.dimension:
        raise SpaceMismatchError(
            f"the vectors of {file.path} have {vectors.shape[1]} dimensions, expected {serving.space.dimension}, as "
            f"{serving.space} has; embed the texts (revector add), or migrate first",
            expected=str(serving.space),
            found=f"{vectors.shape[1]} dimensions",
        )
    found = identify(texts[:SAMPLE], vectors[:SAMPLE], [encoder])
    if found.best is None:
        raise SpaceMismatchError(
            f"the vectors of {file.path} are not those of {serving.space}: {found.reason}; add the texts without them",
            expected=str(serving.space),
            found=found.reason,
        )
    return chain(looked_at, file.batches)
