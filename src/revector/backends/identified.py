"""Which of the models that were named made the vectors of what is to be adopted, and the refusal where none did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.identify import Identification, identify
from revector.errors import InvalidArgumentError

__all__ = ["SAMPLE", "identified", "require_possible"]

SAMPLE = 200
"""Vectors that the model is told by."""


def require_possible(candidates: Sequence[TextEncoder], dimension: int, table: str) -> None:
    """Refuse models none of which can have made vectors of a dimension, before any is asked."""
    if not candidates:
        raise InvalidArgumentError("no model is given; name the one that made the vectors with --model")
    if all(each.space.dimension != dimension for each in candidates):
        given = ", ".join(f"{each.space} has {each.space.dimension} dimensions" for each in candidates)
        raise InvalidArgumentError(
            f"{given}, and the vectors of {table} have {dimension}; name the model that made them"
        )


def identified(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    candidates: Sequence[TextEncoder],
    dimension: int,
    *,
    accept_unidentified: bool,
) -> tuple[TextEncoder, Identification | None]:
    """Return the candidate that made some vectors of texts, and how that was told; the first one where there are none.

    Raises
    ------
    InvalidArgumentError
        None did, and the first one is not to be taken all the same.
    """
    first = next(each for each in candidates if each.space.dimension == dimension)
    if not texts:
        return first, None
    found = identify(texts, vectors, candidates)
    if found.best is not None:
        return next(each for each in candidates if each.space == found.best), found
    if accept_unidentified:
        return first, found
    raise InvalidArgumentError(
        f"{'; '.join([found.reason, *found.hints])}. Name the model that made the vectors with --model (several may be "
        "given), or accept the first one with --accept-unidentified"
    )
