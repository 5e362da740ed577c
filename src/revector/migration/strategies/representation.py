"""Representation: the same model in fewer numbers, filled from the stored vectors, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from revector.migration.strategies.base import Facts, Reading, Situation, Work, restored


@dataclass(frozen=True)
class Representation:
    """Fill the new generation from the vectors of the old one, as fast as the store reads and writes.

    The strategy of a migration to a space that shortens the present one (`revector.Shortened`), unless another one is
    given. The old generation answers alone until the cut-over: it is complete, and the better one.
    """

    def fills(self, facts: Facts) -> Work:
        """Let workers take vectors from the old generation, and embed only what lacks one there."""
        return Work(derived=True)

    def reads(self, situation: Situation) -> Reading:
        """Leave searches as they are."""
        return situation.reading

    def gates(self, situation: Situation) -> Sequence[str]:
        """Ask for nothing beyond what every cut-over needs."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {"name": "representation"}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Representation:
        """Build the strategy from what `to_json` returned."""
        return restored(cls, fields)
