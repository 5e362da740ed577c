"""Queries in the space of a generation: by its own model, or by another one and the map between the two."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.mapping import Procrustes, SpaceMap, load_map
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]


class QueryEncoder:
    """Encodes queries for any generation of a backend.

    Parameters
    ----------
    backend : Backend
        Holds the maps between spaces.
    encoders : EncoderSet
        The models at hand.
    """

    def __init__(self, backend: Backend, encoders: EncoderSet) -> None:
        self._backend = backend
        self._encoders = encoders

    def encode(self, texts: Sequence[str], generation: Generation, other: Generation | None) -> Matrix:
        """Encode queries for a generation.

        Parameters
        ----------
        texts : sequence of str
        generation : Generation
            Whose space is wanted.
        other : Generation or None
            Whose model may stand in, its queries mapped, if the wanted one is not at hand.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)

        Raises
        ------
        EncoderError
            Neither the model nor another one with a map is at hand, or it gave something else than a finite row for
            each text; the message names the model.
        """
        encoder = self._encoders.find(generation)
        if encoder is None and other is not None:
            substitute = self._encoders.find(other)
            mapped = None if substitute is None else self._mapped(texts, substitute, generation.space)
            if mapped is not None:
                return mapped
        encoder = self._encoders.require(generation, purpose="a query of this collection")
        return encode_checked(encoder, texts, kind="query")

    def _mapped(self, texts: Sequence[str], encoder: TextEncoder, wanted: EmbeddingSpace) -> Matrix | None:
        """Map the queries of another model; ``None`` if there is no map yet, or none that can be inverted."""
        there = self._backend.generations.load_map(encoder.space.fingerprint, wanted.fingerprint)
        if there is not None:
            return _restore(there).transform(encode_checked(encoder, texts, kind="query"), space=encoder.space)
        back = self._backend.generations.load_map(wanted.fingerprint, encoder.space.fingerprint)
        if back is not None and isinstance(rotation := _restore(back), Procrustes):
            return rotation.inverse_transform(encode_checked(encoder, texts, kind="query"), space=encoder.space)
        return None


@lru_cache(maxsize=8)
def _restore(blob: bytes) -> SpaceMap:
    return load_map(blob)
