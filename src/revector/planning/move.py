"""What is planned: a collection, and the model that it may move to."""

from __future__ import annotations

from dataclasses import dataclass

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder
from revector.spaces import EmbeddingSpace

__all__ = ["Move"]


@dataclass(frozen=True)
class Move:
    """A collection, and the model that it may move to.

    Attributes
    ----------
    backend : Backend
    serving : Generation
        The generation that serves.
    encoder : TextEncoder
        The other model.
    model : str
        What the other model is called in a command.
    """

    backend: Backend
    serving: Generation
    encoder: TextEncoder
    model: str

    @property
    def space(self) -> EmbeddingSpace:
        """The space to move to."""
        return self.encoder.space
