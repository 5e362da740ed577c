"""Stored vectors beside those that each candidate makes: which fit which, and which candidate that names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from revector.encoders.identify.forms import Values, unit
from revector.encoders.identify.results import Attribution, Lengths, Misfit, Share
from revector.spaces import EmbeddingSpace

__all__ = ["TOLERANCE", "Comparison", "are", "lengths_of"]

TOLERANCE = 1e-3
"""Greatest 1 - cosine between a stored vector and that of the model that made it."""
SAME = 1e-6
"""Two candidates whose vectors of a text are as near as that have the same one: storage alone changes it by more."""
LENGTH_TOLERANCE = 0.01
"""Lengths that differ by a smaller share are equal; int8 and float16 change them by less."""
_MOSTLY = 0.95

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """The vectors of a sample, (n, d), and those of c candidates for the same texts, (c, n, d).

    `cosines` and `fits`, (n, c), are those of each stored vector to each candidate's, and whether it fits that.
    """

    spaces: Sequence[EmbeddingSpace]
    stored: Values
    made: Values
    cosines: Values
    fits: Flags

    @classmethod
    def of(cls, spaces: Sequence[EmbeddingSpace], stored: Values, made: Values, tolerance: float) -> Comparison:
        """Compare; a vector of zeros fits nothing."""
        cosines = np.einsum("nd,cnd->nc", unit(stored), unit(made))
        return cls(spaces, stored, made, cosines, _fits(stored, made, cosines, tolerance))

    @property
    def unmatched(self) -> list[int]:
        """Places of the vectors that fit no candidate."""
        return np.flatnonzero(~self.fits.any(axis=1)).tolist()

    @property
    def ambiguous(self) -> int:
        """How many fit several."""
        return int((self.fits.sum(axis=1) > 1).sum())

    @property
    def zero(self) -> int:
        """How many are zero."""
        return int((~self.stored.any(axis=1)).sum())

    @cached_property
    def named(self) -> int | None:
        """The candidate that most vectors fit, and that those name which tell it from any other one."""
        candidates = range(len(self.spaces))
        for one in candidates:
            fits_most = 2 * self.fits[:, one].sum() > len(self.fits)
            if fits_most and all(self._prevails(one, other) for other in candidates if other != one):
                return one
        return None

    @cached_property
    def attributions(self) -> tuple[Attribution, ...]:
        """What of the sample each candidate made."""
        return tuple(map(self._attribution, range(len(self.spaces))))

    def misfit(self, place: int) -> Misfit:
        """Return which candidate is nearest to a vector that fits none."""
        nearest = int(self.cosines[place].argmax())
        return Misfit(place, self.spaces[nearest], float(self.cosines[place, nearest]))

    def name(self, space: EmbeddingSpace) -> str:
        """Return what to call a candidate: its model, with what tells it from others of that name."""
        return space.model if [each.model for each in self.spaces].count(space.model) == 1 else str(space)

    def _prevails(self, one: int, other: int) -> bool:
        fits_one, fits_other = self.fits[:, one], self.fits[:, other]
        for_one, for_other = int((fits_one & ~fits_other).sum()), int((fits_other & ~fits_one).sum())
        return for_one > 0 and (for_other == 0 or Share.of(for_one, for_one + for_other).low > 0.5)

    def _attribution(self, candidate: int) -> Attribution:
        fits = self.fits[:, candidate]
        shared = int((fits & (self.fits.sum(axis=1) > 1)).sum())
        alone = int(fits.sum()) - shared
        rows = alone + shared if candidate == self.named else alone
        lengths, factor = self._lengths(candidate)
        return Attribution(
            space=self.spaces[candidate],
            rows=rows,
            alone=alone,
            shared=shared,
            share=Share.of(rows, len(fits)),
            median_cosine=float(np.median(self.cosines[:, candidate])),
            lowest_cosine=float(self.cosines[:, candidate].min()),
            lengths=lengths,
            factor=factor,
        )

    def _lengths(self, candidate: int) -> tuple[Lengths | None, float | None]:
        fits = self.fits[:, candidate]
        if not fits.any():
            return None, None
        stored, made = lengths_of(self.stored[fits]), lengths_of(self.made[candidate, fits])
        ratios = stored / made
        factor = float(np.median(ratios))
        if are(ratios, 1.0):
            return "as made", factor
        if are(stored, 1.0):
            return "normalised", factor
        return "scaled" if are(ratios, factor) else "different", factor


def _fits(stored: Values, made: Values, cosines: Values, tolerance: float) -> Flags:
    """Return which vectors fit which candidates, (n, c).

    With a and b the unit vectors of the nearest candidate and another one, and v the stored one, v's place on the way
    from b (0) to a (1) is ``1/2 + (v·a - v·b) / (2 (1 - a·b))``: beyond 3/4, v is not b's.
    """
    rows, nearest = np.arange(len(stored)), cosines.argmax(axis=1)
    apart = 1.0 - np.einsum("nd,cnd->nc", unit(made[nearest, rows]), unit(made))
    further = cosines[rows, nearest][:, None] - cosines
    fits = (apart <= SAME) | (further <= apart / 2)
    fits &= cosines.max(axis=1, keepdims=True) >= 1.0 - tolerance
    lengths = lengths_of(made).T
    as_long = np.abs(lengths_of(stored)[:, None] - lengths) <= LENGTH_TOLERANCE * lengths
    told_by_length = (fits & as_long).any(axis=1, keepdims=True)
    return np.asarray(fits & (as_long | ~told_by_length))


def lengths_of(rows: Values) -> Values:
    """Return the length of each row."""
    return np.asarray(np.linalg.norm(rows, axis=-1))


def are(values: Values, expected: float) -> bool:
    """Whether nearly all lengths, or ratios of lengths, are what is expected."""
    return bool(np.mean(np.abs(values - expected) <= LENGTH_TOLERANCE * expected) >= _MOSTLY)
