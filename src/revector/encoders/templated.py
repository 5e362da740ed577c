"""A model that is given more of a document than its text.

The wrapper carries the template in its space; whoever embeds documents renders them by `EmbeddingSpace.text_of`. So a
template needs no code of its own in encoders, and one model serves any number of templates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown
from revector.encoders.base import Kind, TextEncoder, require_encoder
from revector.errors import InvalidArgumentError
from revector.spaces import EmbeddingSpace, Template

__all__ = ["Templated", "templated"]


class Templated:
    """A model and what it is given of a document: `Collection.open` and `Collection.migrate` take it as an encoder.

    Vectors of another template are of another space, so that a change of template is a migration like any other. The
    collection writes down where the model itself is; opened again, it needs no encoder, or the model without template
    among `encoders`.

    Parameters
    ----------
    encoder : TextEncoder
        The model.
    template : Template
        What it is given of a document. Queries are given to it as they are.
    """

    def __init__(self, encoder: TextEncoder, template: Template) -> None:
        require_encoder(encoder, "encoder")
        if not isinstance(template, Template):
            raise InvalidArgumentError(f"template is {shown(template)}, expected a Template")
        self._encoder, self._template = encoder, template

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the model with this template."""
        return _with_template(self._encoder.space, self._template)

    @property
    def encoder(self) -> TextEncoder:
        """The model itself."""
        return self._encoder

    @property
    def source(self) -> str | None:
        """Where the model can be loaded from again."""
        return self._encoder.source

    @property
    def spent(self) -> float:
        """Money that the model has cost so far, where it is a service."""
        return float(getattr(self._encoder, "spent", 0.0))

    @property
    def spend_cap(self) -> float | None:
        """The most that the model may cost, where it is a service with a cap."""
        return getattr(self._encoder, "spend_cap", None)

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode queries, or documents as `space.text_of` renders them."""
        return self._encoder.encode(texts, kind=kind)


def templated(encoder: TextEncoder, template: Template | None) -> TextEncoder:
    """Return a model with a template, if there is one."""
    return encoder if template is None else Templated(encoder, template)


@lru_cache(maxsize=64)
def _with_template(space: EmbeddingSpace, template: Template) -> EmbeddingSpace:
    return dataclasses.replace(space, template=template)
