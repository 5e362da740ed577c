"""What a collection looks like from outside: its file, its vectors, its index."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from revector.backends.contracts import Backend, Generation, IndexHealth
from revector.migration.beside import notice_of_left
from revector.migration.canaries import CanaryHealth
from revector.migration.insurance import Insurance, insurance_of


@dataclass(frozen=True)
class CollectionHealth:
    """What was found.

    Parameters
    ----------
    documents : int
        That are live.
    stale : int
        Documents without a vector of their present text in the generation that serves.
    damage : tuple of str
        What the backend's own check found wrong, each with what helps.
    index : IndexHealth
        Of the generation that serves.
    notices : tuple of str
        What happened that is mended by now, such as an index that was built anew after a backup was restored.
    canaries : tuple of CanaryHealth
        What the fixed texts of each generation say of its model.
    insurance : Insurance or None
        What would answer without the present model.
    """

    documents: int
    stale: int
    damage: tuple[str, ...]
    index: IndexHealth
    notices: tuple[str, ...] = ()
    canaries: tuple[CanaryHealth, ...] = ()
    insurance: Insurance | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each with what to do about it; empty for a sound collection."""
        found = list(self.damage)
        if self.stale:
            found.append(
                f"{self.stale:,} of {self.documents:,} documents have no vector of their present text, so no search "
                "finds them by it: run the migration, or add them again"
            )
        found += [canary.problem for canary in self.canaries if canary.problem]
        return (*found, *(f"index: {problem}" for problem in self.index.problems))

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {**asdict(self), "problems": self.problems}


def examine_collection(
    backend: Backend, serving: Generation, canaries: tuple[CanaryHealth, ...] = ()
) -> CollectionHealth:
    """Look at the generation that serves.

    Parameters
    ----------
    backend : Backend
        Holds it.
    serving : Generation
        Which one.
    canaries : tuple of CanaryHealth
        What was found of the models.
    """
    with backend.snapshot():
        documents, stale = backend.documents.count(), backend.generations.count_stale(serving.id)
    health, notice = backend.index.check(serving), backend.index.notice(serving)
    found = (f"the index was built anew: {notice}" if notice else "", notice_of_left(backend))
    notices = tuple(each for each in found if each)
    damage = tuple(backend.check())
    return CollectionHealth(documents, stale, damage, health, notices, canaries, insurance_of(backend))
