"""The protocol every encoder follows: texts in, unit rows out, and the space they live in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from revector.spaces import EmbeddingSpace

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
