"""Who serves a collection, and which generations are live: one value, read once, that searches and writes share."""

from __future__ import annotations

from dataclasses import dataclass

from revector.backends.contracts import Alias, Backend, Generation
from revector.errors import StoreError
from revector.ledger.state import Phase


@dataclass(frozen=True)
class Serving:
    """A collection at one moment.

    Parameters
    ----------
    alias : Alias
        What readers follow.
    phase : Phase or None
        Of the migration, if there is one.
    serving : Generation
        The generation that the alias points at.
    other : Generation or None
        The migration's other generation, from `start` until `retire`.
    """

    alias: Alias
    phase: Phase | None
    serving: Generation
    other: Generation | None

    @property
    def live(self) -> tuple[Generation, ...]:
        """The generations that writes have to reach, the serving one first."""
        return (self.serving,) if self.other is None else (self.serving, self.other)


class ServingReader:
    """Reads what serves. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        The collection.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._generations: dict[tuple[int, int], Generation] = {}

    def read(self) -> Serving:
        """Return what serves now. No encoder is asked: callers may hold a transaction.

        Raises
        ------
        StoreError
            The collection has no alias.
        """
        backend = self._backend
        with backend.snapshot():
            alias, record = backend.generations.alias(backend.alias), backend.ledger.active(backend.alias)
            if alias is None:
                raise StoreError(f"the alias {backend.alias!r} does not exist in {backend.url}; create it first")
            serving = self._generation(alias.generation)
            pair = () if record is None else (record.source_generation, record.target_generation)
            others = [generation for generation in pair if generation not in (None, serving.id)]
            other = self._generation(others[0]) if others else None
        return Serving(alias, None if record is None else record.phase, serving, other)

    def _generation(self, generation: int) -> Generation:
        """Return a generation; within one history it never changes, and its number is never used again."""
        key = (self._backend.history(), generation)
        found = self._generations.get(key)
        if found is None:
            found = self._generations[key] = self._backend.generations.get(generation)
        return found
