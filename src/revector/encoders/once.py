"""Embedding texts once: what is known already is taken over, and a bad text does not stop the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.isolation import Outcome, encode_into
from revector.errors import EncoderError

Vector: TypeAlias = "NDArray[np.float32]"
Vectors: TypeAlias = "dict[str, Vector]"
"""Vectors by the content hash of their text."""


@dataclass(frozen=True)
class Embedded:
    """What became of some texts, by content hash.

    Attributes
    ----------
    vectors : dict of str to ndarray of float32, shape (dimension,)
    errors : dict of str to EncoderError
        Of the texts that are at fault.
    stopped : Exception or None
        Why the others have neither.
    """

    vectors: Vectors
    errors: dict[str, EncoderError] = field(default_factory=dict)
    stopped: Exception | None = None

    @property
    def failure(self) -> Exception | None:
        """Why a text has no vector, if one has none: what stopped all the others, or the first one's own fault."""
        return self.stopped or next(iter(self.errors.values()), None)


def embed_once(encoder: TextEncoder, texts: Mapping[str, str], known: Mapping[str, Vector]) -> Embedded:
    """Embed texts, each once, and those whose vectors are known not at all.

    What was embedded before a service stopped is kept. Nothing is raised.

    Parameters
    ----------
    encoder : TextEncoder
    texts : mapping of str to str
        Content hash to text.
    known : mapping of str to ndarray of float32, shape (dimension,)
        Vectors of the encoder's space by content hash; they are part of the answer.
    """
    vectors = dict(known)
    wanted = {hash_: text for hash_, text in texts.items() if hash_ not in vectors}
    outcomes: list[Outcome] = []
    stopped = None
    try:
        encode_into(outcomes, encoder, list(wanted.values()))
    except Exception as error:
        stopped = error
        vectors.update(_paid_for(error, list(wanted)[len(outcomes) :], encoder.space.dimension))
    errors = {}
    for hash_, outcome in zip(wanted, outcomes, strict=stopped is None):
        if isinstance(outcome, EncoderError):
            errors[hash_] = outcome
        else:
            vectors[hash_] = outcome
    return Embedded(vectors, errors, stopped)


def _paid_for(error: Exception, left: list[str], dimension: int) -> Vectors:
    """Return what a service had embedded, before it stopped, of the batch that is next among those left."""
    rows = error.rows if isinstance(error, EncoderError) else None
    if rows is None or rows.shape[1:] != (dimension,):
        return {}
    return {hash_: row for hash_, row in zip(left, rows, strict=False) if np.isfinite(row).all() and row.any()}
