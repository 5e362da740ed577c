"""Encoding a batch so that a text which can not be encoded does not take the others with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.errors import EncoderError, RateLimitedError, RefusedTextsError, ServiceError, SpendCapError

Outcome: TypeAlias = "NDArray[np.float32] | EncoderError"


def encode_checked(encoder: TextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Encode documents; raise `EncoderError` unless each got a finite row of the space's dimension."""
    return _require_rows(encoder, texts, encoder.encode(texts, kind="document"))


def _require_rows(encoder: TextEncoder, texts: Sequence[str], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    expected = (len(texts), encoder.space.dimension)
    if matrix.shape != expected:
        raise EncoderError(
            f"{encoder.space.model} returned shape {matrix.shape} for {len(texts)} texts, not {expected}"
        )
    broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(broken):
        raise EncoderError(f"{encoder.space.model} returned NaN or infinity for {len(broken)} of {len(texts)} texts")
    return matrix


def encode_each(encoder: TextEncoder, texts: Sequence[str]) -> list[Outcome]:
    """Encode documents, and halve a batch that fails until the bad texts stand alone.

    Returns
    -------
    list of ndarray or EncoderError
        A vector, or the reason why there is none, for each text.

    Raises
    ------
    RateLimitedError, SpendCapError, ServiceError
        The service refuses; no text is at fault.
    """
    if not texts:
        return []
    try:
        return list(encode_checked(encoder, texts))
    except (RateLimitedError, SpendCapError, ServiceError):
        raise
    except RefusedTextsError as error:
        return _outcomes(encoder, texts, error)
    except EncoderError as error:
        if len(texts) == 1:
            return [error]
        half = len(texts) // 2
        return encode_each(encoder, texts[:half]) + encode_each(encoder, texts[half:])


def _outcomes(encoder: TextEncoder, texts: Sequence[str], error: RefusedTextsError) -> list[Outcome]:
    """Take what an encoder that isolates bad texts itself has done already."""
    outcomes: list[Outcome] = []
    for place in range(len(texts)):
        try:
            refusal = error.reasons.get(place)
            row = error.rows[place : place + 1]
            outcomes.append(
                EncoderError(refusal) if refusal else _require_rows(encoder, texts[place : place + 1], row)[0]
            )
        except EncoderError as broken:
            outcomes.append(broken)
    return outcomes
