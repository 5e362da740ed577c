"""The protocol every encoder follows: texts in, unit rows out, and the space they live in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown
from revector.errors import InvalidArgumentError
from revector.spaces import METRICS, EmbeddingSpace

Kind = Literal["document", "query"]
Precision = Literal["float32", "bfloat16", "int8"]


@runtime_checkable
class TextEncoder(Protocol):
    """Anything that turns texts into vectors of one space.

    Implementations are safe to call from several threads.
    """

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the vectors that `encode` returns."""
        ...

    @property
    def source(self) -> str | None:
        """Where the encoder can be loaded from again (a path or a hub id); ``None`` if it exists in memory only."""
        ...

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts.

        Parameters
        ----------
        texts : sequence of str
            Any length, the empty string included.
        kind : {"document", "query"}
            Which prefix of the space to put before each text.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimension)
            One row a text, in input order.

        Raises
        ------
        EncoderError
            A text could not be encoded.
        """
        ...


def require_encoder(encoder: Any, name: str) -> None:
    """Raise `InvalidArgumentError` unless it is an encoder; its space is not asked for: a service may be slow."""
    members = {"encode", "source", "space"} - set(getattr(encoder, "__dict__", ()))
    missing = [member for member in members if not hasattr(type(encoder), member)]
    if isinstance(encoder, type) or (missing and not hasattr(type(encoder), "__getattr__")):
        raise InvalidArgumentError(
            f"{name} is {shown(encoder)}, expected an encoder: an object with space, source and encode(texts)"
        )


def space_of(encoder: Any, name: str) -> EmbeddingSpace:
    """Return the space of an encoder that a caller gave, which may ask a service for it.

    Raises
    ------
    InvalidArgumentError
        It is not an encoder, or has no space whose vectors can be compared.
    """
    require_encoder(encoder, name)
    space = encoder.space
    if not isinstance(space, EmbeddingSpace):
        raise InvalidArgumentError(f"{name}.space is {shown(space)}, expected an EmbeddingSpace")
    if space.metric not in METRICS:
        raise InvalidArgumentError(f"{name}.space.metric is {shown(space.metric)}, expected {' or '.join(METRICS)}")
    return space
