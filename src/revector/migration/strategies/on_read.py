"""On-read: what searches find is re-embedded first, behind them; a lazy tail brings the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from revector._arguments import share, whole_number
from revector.migration.priorities import SAMPLE_PER_DIMENSION
from revector.migration.strategies.base import CANDIDATES, MOVING, Facts, Plain, Reading, Situation, Work


@dataclass(frozen=True)
class OnRead(Plain):
    """Re-embed the hits of searches, after they were answered.

    A search is answered with what there is, and does not wait: its hits that have not moved are embedded by a thread of
    the process that searched, and stored. What nobody searches for is the lazy tail: `run` embeds it in a share of its
    time, so that the migration ends. Beside `Background`, which comes first in the list, `run` takes all of its time.

    Parameters
    ----------
    hits : int
        The best hits of a query that are embedded behind it.
    tail_share : float
        Share of its time, above 0 to 1, in which `run` embeds what no search has found.
    seed : int
        Of the random sample that `run` takes first, for the map between the spaces.
    """

    NAME: ClassVar[str] = "on-read"

    hits: int = 10
    tail_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hits", whole_number(self.hits, "hits", least=1))
        object.__setattr__(self, "tail_share", share(self.tail_share, "tail_share"))
        object.__setattr__(self, "seed", whole_number(self.seed, "seed", least=0))

    def fills(self, facts: Facts) -> Work:
        """Let workers embed everything, lazily."""
        return Work(SAMPLE_PER_DIMENSION * facts.dimension, self.seed, share=self.tail_share)

    def reads(self, situation: Situation) -> Reading:
        """Leave the best hits to be embedded behind the search, and let both generations compete."""
        if situation.phase not in MOVING or situation.new.id not in situation.at_hand:
            return situation.reading
        reading = situation.reading
        if situation.new not in reading.recall:
            reading = Reading((situation.old, situation.new), CANDIDATES)
        return replace(reading, queued=max(self.hits, reading.queued))
