"""The first numbers of a model's vectors: Matryoshka models put what matters most there.

A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022. Vectors of the short space are made of stored
ones of the long space, so that a collection moves from the one to the other without embedding anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector.encoders.base import Kind, TextEncoder, require_encoder
from revector.encoders.once import Vectors
from revector.encoders.sources import SHORTENED, load_encoder, read_source, write_source
from revector.errors import InvalidArgumentError
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

__all__ = ["Shortened", "shortened_vectors"]


class Shortened:
    """A model of whose vectors the first numbers are kept, at unit length again where the model's have it.

    `Collection.migrate` takes it as an encoder; a collection in the model's own space is moved there from its stored
    vectors. Whether the model was trained for that is for `Collection.assess` to tell.

    Parameters
    ----------
    encoder : TextEncoder
        The model.
    dimension : int
        Numbers that are kept, fewer than the model gives. The model is asked for its space.
    """

    def __init__(self, encoder: TextEncoder, dimension: int) -> None:
        require_encoder(encoder, "encoder")
        self._encoder, self._dimension = encoder, whole_number(dimension, "dimension", least=1)
        if self._dimension >= encoder.space.dimension:
            raise InvalidArgumentError(
                f"dimension is {dimension}, expected fewer than the {encoder.space.dimension} of {encoder.space.model}"
            )

    @classmethod
    def from_source(cls, source: str) -> Shortened:
        """Make one from what `source` says."""
        name, options = read_source(source, SHORTENED, {"dimension": int})
        if "dimension" not in options:
            raise InvalidArgumentError(f"{source!r} does not say how many numbers are kept; add ?dimension=")
        return cls(load_encoder(name), options["dimension"])

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the model's vectors, shortened."""
        return _of_dimension(self._encoder.space, self._dimension)

    @property
    def source(self) -> str | None:
        """Where the model can be loaded from again, and what is kept of its vectors."""
        inner = self._encoder.source
        return None if inner is None else write_source(SHORTENED, inner, {"dimension": self._dimension})

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts with the model, and keep the first numbers."""
        return _shortened(self._encoder.encode(texts, kind=kind), self.space)


def shortened_vectors(vectors: Vectors, space: EmbeddingSpace) -> Vectors:
    """Return vectors by content hash in a space that shortens theirs."""
    if not vectors:
        return {}
    return dict(zip(vectors, _shortened(np.stack(list(vectors.values())), space), strict=True))


def _shortened(rows: NDArray[np.float32], space: EmbeddingSpace) -> NDArray[np.float32]:
    kept = np.ascontiguousarray(rows[:, : space.dimension])
    return normalize(kept) if space.normalized and len(kept) else kept


@lru_cache(maxsize=64)
def _of_dimension(space: EmbeddingSpace, dimension: int) -> EmbeddingSpace:
    return dataclasses.replace(space, dimension=dimension)
