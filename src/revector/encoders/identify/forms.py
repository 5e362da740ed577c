"""Vectors that no model makes of some texts may be a model's vectors of the texts in another form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import add

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError

__all__ = ["FittingForm", "best_form", "embedded", "unit"]

Values = NDArray[np.float64]

PREFIXES = ("query: ", "passage: ", "search_document: ")
AS_QUERY = "encoded as a query"


def _without_first_line(text: str) -> str:
    return text.partition("\n")[2].lstrip("\n")  # a title and a blank line, say


FORMS: Mapping[str, Callable[[str], str]] = {
    "stripped of white space at its ends": str.strip,
    "in lower case": str.lower,
    "without its first line": _without_first_line,
    **{f"given with '{prefix}' before it": partial(add, prefix) for prefix in PREFIXES},
}


@dataclass(frozen=True)
class FittingForm:
    """A form of the texts whose vectors are those that were stored: of which encoder, and for how many rows."""

    encoder: TextEncoder
    form: str
    rows: int


def unit(rows: NDArray[np.floating]) -> Values:
    """Return rows of length 1 in float64; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)


def embedded(encoder: TextEncoder, texts: Sequence[str]) -> tuple[Values, dict[int, EncoderError]]:
    """Return the vectors of documents in float64, zeros for each that has none, and by place why it has none."""
    outcomes = encode_each(encoder, texts)
    refused = {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, EncoderError)}
    rows = np.zeros((len(texts), encoder.space.dimension))
    for place, outcome in enumerate(outcomes):
        if not isinstance(outcome, EncoderError):
            rows[place] = outcome
    return rows, refused


def best_form(
    texts: Sequence[str],
    stored: Values,
    encoders: Sequence[TextEncoder],
    others: Mapping[str, Sequence[str]],
    tolerance: float,
) -> FittingForm | None:
    """Return the form that most vectors fit; ``None`` if none fits any.

    Parameters
    ----------
    texts : sequence of str
        A few, or none: each is embedded once for each form that changes it, with each encoder.
    stored : ndarray of float64, shape (len(texts), dimension)
        Vectors of something like them, of length 1.
    encoders : sequence of TextEncoder
        Of this dimension.
    others : mapping of str to sequence of str
        Further forms of the texts, by what they are.
    tolerance : float
        Greatest 1 - cosine at which a vector fits.
    """
    forms = {form: [change(text) for text in texts] for form, change in FORMS.items()} | dict(others)
    fitting = [
        FittingForm(encoder, form, int(np.sum(cosines >= 1.0 - tolerance)))
        for encoder in (encoders if texts else ())
        for form, cosines in _cosines(encoder, texts, forms, stored).items()
    ]
    best = max(fitting, key=lambda found: found.rows, default=None)
    return best if best is not None and best.rows else None


def _cosines(
    encoder: TextEncoder, texts: Sequence[str], forms: Mapping[str, Sequence[str]], stored: Values
) -> dict[str, Values]:
    """Return the cosines of the stored vectors to those of the rows that each form changes."""
    changed = [
        (form, place, given)
        for form, all_given in forms.items()
        for place, given in enumerate(all_given)
        if given not in ("", texts[place])
    ]
    rows, _ = embedded(encoder, [given for _, _, given in changed])
    cosines = np.einsum("ij,ij->i", unit(rows), stored[[place for _, place, _ in changed]])
    found = {form: cosines[[name == form for name, _, _ in changed]] for form in forms}
    if encoder.space.query_prefix != encoder.space.document_prefix:
        queries = unit(encode_checked(encoder, texts, kind="query"))
        found[AS_QUERY] = np.einsum("ij,ij->i", queries, stored)
    return found
