"""What was seen of searches that both generations of a migration have answered, unseen by their readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from revector.backends.contracts import Backend
from revector.rollout import Arm, Moments
from revector.rollout.sequential import Sums

SHADOW = "shadow"
"""What the sums are kept under."""


@dataclass(frozen=True)
class Shadowed(Sums):
    """How two generations have answered the same searches.

    Parameters
    ----------
    old, new : Arm
        Searches, errors, times.
    overlap : Moments
        Share of the documents that both found.
    rank_biased_overlap : Moments
        The same with more weight on the first ranks; see `revector.search.replay`.
    """

    old: Arm = field(default_factory=Arm)
    new: Arm = field(default_factory=Arm)
    overlap: Moments = field(default_factory=Moments)
    rank_biased_overlap: Moments = field(default_factory=Moments)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Shadowed:
        """Build it from what `to_json` returned."""
        old, new = (Arm.from_json(fields[name]) for name in ("old", "new"))
        return cls(old, new, Moments(**fields["overlap"]), Moments(**fields["rank_biased_overlap"]))


def shadowed_of(backend: Backend, migration_id: int) -> Shadowed:
    """Return what was seen in the shadow of a migration's searches."""
    sums = backend.ledger.observations.sums(migration_id, SHADOW)
    return Shadowed.from_json(sums) if sums else Shadowed()
