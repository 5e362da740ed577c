"""What was found, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from revector.encoders.identify.comparison import Comparison, are, lengths_of
from revector.encoders.identify.forms import FittingForm
from revector.encoders.identify.results import Attribution
from revector.errors import EncoderError
from revector.spaces import EmbeddingSpace

__all__ = ["hints", "reason"]

Refusals = Mapping[int, EncoderError]


def reason(found: Comparison) -> str:
    """Say which candidate made the vectors, or why none is named."""
    rest = [_owned(found, each) for each in found.attributions if each.alone and each is not _named(found)]
    if found.unmatched:
        odd = found.misfit(found.unmatched[0])
        unmatched, n = len(found.unmatched), len(found.stored)
        those = f"{'all ' if unmatched == n > 1 else ''}{_some(unmatched, 'fits', 'fit')} no candidate"
        rest.append(
            f"{those}: vectors[{odd.place}], say, has a cosine of {odd.cosine:.3f} to {found.name(odd.nearest)}'s"
        )
    return "; ".join((*_first(found), *rest))


def _first(found: Comparison) -> Iterator[str]:
    """Say who made most of the vectors; nothing where all of them fit no candidate, which is said anyway."""
    n, best = len(found.stored), _named(found)
    if best is not None:
        also = f", of which {best.shared} fit another candidate as well" if best.shared else ""
        yield f"{best.rows} of {n} vectors ({best.share}) are {found.name(best.space)}'s{also}"
    elif found.ambiguous > max(each.alone for each in found.attributions):
        yield (
            f"{found.ambiguous} of {n} vectors fit several candidates, and too few others tell which of them it is: "
            "draw more or longer texts, or give one of them alone"
        )
    elif len(found.unmatched) < n:
        yield f"no candidate made most of {n} vectors"


def hints(
    found: Comparison,
    refused: Sequence[Refusals],
    impossible: Sequence[EmbeddingSpace],
    form: FittingForm | None,
    tried: int,
) -> Iterator[str]:
    """Say what else is known.

    Parameters
    ----------
    found : Comparison
    refused : sequence of mapping of int to EncoderError
        By candidate, the texts that have no vector.
    impossible : sequence of EmbeddingSpace
        Candidates of another dimension.
    form : FittingForm, optional
        A form of the texts that fits some of `tried` vectors which fit none.
    """
    yield from _lengths(found)
    if found.zero:
        yield f"{_some(found.zero, 'vector is', 'vectors are')} zero, which no model makes of a text that it knows"
    for space, reasons in zip(found.spaces, refused, strict=True):
        if reasons:
            first = next(iter(reasons.values()))
            yield f"{found.name(space)} has no vector for {_some(len(reasons), 'text', 'texts')} ({first})"
    if impossible and found.named is None:
        yield f"not asked, for the vectors have {found.stored.shape[1]} dimensions: {', '.join(map(str, impossible))}"
    if form is not None:
        name = found.name(form.encoder.space)
        yield f"{form.rows} of {tried} that fit none are {name}'s of the text {form.form}"


def _lengths(found: Comparison) -> Iterator[str]:
    best = _named(found)
    if best is None:
        lengths = lengths_of(found.stored)
        if lengths.any() and not are(lengths, 1.0):
            yield f"the vectors are not of length 1, but of {lengths.min():.3g} to {lengths.max():.3g}"
        return
    name = found.name(best.space)
    if best.lengths == "normalised":
        yield f"the vectors are of length 1, which {name} does not make them"
    elif best.lengths == "scaled":
        yield f"the vectors are {best.factor:.4g} times as long as {name} makes them"
    elif best.lengths == "different":
        yield f"the vectors are of other lengths than {name} makes them"


def _named(found: Comparison) -> Attribution | None:
    return None if found.named is None else found.attributions[found.named]


def _owned(found: Comparison, each: Attribution) -> str:
    return f"{_some(each.alone, 'is', 'are')} {found.name(each.space)}'s"


def _some(n: int, one: str, several: str) -> str:
    return f"{n:,} {one if n == 1 else several}"
