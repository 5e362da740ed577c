"""Phases of a migration and the one table that says which may follow which."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

from revector.errors import IllegalTransitionError


class Phase(str, Enum):  # StrEnum needs Python 3.11
    """Where a migration stands. Paused and rollout share are fields of the migration, not phases."""

    PLANNED = "planned"  # accepted, nothing written
    FILLING = "filling"  # the new generation fills; writes go to both
    PROVING = "proving"  # filled; both generations answer, until the gates let the cut-over pass
    SERVING = "serving"  # alias moved; the old generation is kept and still written
    ROLLED_BACK = "rolled_back"  # the old generation serves; the new one is kept, and can be filled on
    RETIRED = "retired"  # the generation that does not serve is dropped; final

    def __str__(self) -> str:
        """Return the value, as ``StrEnum`` does."""
        return self.value


TRANSITIONS: MappingProxyType[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.PLANNED: frozenset({Phase.FILLING, Phase.ROLLED_BACK}),
        Phase.FILLING: frozenset({Phase.PROVING, Phase.ROLLED_BACK}),
        Phase.PROVING: frozenset({Phase.SERVING, Phase.ROLLED_BACK}),
        Phase.SERVING: frozenset({Phase.RETIRED, Phase.ROLLED_BACK}),
        Phase.ROLLED_BACK: frozenset({Phase.FILLING, Phase.RETIRED}),
        Phase.RETIRED: frozenset(),
    }
)

ACTIVE_PHASES = frozenset(phase for phase, following in TRANSITIONS.items() if following)


VERBS: MappingProxyType[Phase, str] = MappingProxyType(
    {
        Phase.FILLING: "start()",
        Phase.PROVING: "run()",
        Phase.SERVING: "cutover()",
        Phase.ROLLED_BACK: "rollback()",
        Phase.RETIRED: "retire()",
    }
)
"""The verb that leads to a phase."""


def require_transition(phase: Phase, wanted: Phase) -> None:
    """Raise `IllegalTransitionError` unless `wanted` may follow `phase`."""
    allowed = sorted(TRANSITIONS[phase], key=lambda following: following.value)
    if wanted not in allowed:
        verbs = " or ".join(VERBS[following] for following in allowed)
        remedy = f"next comes {verbs}" if verbs else "it is over; plan another one with Collection.migrate()"
        raise IllegalTransitionError(phase.value, wanted.value, tuple(p.value for p in allowed), remedy)


def steps_to_end(phase: Phase) -> tuple[str, ...]:
    """Return the verbs that end a migration, from where it stands."""
    return ("retire",) if Phase.RETIRED in TRANSITIONS[phase] else ("rollback", "retire")


def before_work(phase: Phase, verb: str) -> str:
    """Return what has to come before `run` or `verify`, for the message that refuses it."""
    if phase is Phase.RETIRED:
        return "it is over"
    steps = {"run": "start()", "verify": "run()" if phase is Phase.FILLING else "start(), then run()"}
    return f"call {steps[verb]} first"
