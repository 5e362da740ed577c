"""Rollout: the new model is shown to a growing share of the readers, and to nobody any longer once it does worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from revector._arguments import flag, share, shown
from revector.errors import InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration.strategies.base import MOVING, Plain, Reading, Situation, restored
from revector.rollout import Margins, Ramp, Step, in_new_arm

BOTH_ARMS = "both"
"""The arm of readers whose answers are interleaved from both rankings; "old" and "new" have one each."""


@dataclass(frozen=True)
class Rollout(Plain):
    """Show the new model's answers to a share of the readers, from an A/A at 1 % to all of them.

    Stands in a list behind a strategy that fills. Until `Migration.roll_out` begins, and for whoever searches without a
    ``key``, the old generation answers alone. Then a reader whose key falls into the share sees the new generation's
    answers, or those of both interleaved: where readers click, that tells two rankings apart with a small part of the
    searches that a comparison of two groups needs. The groups guard time, errors and searches that find nothing.

    The next share is taken when each step has been seen often enough and nothing speaks against it; the rollout stops
    by itself, and the migration is rolled back, once the new arm is shown to be worse than its margins allow. All
    intervals hold however often one looks (`revector.rollout.sequential`).

    Parameters
    ----------
    ramp : Ramp
        The shares, and how many searches of the new arm each step needs.
    margins : Margins
        How much worse the new arm may be, by each metric.
    interleaved : float
        Share of the new arm's readers whose answers are interleaved, 0 to 1.
    by_key : bool
        Whether each key, a tenant say, is judged on its own as well: one for whom the new arm is shown to be worse goes
        back to the old arm alone, and the rollout goes on for the others.
    """

    NAME: ClassVar[str] = "rollout"

    ramp: Ramp = field(default_factory=Ramp)
    margins: Margins = field(default_factory=Margins)
    interleaved: float = 0.5
    by_key: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("ramp", Ramp), ("margins", Margins)):
            if not isinstance(given := getattr(self, name), kind):
                raise InvalidArgumentError(f"{name} is {shown(given)}, expected a {kind.__name__}")
        object.__setattr__(self, "by_key", flag(self.by_key, "by_key"))
        object.__setattr__(self, "interleaved", share(self.interleaved, "interleaved", zero=True))

    def reads(self, situation: Situation) -> Reading:
        """Read the generation that the reader's arm is of, and the old one for everybody else."""
        if situation.phase not in MOVING or situation.old.id not in situation.at_hand:
            return situation.reading
        old, stage, key = situation.old, situation.stage, situation.key
        if stage is None or stage.stopped or situation.phase is Phase.FILLING or key is None:
            return Reading((old,))
        step, salt = self.ramp.steps[stage.at], f"{old.id} {situation.new.id}"
        ready = situation.covered and situation.new.id in situation.at_hand
        if not ready or key in stage.held or not in_new_arm(key, salt, step.share):
            return Reading((old,), arm="old")
        new, group = old if step.same else situation.new, key if self.by_key else ""
        if in_new_arm(key, f"{salt} interleaved", self.interleaved):
            return Reading((old, new), arm=BOTH_ARMS, group=group)
        return Reading((new,), arm="new", group=group)

    def gates(self, situation: Situation) -> Sequence[str]:
        """Ask for a rollout that was passed."""
        stage = situation.stage
        if stage is None:
            return ("the rollout has not begun; call roll_out()",)
        if stage.passed:
            return ()
        if stage.stopped:
            return (f"the rollout was stopped: {stage.reason}; call roll_out() to begin again",)
        step = self.ramp.steps[stage.at]
        shown = f"{step.share:.0%} of the readers ({stage.reason})"
        return (f"the rollout stands at {shown}; wait for it, or skip the rest by roll_out(to=1.0)",)

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {
            "name": self.NAME,
            "ramp": self.ramp.to_json(),
            "margins": asdict(self.margins),
            "interleaved": self.interleaved,
            "by_key": self.by_key,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Rollout:
        """Build the strategy from what `to_json` returned."""
        parts: dict[str, Any] = {"ramp": Ramp, "margins": Margins}
        known: dict[str, Any] = {name: restored(kind, fields[name]) for name, kind in parts.items() if name in fields}
        return restored(cls, {**fields, **known})

    def at_share(self, wanted: float) -> int | None:
        """Return the first step, not counting an A/A, that shows the new arm to at least a share of the readers."""
        steps: tuple[Step, ...] = self.ramp.steps
        return next((at for at, step in enumerate(steps) if not step.same and step.share >= wanted), None)
