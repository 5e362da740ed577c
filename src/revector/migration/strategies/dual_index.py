"""Dual index: both generations answer every search, before the cut-over and, if that is wished, after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from revector._arguments import flag, share, whole_number
from revector.ledger.state import Phase
from revector.migration.strategies.base import CANDIDATES, MOVING, Plain, Reading, Situation


@dataclass(frozen=True)
class DualIndex(Plain):
    """Query both generations, and merge what they find.

    Fills nothing by itself: it stands in a list beside `Background` or `OnRead`, and says how deep both are read, and
    whether the old model's scores count in the ranking for as long as its generation is kept.

    Parameters
    ----------
    depth : int
        Candidates of each generation.
    weight_of_old : float
        Weight of the old model's standardised score where both are known, 0 to 1; 0 ranks by the new model alone, once
        it has seen a query's best documents; until then the old one's is a half at least. Two models that are alike
        can rank better together than either does; the verdict of `assess` measures that.
    after_cutover : bool
        Whether both are read after the cut-over, too, until `retire`.
    """

    NAME: ClassVar[str] = "dual-index"

    depth: int = CANDIDATES
    weight_of_old: float = 0.0
    after_cutover: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", whole_number(self.depth, "depth", least=1))
        object.__setattr__(self, "weight_of_old", share(self.weight_of_old, "weight_of_old", zero=True))
        object.__setattr__(self, "after_cutover", flag(self.after_cutover, "after_cutover"))

    def reads(self, situation: Situation) -> Reading:
        """Let both generations compete."""
        both = (situation.old, situation.new)
        reads = situation.phase in MOVING or (situation.phase is Phase.SERVING and self.after_cutover)
        if not reads or any(generation.id not in situation.at_hand for generation in both):
            return situation.reading
        depth = max(self.depth, situation.reading.depth)
        return replace(situation.reading, recall=both, depth=depth, weight_of_old=self.weight_of_old)
