"""What the suites put into a backend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document, Generation
from revector.spaces import EmbeddingSpace

DIMENSION = 4
SPACE = EmbeddingSpace(model="conformance", dimension=DIMENSION, revision="1", metric="dot")
"""The length of a vector counts, so that every store has to keep it: by it the suites tell vectors apart."""


def write(backend: Backend, *texts: str) -> list[Document]:
    """Write documents whose ids tell their texts."""
    return backend.documents.upsert([f"id-{text}" for text in texts], texts)


def new_generation(backend: Backend, space: EmbeddingSpace = SPACE) -> Generation:
    """Create a generation of four dimensions."""
    return backend.generations.create(space, "somewhere/model")


def vector(value: float) -> NDArray[np.float32]:
    """Return a vector that is the same in each dimension."""
    return np.full(DIMENSION, value, dtype=np.float32)


def put(backend: Backend, generation: Generation, documents: list[Document], value: float = 1.0) -> int:
    """Store a vector for each document: the first one is `value` throughout, each further one is one more."""
    vectors = np.stack([vector(value + place) for place in range(len(documents))])
    return put_matrix(backend, generation, documents, vectors)


def put_matrix(
    backend: Backend, generation: Generation, documents: list[Document], vectors: NDArray[np.float32]
) -> int:
    """Store the vectors of documents; return how many landed."""
    keys, hashes = [d.key for d in documents], [d.content_hash for d in documents]
    return backend.generations.put(generation.id, keys, hashes, vectors)
