"""The question to the candidates, from what is given to what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from revector._arguments import number
from revector._arrays import as_float32
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.identify import sentences
from revector.encoders.identify.comparison import TOLERANCE, Comparison
from revector.encoders.identify.forms import Values, best_form, embedded, unit
from revector.encoders.identify.results import Identification
from revector.encoders.texts import listed_texts
from revector.errors import InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.spaces import EmbeddingSpace

__all__ = ["identify"]

MOST_MISFITS = 5
MOST_TRIED = 20


def identify(
    texts: Sequence[str],
    vectors: Any,
    candidates: Sequence[TextEncoder],
    *,
    tolerance: float = TOLERANCE,
    variants: Mapping[str, Sequence[str]] | None = None,
) -> Identification:
    """Say which of some models made vectors; how well that can be told is in `revector.encoders.identify`.

    Parameters
    ----------
    texts : sequence of str
        A sample of a table, such as 200 texts drawn at random, as a model is given them.
    vectors : array_like of float32, shape (len(texts), dimension)
        What is stored for them.
    candidates : sequence of TextEncoder
        Each embeds every text once, and where vectors fit none, other forms of 20 texts; those of another dimension
        than the vectors are not asked.
    tolerance : float
        Greatest 1 - cosine between a vector and that of the model that made it.
    variants : mapping of str to sequence of str, optional
        Other texts that the vectors may have been made of, such as ``{"with the title before it": […]}``: tried like
        the forms that are tried in any case, where vectors fit no candidate.

    Raises
    ------
    InvalidArgumentError
        There is no text or no candidate, or two candidates are of one space.
    ShapeError
        Texts and vectors are not of one number.
    NumericalError
        A vector holds NaN or infinity.
    SpaceMismatchError
        No candidate makes vectors of this dimension.
    RateLimitedError, SpendCapError, ServiceError
        A service refuses.
    """
    texts, tolerance = listed_texts(texts), number(tolerance, "tolerance", least=0)
    stored = _checked(texts, vectors)
    others = {name: _of_same_rows(texts, listed_texts(given), name) for name, given in (variants or {}).items()}
    asked, impossible = _by_dimension(candidates, stored.shape[1])
    made, refused = zip(*(embedded(encoder, texts) for encoder in asked), strict=True)
    found = Comparison.of([encoder.space for encoder in asked], stored, np.stack(made), tolerance)
    odd = [place for place in found.unmatched if stored[place].any() and found.made[:, place].any(axis=-1).all()]
    odd = odd[:MOST_TRIED]
    form = best_form(
        [texts[place] for place in odd],
        unit(stored[odd]),
        asked,
        {name: [given[place] for place in odd] for name, given in others.items()},
        tolerance,
    )
    return Identification(
        best=None if found.named is None else found.spaces[found.named],
        reason=sentences.reason(found),
        hints=tuple(sentences.hints(found, refused, impossible, form, len(odd))),
        attributions=found.attributions,
        impossible=tuple(impossible),
        rows=len(texts),
        ambiguous=found.ambiguous,
        unmatched=len(found.unmatched),
        zero=found.zero,
        misfits=tuple(map(found.misfit, found.unmatched[:MOST_MISFITS])),
    )


def _checked(texts: Sequence[str], vectors: Any) -> Values:
    stored = as_float32(vectors, "vectors")
    if not texts:
        raise InvalidArgumentError("texts is empty, expected a sample of the table; one without texts has no model")
    if len(texts) != len(stored):
        raise ShapeError(f"got {len(texts)} texts and {len(stored)} vectors, expected a vector for each text")
    if len(broken := np.flatnonzero(~np.isfinite(stored).all(axis=1))):
        raise NumericalError(f"vectors[{broken[0]}] holds NaN or infinity; leave such rows out of the sample")
    return stored.astype(np.float64)


def _of_same_rows(texts: Sequence[str], others: Sequence[str], name: str) -> Sequence[str]:
    if len(others) != len(texts):
        raise ShapeError(f"variants[{name!r}] holds {len(others)} texts, expected one for each of {len(texts)}")
    return others


def _by_dimension(candidates: Sequence[TextEncoder], dimension: int) -> tuple[list[TextEncoder], list[EmbeddingSpace]]:
    """Return the candidates that can have made the vectors, and the spaces of those that cannot."""
    spaces = [space_of(encoder, f"candidates[{i}]") for i, encoder in enumerate(candidates)]
    if not spaces:
        raise InvalidArgumentError("candidates is empty, expected the models that may have made the vectors")
    fingerprints = [space.fingerprint for space in spaces]
    if twice := [i for i, each in enumerate(fingerprints) if each in fingerprints[:i]]:
        raise InvalidArgumentError(f"candidates[{twice[0]}] is {spaces[twice[0]]} once more; give each model once")
    asked = [encoder for encoder, space in zip(candidates, spaces, strict=True) if space.dimension == dimension]
    if not asked:
        raise SpaceMismatchError(
            f"the vectors have {dimension} dimensions, and those of no candidate have ({', '.join(map(str, spaces))}); "
            "name the model that made them",
            expected=f"{dimension} dimensions",
            found=", ".join(map(str, spaces)),
        )
    return asked, [space for space in spaces if space.dimension != dimension]
