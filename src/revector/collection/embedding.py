"""Vectors of queries: made in the spaces that a collection answers in, and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown, strings, valid_unicode
from revector._arrays import as_float32
from revector.backends.contracts import Generation
from revector.collection.opened import Opened
from revector.encoders.base import Kind
from revector.encoders.isolation import encode_checked
from revector.encoders.texts import require_kind
from revector.errors import InvalidArgumentError, ShapeError
from revector.migration.canaries import warn_of_another_model
from revector.search.hits import Hit
from revector.search.request import Request
from revector.spaces import EmbeddingSpace

__all__ = ["Embedded", "Embedding"]


@dataclass(frozen=True, eq=False)
class Embedded:
    """Vectors, and where they belong.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n, dimension)
    generation : Generation
        Whose space they are of.
    """

    vectors: NDArray[np.float32]
    generation: Generation


class Embedding(Opened):
    """Embeds texts, and searches by their vectors, which may come from elsewhere and later."""

    @property
    def answering(self) -> tuple[Generation, ...]:
        """The generations in whose spaces `search_vector` answers, the one that serves first.

        Beside it there is the one that served before, from a cut-over or a rollback until the migration is retired.
        """
        return self._serving.read().answering

    def embed(self, texts: Sequence[str], *, kind: Kind = "query", generation: Generation | None = None) -> Embedded:
        """Embed texts by the model of a generation.

        Queries are mapped where that model is not at hand, and another one is with a map to its space.

        Parameters
        ----------
        texts : sequence of str
        kind : {"query", "document"}
            What they are to the model.
        generation : Generation, optional
            One of `answering`; the one that serves by default.

        Raises
        ------
        EncoderError
            Its model is not at hand, or fails.
        InvalidArgumentError
            An argument is something else.
        """
        given = [valid_unicode(text, f"texts[{place}]") for place, text in enumerate(strings(texts, "texts"))]
        require_kind(kind)
        if not isinstance(generation, (Generation, type(None))):
            found = type(generation).__name__
            raise InvalidArgumentError(f"generation is of {found}, expected one of Collection.answering")
        serving = self._serving.read()
        chosen = serving.serving if generation is None else generation
        if not given:
            return Embedded(np.empty((0, chosen.space.dimension), np.float32), chosen)
        if kind == "query":
            return Embedded(self._searcher.queries.encode(given, chosen, serving.live), chosen)
        encoder = self._encoders.require(chosen, purpose="embedding texts")
        warn_of_another_model(self._backend, self._encoders, chosen, encoder)
        return Embedded(encode_checked(encoder, given, kind=kind), chosen)

    def search_vector(
        self,
        vector: NDArray[np.float32],
        space: EmbeddingSpace,
        k: int = 10,
        *,
        where: Mapping[str, Any] | None = None,
        explain: bool = False,
    ) -> list[Hit]:
        """Find the documents nearest to a vector.

        A vector is answered in the generation of its own space: in the one that serves, and after a cut-over or a
        rollback also in the one that has served before, until the migration is retired.

        Parameters
        ----------
        vector : ndarray of float, shape (dimension,)
            A query, embedded by the caller.
        space : EmbeddingSpace
            Where it comes from (`encoder.space`).
        k : int
            Hits.
        where : mapping, optional
            What must hold for the documents' metadata, as in `search`.
        explain : bool
            Whether every hit says how it came by its place.

        Raises
        ------
        SpaceMismatchError
            The vector is of no space that answers, or not of its dimension.
        ShapeError, InvalidArgumentError
            It is not one vector of floats.
        NumericalError
            It holds NaN or infinity.
        """
        if not isinstance(space, EmbeddingSpace):
            raise InvalidArgumentError(f"space is {shown(space)}, expected the EmbeddingSpace that the vector is of")
        return self._searcher.search_vectors(_one_row(vector), space, Request(k, where, explain=explain))[0]


def _one_row(vector: Any) -> NDArray[np.float32]:
    """Return a vector as a matrix of one row."""
    if not hasattr(vector, "ndim"):
        try:
            vector = np.asarray(vector)
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(f"vector is {shown(vector)}, expected floats") from error
    if vector.ndim != 1:
        raise ShapeError(f"vector has shape {tuple(vector.shape)}, expected (dimension,): one vector")
    return as_float32(vector[None], "vector")
