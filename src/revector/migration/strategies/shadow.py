"""Shadow: the new generation is asked beside the old one, and what differs is published; no reader is shown it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from revector._arguments import share, whole_number
from revector.ledger.state import Phase
from revector.migration.strategies.base import Plain, Reading, Situation


@dataclass(frozen=True)
class Shadow(Plain):
    """Ask both generations alone, behind a share of the searches, once the new one is filled.

    Stands in a list behind a strategy that fills. Readers wait for nothing and see nothing of it, its errors included.
    `Migration.shadowed`, `revector status` and the metrics say how the answers differ, and how long each took; the
    cut-over waits until enough searches have been shadowed without an error.

    Parameters
    ----------
    share : float
        Of the searches, above 0 to 1.
    least : int
        Searches that have to be shadowed before the cut-over; 0 for none.
    """

    NAME: ClassVar[str] = "shadow"

    share: float = 0.1
    least: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", share(self.share, "share"))
        object.__setattr__(self, "least", whole_number(self.least, "least", least=0))

    def reads(self, situation: Situation) -> Reading:
        """Leave what readers see as it is."""
        if situation.phase is not Phase.PROVING or not situation.covered:
            return situation.reading
        return replace(situation.reading, shadow=self.share)

    def gates(self, situation: Situation) -> Sequence[str]:
        """Ask for enough searches in whose shadow nothing failed."""
        seen, failed = situation.shadowed
        if seen < self.least:
            wanted = f"{self.least} are wanted; let readers search"
            return (f"{seen} searches were shadowed by the new generation, {wanted}",)
        if failed:
            return (f"{failed} of {seen} searches failed in the new generation; the log of who searches says why",)
        return ()
