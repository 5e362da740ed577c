"""Background: every document is re-embedded, in the order of its priority, while the old generation serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from revector._arguments import function, number, shown, whole_number
from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError
from revector.migration.priorities import PriorityRule, prioritise


@dataclass(frozen=True)
class Background:
    """Re-embed everything behind the serving generation.

    Parameters
    ----------
    batch : int
        Documents encoded at a time.
    priority : callable, optional
        Takes `DocumentFacts`, returns a priority of at least 1, lowest first; replaces the default rule.
    lease_seconds : float
        How long a worker may hold a document without a sign of life.
    seed : int
        Of the random sample that goes first, for the map between the spaces.
    """

    batch: int = 64
    priority: PriorityRule | None = None
    lease_seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.priority is not None:
            function(self.priority, "priority")
        checked = {
            "batch": whole_number(self.batch, "batch", least=1),
            "lease_seconds": number(self.lease_seconds, "lease_seconds", above=0),
            "seed": whole_number(self.seed, "seed", least=0),
        }
        for name, value in checked.items():  # as the ledger can keep them, whichever library they came from
            object.__setattr__(self, name, value)

    def priorities(self, backend: Backend, *, dimension: int) -> dict[int, int]:
        """Return the priority of every document by key; `dimension` is the larger one of the two spaces."""
        return prioritise(backend.documents.facts(), dimension=dimension, rule=self.priority, seed=self.seed)

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps. A priority rule is not kept: it has done its work once `start` has run."""
        return {
            "name": "background",
            "batch": self.batch,
            "lease_seconds": self.lease_seconds,
            "seed": self.seed,
            "priority": "default" if self.priority is None else "custom",
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Background:
        """Build the strategy from what `to_json` returned."""
        if not isinstance(fields, dict):
            raise InvalidArgumentError(f"fields is {shown(fields)}, expected what to_json returned")
        if fields.get("name") != "background":
            raise InvalidArgumentError(f"{shown(fields.get('name'))} is not a strategy that this revector knows")
        if missing := {"batch", "lease_seconds", "seed"} - set(fields):
            raise InvalidArgumentError(f"fields lack {min(missing)!r}; they were not written by to_json")
        return cls(batch=fields["batch"], lease_seconds=fields["lease_seconds"], seed=fields["seed"])
