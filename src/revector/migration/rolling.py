"""A rollout's course: what was seen of a step, what follows from it, and who writes that down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from revector.backends.contracts import Backend, QueryFeedback
from revector.errors import InvalidArgumentError, MigrationError
from revector.migration.serving import STAGE, stage_of
from revector.migration.strategies import Rollout, Strategy
from revector.migration.strategies.base import Stage
from revector.rollout import Arm, Decision, Evidence, Moments, Outcome, decide


@dataclass(frozen=True)
class RolloutStatus:
    """Where a rollout stands.

    Parameters
    ----------
    stage : Stage
        The step, and whether it is over.
    share : float
        Of the readers with a key that are in the new arm.
    evidence : Evidence
        What was seen since the step began.
    decision : Decision
        What follows from that, with what is known of each metric.
    """

    stage: Stage
    share: float
    evidence: Evidence
    decision: Decision


def rollout_of(strategies: Sequence[Strategy]) -> Rollout:
    """Return the rollout among some strategies; raise `MigrationError` if there is none."""
    for strategy in strategies:
        if isinstance(strategy, Rollout):
            return strategy
    raise MigrationError("the migration has no rollout; plan it with strategy=[Background(), Rollout()]")


def evidence_of(backend: Backend, migration_id: int, stage: Stage) -> Evidence:
    """Return what was seen since a step began, but of keys that are held: of searches, and of what readers said."""
    left_out = {stage.name_of(key) for key in stage.held}
    names = backend.ledger.observations.names(migration_id, stage.name)
    return sum((_kept(backend, migration_id, name) for name in names if name not in left_out), Evidence())


def newly_held(backend: Backend, migration_id: int, rollout: Rollout, stage: Stage) -> tuple[str, ...]:
    """Return the keys for which the new arm is shown to be worse than its margins allow, beside all of the old arm."""
    if not rollout.by_key or rollout.ramp.steps[stage.at].same:
        return ()
    whole, held = evidence_of(backend, migration_id, stage), []
    for name in backend.ledger.observations.names(migration_id, stage.name):
        key = name.removeprefix(stage.name).lstrip(" ")
        if key and key not in stage.held:
            own = replace(_kept(backend, migration_id, name), old=whole.old)
            if decide(rollout.ramp, stage.at, own, rollout.margins).outcome is Outcome.STOP:
                held.append(key)
    return tuple(held)


def _kept(backend: Backend, migration_id: int, name: str) -> Evidence:
    observations = backend.ledger.observations
    sums = observations.sums(migration_id, name)
    evidence = Evidence.from_json(sums) if sums else Evidence()
    said = observations.feedback(migration_id, name)
    for query in said:
        if query.arm == "both":
            evidence = evidence.clicked((query.preference > 0) - (query.preference < 0))
    return replace(evidence, old=_rewarded(evidence.old, said, "old"), new=_rewarded(evidence.new, said, "new"))


def _rewarded(arm: Arm, said: Sequence[QueryFeedback], name: str) -> Arm:
    """Return an arm with the rewards of its searches: those about which nobody said anything have none."""
    rewards = [each.reward for each in said if each.arm == name]
    return replace(arm, reward=replace(Moments.of(*rewards), n=max(arm.searches, len(rewards))))


def status_of_rollout(backend: Backend, migration_id: int, rollout: Rollout) -> RolloutStatus | None:
    """Return where a rollout stands, or ``None`` if it has not begun."""
    stage = stage_of(backend, migration_id)
    if stage is None:
        return None
    evidence = evidence_of(backend, migration_id, stage)
    decision = decide(rollout.ramp, stage.at, evidence, rollout.margins)
    return RolloutStatus(stage, rollout.ramp.steps[stage.at].share, evidence, decision)


def begun(rollout: Rollout, share: float | None) -> Stage:
    """Return the stage that a rollout begins with, or goes on to by its operator's wish."""
    at = 0 if share is None else rollout.at_share(share)
    if at is None:
        raise InvalidArgumentError(f"to is {share}, expected at most {rollout.ramp.shares[-1]}, the ramp's last share")
    reason = "it has begun" if share is None else f"taken to {rollout.ramp.steps[at].share:.0%} by hand"
    is_all = share is not None and rollout.ramp.steps[at].share == 1
    return Stage(at, time.time(), reason, passed=is_all)


def following(rollout: Rollout, status: RolloutStatus) -> Stage | None:
    """Return the stage that follows from what was seen; ``None`` while nothing does."""
    stage, decision = status.stage, status.decision
    if stage.stopped or stage.passed or decision.outcome is Outcome.CONTINUE:
        return None
    if decision.outcome is Outcome.NEXT:
        at = rollout.ramp.steps.index(decision.step, stage.at + 1)
        return replace(stage, at=at, began=time.time(), reason=decision.reason)
    passed = decision.outcome is Outcome.DONE
    return replace(stage, reason=decision.reason, stopped=not passed, passed=passed)


def keep_stage(backend: Backend, migration_id: int, before: Stage | None, after: Stage) -> bool:
    """Write down where a rollout stands, unless somebody else has moved it meanwhile; tell whether this call did."""
    with backend.exclusive():
        if stage_of(backend, migration_id) != before:
            return False
        note_stage(backend, migration_id, after)
    return True


def note_stage(backend: Backend, migration_id: int, stage: Stage) -> None:
    """Write down where a rollout stands."""
    backend.ledger.note(migration_id, STAGE, asdict(stage))
