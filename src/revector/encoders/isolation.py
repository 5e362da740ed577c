"""Encoding a batch so that a text which cannot be encoded does not take the others with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import Kind, TextEncoder
from revector.errors import (
    EncoderError,
    RateLimitedError,
    RefusedTextsError,
    RevectorError,
    ServiceError,
    SpendCapError,
)

__all__ = ["Outcome", "encode_checked", "encode_each", "encode_into"]

_NUMBERS = "fiuV"  # bfloat16 is a "V"

Outcome: TypeAlias = "NDArray[np.float32] | EncoderError"


def encode_checked(encoder: TextEncoder, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
    """Encode texts; raise `EncoderError` unless each got a row of the space's dimension, of finite numbers.

    Whatever is encoded for a collection comes this way: an encoder may be anybody's.
    """
    return _require_rows(encoder, texts, encoder.encode(texts, kind=kind))


def _require_rows(encoder: TextEncoder, texts: Sequence[str], matrix: Any) -> NDArray[np.float32]:
    if not isinstance(matrix, np.ndarray):
        raise EncoderError(f"{encoder.space.model} returned a {type(matrix).__name__}, expected an ndarray")
    if matrix.dtype.kind not in _NUMBERS:
        raise EncoderError(f"{encoder.space.model} returned dtype {matrix.dtype}, expected float32")
    expected = (len(texts), encoder.space.dimension)
    if matrix.shape != expected:
        raise EncoderError(
            f"{encoder.space.model} returned shape {matrix.shape} for {len(texts)} texts, not {expected}"
        )
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
        rows: NDArray[np.float32] = matrix.astype(np.float32, copy=False)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise EncoderError(f"{encoder.space.model} returned NaN or infinity for {len(broken)} of {len(texts)} texts")
    return rows


class _FailedError(EncoderError):
    """An encoder failed with an error that does not say whose fault it is; `__cause__` is that error."""


def encode_each(encoder: TextEncoder, texts: Sequence[str]) -> list[Outcome]:
    """Encode documents, and halve a batch that fails until the bad texts stand alone.

    Returns
    -------
    list of ndarray or EncoderError
        A vector, or the reason why there is none, for each text. A vector of zeros (a static model's, for an empty text
        or one of unknown words) is none: it would be found before everything that has a negative score.

    Raises
    ------
    RateLimitedError, SpendCapError, ServiceError
        The service refuses; no text is at fault.
    Exception
        Whatever else the encoder raises for each of several texts alike: the encoder is at fault.
    """
    outcomes: list[Outcome] = []
    encode_into(outcomes, encoder, texts)
    return outcomes


def encode_into(outcomes: list[Outcome], encoder: TextEncoder, texts: Sequence[str]) -> None:
    """Do what `encode_each` does, and leave in `outcomes` those of the first texts if an exception ends it."""
    _halved(outcomes, encoder, texts)
    if len(outcomes) > 1 and all(isinstance(outcome, _FailedError) for outcome in outcomes):
        cause = _cause(outcomes[0])
        outcomes.clear()
        raise cause


def _halved(outcomes: list[Outcome], encoder: TextEncoder, texts: Sequence[str]) -> None:
    if not texts:
        return
    try:
        outcomes += _directed(encoder, encode_checked(encoder, texts))
    except RefusedTextsError as error:
        outcomes += _outcomes(encoder, texts, error)
    except Exception as error:  # out of memory, say, may be one text's fault as well as the library's
        if not _is_of_a_text(error):
            raise
        if len(texts) == 1:
            outcomes.append(_named(error))
            return
        half = len(texts) // 2
        _halved(outcomes, encoder, texts[:half])
        _halved(outcomes, encoder, texts[half:])


def _directed(encoder: TextEncoder, rows: NDArray[np.float32]) -> list[Outcome]:
    """Return the rows, and for one of nothing but zeros why no search could place it: its cosine to all is 0."""
    outcomes: list[Outcome] = list(rows)
    for place in np.flatnonzero(~rows.any(axis=1)).tolist():
        outcomes[place] = EncoderError(
            f"no part of the text is known to {encoder.space.model}, whose vector for it is zero; "
            "give it words that the model knows, or leave it out"
        )
    return outcomes


def _is_of_a_text(error: Exception) -> bool:
    if isinstance(error, (RateLimitedError, SpendCapError, ServiceError)):
        return False
    return isinstance(error, EncoderError) or not isinstance(error, RevectorError)


def _named(error: Exception) -> EncoderError:
    """Return an encoder's error as one of ours."""
    if isinstance(error, EncoderError):
        return error
    named = _FailedError(f"the encoder failed with {type(error).__name__}: {error}")
    named.__cause__ = error
    return named


def _cause(outcome: Outcome) -> BaseException:
    assert isinstance(outcome, _FailedError)
    assert outcome.__cause__ is not None
    return outcome.__cause__


def _outcomes(encoder: TextEncoder, texts: Sequence[str], error: RefusedTextsError) -> list[Outcome]:
    """Take what an encoder that isolates bad texts itself has done already."""
    outcomes: list[Outcome] = []
    for place in range(len(texts)):
        try:
            refusal = error.reasons.get(place)
            row = error.rows[place : place + 1]
            outcomes.append(
                EncoderError(refusal)
                if refusal
                else _directed(encoder, _require_rows(encoder, texts[place : place + 1], row))[0]
            )
        except EncoderError as broken:
            outcomes.append(broken)
    return outcomes
