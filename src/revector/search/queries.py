"""Queries in the space of a generation: by its own model, or by another one and the map between the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.mapping import SpaceMap, load_map
from revector.migration.canaries import warn_of_another_model
from revector.migration.strategies.base import Reading
from revector.spaces import EmbeddingSpace

Matrix = NDArray[np.float32]

MAPPED_DEPTH = 4
"""So many times as many documents compete where a query is mapped: it spreads what belongs together, and beside those
that have moved, as many are to be left to re-score as may be."""


class QueryEncoder:
    """Encodes queries for any generation of a backend. Safe to share between threads.

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
        self._maps: dict[tuple[str, str], tuple[object, SpaceMap]] = {}

    def encode(self, texts: Sequence[str], generation: Generation, others: Sequence[Generation] = ()) -> Matrix:
        """Encode queries for a generation.

        Parameters
        ----------
        texts : sequence of str
        generation : Generation
            Whose space is wanted.
        others : sequence of Generation
            Whose models may stand in, their queries mapped, if the wanted one is not at hand. So may any model that is
            at hand.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)

        Raises
        ------
        EncoderError
            Neither the model nor another one with a map is at hand, or it gave something else than a finite row for
            each text; the message names the model.
        """
        found = self.find(texts, generation, others)
        if found is None:
            encoder = self._encoders.require(generation, purpose="a query of this collection")
            found = encode_checked(encoder, texts, kind="query")
        return found

    def find(self, texts: Sequence[str], generation: Generation, others: Sequence[Generation] = ()) -> Matrix | None:
        """Encode queries for a generation as `encode` does; ``None`` where no model at hand can."""
        encoder = self._encoders.find(generation)
        if encoder is not None:
            warn_of_another_model(self._backend, self._encoders, generation, encoder)
            return encode_checked(encoder, texts, kind="query")
        for substitute in self._substitutes(others):
            space_map = self._map(substitute.space, generation.space)
            if space_map is not None:
                return space_map.transform(encode_checked(substitute, texts, kind="query"), space=substitute.space)
        return None

    def within_reach(self, reading: Reading, live: Sequence[Generation]) -> tuple[Reading, str | None]:
        """Leave out a generation that no query can be encoded for, where another one answers for what has moved.

        Parameters
        ----------
        reading : Reading
            What a search is to do.
        live : sequence of Generation
            Whose models may stand in.

        Returns
        -------
        reading : Reading
        degraded : str or None
            What the answer lacks.
        """
        complete, *others = reading.recall
        if self._encoders.find(complete) is not None:
            return reading, None
        gone = f"the model {complete.space.model!r} is not at hand"
        if any(self._map(each.space, complete.space) is not None for each in self._substitutes(live)):
            deeper = replace(reading, depth=MAPPED_DEPTH * reading.depth)
            return deeper, f"{gone}: its vectors are searched by mapped queries of another one"
        if not others or not self._backend.generations.count(others[0].id):
            return reading, None
        return replace(reading, recall=tuple(others)), f"{gone}, nor a map to its space: only what has moved is found"

    def _substitutes(self, others: Sequence[Generation]) -> Iterator[TextEncoder]:
        """Yield the models that may stand in, those of the collection first."""
        found = (self._encoders.find(other) for other in others)
        yield from (encoder for encoder in found if encoder is not None)
        yield from self._encoders.loaded

    def _map(self, source: EmbeddingSpace, target: EmbeddingSpace) -> SpaceMap | None:
        """Return the map between two spaces, read again once there is another one."""
        pair = (source.fingerprint, target.fingerprint)
        kept_at = self._backend.generations.map_kept_at(*pair)
        if kept_at is None:
            return None
        moment, known = (self._backend.history(), kept_at), self._maps.get(pair)
        if known is None or known[0] != moment:
            blob = self._backend.generations.load_map(*pair)
            if blob is None:
                return None
            known = self._maps[pair] = (moment, load_map(blob))
        return known[1]
