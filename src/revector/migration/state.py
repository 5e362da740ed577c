"""Phases of a migration and the one table that says which may follow which."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

from revector.errors import IllegalTransitionError


class Phase(str, Enum):  # StrEnum needs Python 3.11
    """Where a migration stands. Paused and rollout share are fields of the migration, not phases."""

    PLANNED = "planned"  # accepted, nothing written
    FILLING = "filling"  # the new generation fills; writes go to both
    PROVING = "proving"  # filled; gates, shadow reads, canary
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
        Phase.PROVING: frozenset({Phase.SERVING, Phase.FILLING, Phase.ROLLED_BACK}),
        Phase.SERVING: frozenset({Phase.RETIRED, Phase.ROLLED_BACK}),
        Phase.ROLLED_BACK: frozenset({Phase.FILLING, Phase.RETIRED}),
        Phase.RETIRED: frozenset(),
    }
)

ACTIVE_PHASES = frozenset(phase for phase, following in TRANSITIONS.items() if following)


def require_transition(phase: Phase, wanted: Phase) -> None:
    """Raise `IllegalTransitionError` unless `wanted` may follow `phase`."""
    allowed = TRANSITIONS[phase]
    if wanted not in allowed:
        raise IllegalTransitionError(phase.value, wanted.value, tuple(sorted(p.value for p in allowed)))
