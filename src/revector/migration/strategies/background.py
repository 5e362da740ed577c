"""Background: every document is re-embedded, in the order of its priority, while the old generation serves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from revector._arguments import flag, function, number, shown, whole_number
from revector.errors import InvalidArgumentError
from revector.migration.priorities import SAMPLE_PER_DIMENSION, PriorityRule
from revector.migration.strategies.base import CANDIDATES, MOVING, Budget, Facts, Plain, Reading, Situation, Work
from revector.migration.throttle import Throttle

RESCORING = Budget(texts=10, texts_in_flight=32, milliseconds=50.0, milliseconds_beside=10.0)
"""The ten best hits are what it takes to remove the dip. A search may wait 50 ms for them, but not keep others waiting:
beside others it takes not much longer for them than for the rest."""
_LIMITS = ("rate", "share", "window")


@dataclass(frozen=True)
class Background(Plain):
    """Re-embed everything behind the serving generation.

    Parameters
    ----------
    batch : int, optional
        Texts given to the encoder at a time; by default as many as it embeds in a third of a second.
    priority : callable, optional
        Takes `DocumentFacts`, returns a priority of at least 1, lowest first; replaces the default rule.
    lease_seconds : float
        How long a worker may hold a document without a sign of life.
    seed : int
        Of the random sample that goes first, for the map between the spaces.
    worst_first : bool
        Whether what the rule leaves to the end comes in the order of how doubtful the map between the spaces is there,
        once there is one: for collections that have to do without the old model until everything is embedded.
    rate, share : float, optional
        Documents a second, of all workers together; the part of the time that each works.
    window : str, optional
        ``"22:00-06:00"``, local time: workers wait outside it. These three are where `Migration.throttle` begins, which
        changes them while the migration goes on.
    """

    NAME: ClassVar[str] = "background"

    batch: int | None = None
    priority: PriorityRule | None = None
    lease_seconds: float = 60.0
    seed: int = 0
    worst_first: bool = False
    rate: float | None = None
    share: float | None = None
    window: str | None = None

    def __post_init__(self) -> None:
        if self.priority is not None:
            function(self.priority, "priority")
        checked = {
            "batch": None if self.batch is None else whole_number(self.batch, "batch", least=1),
            "lease_seconds": number(self.lease_seconds, "lease_seconds", above=0),
            "seed": whole_number(self.seed, "seed", least=0),
            "worst_first": flag(self.worst_first, "worst_first"),
            **{name: getattr(self._limits, name) for name in _LIMITS},
        }
        for name, value in checked.items():  # as the ledger can keep them, whichever library they came from
            object.__setattr__(self, name, value)

    def fills(self, facts: Facts) -> Work:
        """Let workers embed everything: a random sample first, then what the rule says."""
        sample = SAMPLE_PER_DIMENSION * facts.dimension
        work = Work(sample, self.seed, self.priority, self.batch, self.lease_seconds)
        return replace(work, worst_first=self.worst_first, limits=self._limits)

    @property
    def _limits(self) -> Throttle:
        return Throttle(rate=self.rate, share=self.share, window=self.window)

    def reads(self, situation: Situation) -> Reading:
        """Let both generations compete while documents move, and until the cut-over what readers had at the end.

        The old generation is complete, so that nothing is missed that the old model would have found; what the new one
        holds is found by the new model as well. The best candidates that it lacks are embedded on the spot, within the
        budget, and what does not fit is embedded behind the search.
        """
        if situation.phase not in MOVING or situation.new.id not in situation.at_hand:
            return situation.reading
        return Reading((situation.old, situation.new), CANDIDATES, RESCORING, queued=RESCORING.texts)

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps. A priority rule is not kept: it has done its work once `start` has run.

        Should `start` be cut off, it is `start` with the rule again that goes on by it; `run` goes on by the default.
        """
        kept = {
            "name": self.NAME,
            "batch": self.batch,
            "lease_seconds": self.lease_seconds,
            "seed": self.seed,
            "priority": "default" if self.priority is None else "custom",
        }
        return {**kept, **({"worst_first": True} if self.worst_first else {}), **self._limits.to_json()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Background:
        """Build the strategy from what `to_json` returned."""
        if not isinstance(fields, dict):
            raise InvalidArgumentError(f"fields is {shown(fields)}, expected what to_json returned")
        if fields.get("name") != cls.NAME:
            raise InvalidArgumentError(f"{shown(fields.get('name'))} is not a strategy that this revector knows")
        if missing := {"batch", "lease_seconds", "seed"} - set(fields):
            raise InvalidArgumentError(f"fields lack {min(missing)!r}; they were not written by to_json")
        said = {name: fields[name] for name in ("worst_first", *_LIMITS) if name in fields}  # earlier releases had none
        return cls(fields["batch"], None, fields["lease_seconds"], fields["seed"], **said)
