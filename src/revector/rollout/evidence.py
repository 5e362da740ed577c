"""What a step of a rollout has seen: sums, which processes keep apart and add up, and which JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from revector.rollout.sequential import Counts, Histogram, Moments, Sums

__all__ = ["Arm", "Evidence"]


@dataclass(frozen=True)
class Arm(Sums):
    """What was seen of one arm.

    Parameters
    ----------
    searches : int
        All of them.
    errors : int
        Those that failed.
    empty : int
        Those that found nothing.
    milliseconds : Histogram
        Time of each one that did not fail.
    cost : Moments
        Money spent on each.
    reward : Moments
        What feedback was worth: 0 or 1 for a click, a reciprocal rank, a purchase.
    """

    searches: int = 0
    errors: int = 0
    empty: int = 0
    milliseconds: Histogram = field(default_factory=Histogram)
    cost: Moments = field(default_factory=Moments)
    reward: Moments = field(default_factory=Moments)

    @classmethod
    def search(cls, milliseconds: float, *, empty: bool = False, cost: float = 0.0) -> Arm:
        """Return what one search adds that did not fail."""
        return cls(1, empty=int(empty), milliseconds=Histogram.of(milliseconds), cost=Moments.of(cost))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Arm:
        """Build an arm from what JSON made of it."""
        bins = {int(place): count for place, count in fields["milliseconds"]["bins"].items()}
        cost, reward = (Moments(**fields[name]) for name in ("cost", "reward"))
        return cls(fields["searches"], fields["errors"], fields["empty"], Histogram(bins), cost, reward)


@dataclass(frozen=True)
class Evidence(Sums):
    """What was seen since a step began.

    Parameters
    ----------
    old, new : Arm
        Of searches that were answered by one generation each.
    preferred : Counts
        Of queries answered by both, interleaved: those whose clicks prefer the new arm, among those that prefer one.
    undecided : int
        Queries with clicks that prefer neither.
    """

    old: Arm = field(default_factory=Arm)
    new: Arm = field(default_factory=Arm)
    preferred: Counts = field(default_factory=Counts)
    undecided: int = 0

    @property
    def interleaved(self) -> int:
        """Queries answered by both that have clicks."""
        return self.preferred.n + self.undecided

    def clicked(self, preference: int) -> Evidence:
        """Return the evidence with one more query that has clicks: 1 for the new arm, -1 for the old one, 0."""
        decided = Counts(int(preference > 0), int(preference != 0))
        return self + Evidence(preferred=decided, undecided=int(preference == 0))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Evidence:
        """Build evidence from what `to_json` returned."""
        old, new = (Arm.from_json(fields[arm]) for arm in ("old", "new"))
        return cls(old, new, Counts(**fields["preferred"]), fields["undecided"])
