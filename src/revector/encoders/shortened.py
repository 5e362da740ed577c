"""The first numbers of a model's vectors, where Matryoshka models put what matters most; or all of them, rounded.

A. Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022. Vectors of the short space are made of stored
ones of the long space, so that a collection moves from the one to the other without embedding anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from revector._arguments import choice, whole_number
from revector.encoders.base import Kind, TextEncoder, require_encoder
from revector.encoders.once import Vectors
from revector.encoders.sources import SHORTENED, load_encoder, read_source, write_source
from revector.errors import InvalidArgumentError, NumericalError
from revector.similarity import normalize
from revector.spaces import NUMBERS, EmbeddingSpace

__all__ = ["Shortened", "shortened_rows", "shortened_vectors"]


class Shortened:
    """A model of whose vectors the first numbers are kept, at unit length again where the model's have it, or rounded.

    `Collection.migrate` takes it as an encoder; a collection in the model's own space is moved there from its stored
    vectors. Whether the model was trained for that is for `Collection.assess` to tell.

    Parameters
    ----------
    encoder : TextEncoder
        The model.
    dimension : int, optional
        Numbers that are kept, fewer than the model gives; all by default. The model is asked for its space.
    numbers : {"float32", "float16"}
        What they are rounded to. A table of revector's own in PostgreSQL holds float16 as ``halfvec``, in half the
        room; other stores hold the rounded numbers.
    """

    def __init__(
        self, encoder: TextEncoder, dimension: int | None = None, *, numbers: Literal["float32", "float16"] = "float32"
    ) -> None:
        require_encoder(encoder, "encoder")
        self._encoder, self._dimension = encoder, dimension
        self._numbers = choice(numbers, "numbers", NUMBERS)
        if dimension is not None:
            self._dimension = whole_number(dimension, "dimension", least=1)
        if not self.space.derives_from(encoder.space):
            raise InvalidArgumentError(
                f"dimension is {dimension}, and numbers {numbers!r}: expected fewer numbers than the "
                f"{encoder.space.dimension} of {encoder.space.model}, or 'float16'"
            )

    @classmethod
    def from_source(cls, source: str) -> Shortened:
        """Make one from what `source` says."""
        name, options = read_source(source, SHORTENED, {"dimension": int, "numbers": str})
        if not options:
            raise InvalidArgumentError(f"{source!r} does not say what is kept; add ?dimension=, or ?numbers=float16")
        return cls(load_encoder(name), options.get("dimension"), numbers=options.get("numbers", "float32"))

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the model's vectors, shortened."""
        return _shortened_space(self._encoder.space, self._dimension, self._numbers)

    @property
    def encoder(self) -> TextEncoder:
        """The model whose vectors are shortened."""
        return self._encoder

    @property
    def source(self) -> str | None:
        """Where the model can be loaded from again, and what is kept of its vectors."""
        inner = self._encoder.source
        said = {"dimension": self._dimension, "numbers": None if self._numbers == "float32" else self._numbers}
        kept = {name: value for name, value in said.items() if value is not None}
        return None if inner is None else write_source(SHORTENED, inner, kept)

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts with the model, and keep the first numbers."""
        return _shortened(self._encoder.encode(texts, kind=kind), self.space)


def shortened_vectors(vectors: Vectors, space: EmbeddingSpace) -> Vectors:
    """Return vectors by content hash in a space that derives from theirs."""
    if not vectors:
        return {}
    return dict(zip(vectors, _shortened(np.stack(list(vectors.values())), space), strict=True))


def shortened_rows(
    rows: NDArray[np.float32], space: EmbeddingSpace, dimension: int
) -> tuple[NDArray[np.float32], EmbeddingSpace]:
    """Return the first numbers of a space's vectors, and the space that these are of."""
    shorter = _shortened_space(space, dimension, "float32")
    return _shortened(rows, shorter), shorter


def _shortened(rows: NDArray[np.float32], space: EmbeddingSpace) -> NDArray[np.float32]:
    kept = np.ascontiguousarray(rows[:, : space.dimension])
    if space.normalized and len(kept) and kept.shape[1] < rows.shape[1]:
        kept = normalize(kept)
    return kept if space.numbers == "float32" else _halved(kept)


def _halved(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(rows) and (largest := float(np.abs(rows).max())) > float(np.finfo(np.float16).max):
        raise NumericalError(f"a vector holds {largest:g}, float16 goes to 65504; keep the model's own numbers")
    return rows.astype(np.float16).astype(np.float32)


@lru_cache(maxsize=64)
def _shortened_space(space: EmbeddingSpace, dimension: int | None, numbers: str) -> EmbeddingSpace:
    rounded = space.numbers if numbers == "float32" else numbers
    return dataclasses.replace(space, dimension=dimension or space.dimension, numbers=rounded)
