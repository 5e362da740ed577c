"""What is found when models are compared with the vectors of a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from revector.spaces import EmbeddingSpace

__all__ = ["Attribution", "Identification", "Lengths", "Misfit", "Share"]

CONFIDENCE = 0.95

Lengths = Literal["as made", "normalised", "scaled", "different"]


@dataclass(frozen=True)
class Share:
    """A share of the sample, with the interval of 95 % in which that of the whole table is (Wilson's score interval).

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
    Statistical Association 22, 1927.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, rows: int, n: int) -> Share:
        """Return the share of `rows` in `n`, which is at least 1."""
        z2 = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) ** 2
        p = rows / n
        centre, reach = p + z2 / (2 * n), (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5
        low, high = ((centre + way * reach) / (1 + z2 / n) for way in (-1, 1))
        return cls(p, low if rows else 0.0, high if rows < n else 1.0)

    def __str__(self) -> str:
        """Return the interval."""
        return f"{100 * self.low:.1f}–{100 * self.high:.1f} %"


@dataclass(frozen=True)
class Attribution:
    """What of the sample a candidate made.

    Parameters
    ----------
    space : EmbeddingSpace
        Of the candidate.
    rows : int
        Vectors that are the candidate's: those that fit it alone, and of the candidate that is named also those that
        fit others as well.
    alone, shared : int
        Vectors that fit it and no other candidate, and those that fit others as well.
    share : Share
        Of `rows` in the sample.
    median_cosine, lowest_cosine : float
        Of all vectors of the sample to those that the candidate makes of their texts.
    lengths : {"as made", "normalised", "scaled", "different"}, optional
        How long the vectors that fit are: as the candidate makes them; of length 1, which the candidate's are not; all
        longer or shorter by one factor; or none of that. ``None`` where none fits.
    factor : float, optional
        Median of their length over that of the candidate's.
    """

    space: EmbeddingSpace
    rows: int
    alone: int
    shared: int
    share: Share
    median_cosine: float
    lowest_cosine: float
    lengths: Lengths | None
    factor: float | None


@dataclass(frozen=True)
class Misfit:
    """A vector that fits no candidate: its place in the sample, the nearest candidate's space, and the cosine to it."""

    place: int
    nearest: EmbeddingSpace
    cosine: float


@dataclass(frozen=True)
class Identification:
    """Which of some candidates made the vectors of a sample.

    Parameters
    ----------
    best : EmbeddingSpace, optional
        Of the candidate that most vectors fit, and that those name which tell it from the others.
    reason : str
        What was found, in a sentence.
    hints : tuple of str
        What else is known of the lengths, and of the vectors that fit none.
    attributions : tuple of Attribution
        For each candidate that was asked, in their order.
    impossible : tuple of EmbeddingSpace
        Of the candidates that were not asked, since their vectors have another dimension.
    rows, ambiguous, unmatched, zero : int
        Vectors of the sample; those that fit several candidates; those that fit none; those of them that are zero.
    misfits : tuple of Misfit
        The first of those that fit none.
    """

    best: EmbeddingSpace | None
    reason: str
    hints: tuple[str, ...]
    attributions: tuple[Attribution, ...]
    impossible: tuple[EmbeddingSpace, ...]
    rows: int
    ambiguous: int
    unmatched: int
    zero: int
    misfits: tuple[Misfit, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the reason and the hints."""
        return "; ".join((self.reason, *self.hints))
