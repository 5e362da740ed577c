"""Generations of a store in memory, and the aliases that point at them."""

from __future__ import annotations

import time
from dataclasses import replace

from revector.backends.arguments import missing_generation, require_dimension
from revector.backends.contracts import Alias, Generation
from revector.errors import StaleAliasError, StoreError
from revector.spaces import EmbeddingSpace
from revector.testing.memory.state import State
from revector.testing.memory.vectors import MemoryVectors


class MemoryGenerations(MemoryVectors):
    """The generations of a collection; see `revector.backends.contracts.Generations`."""

    def create(self, space: EmbeddingSpace, encoder_source: str | None) -> Generation:
        """Create an empty generation."""
        with self._database.change() as view:
            state, number = view.state, view.state.last_generation + 1
            made = Generation(number, space, encoder_source, time.time())
            view.state = replace(
                state,
                generations={**state.generations, number: made},
                vectors={**state.vectors, number: {}},
                last_generation=number,
            )
        return made

    def get(self, generation: int) -> Generation:
        """Return a generation."""
        return _existing(self._database.read(), generation)

    def all(self) -> list[Generation]:
        """Return all generations, the oldest first."""
        return list(self._database.read().generations.values())

    def set_encoder_source(self, generation: int, encoder_source: str) -> None:
        """Note where the encoder of a generation can be loaded from now."""
        with self._database.change() as view:
            moved = replace(_existing(view.state, generation), encoder_source=encoder_source)
            view.state = replace(view.state, generations={**view.state.generations, generation: moved})

    def set_space(self, generation: int, space: EmbeddingSpace, encoder_source: str | None) -> None:
        """Note that the vectors of a generation are those of another contract."""
        with self._database.change() as view:
            known = _existing(view.state, generation)
            require_dimension(known, space)
            changed = replace(known, space=space, encoder_source=encoder_source)
            view.state = replace(view.state, generations={**view.state.generations, generation: changed})

    def drop(self, generation: int) -> None:
        """Delete a generation and its vectors."""
        with self._database.change() as view:
            state = view.state
            _existing(state, generation)
            if served := [alias.name for alias in state.aliases.values() if alias.generation == generation]:
                raise StoreError(f"generation {generation} is served by {', '.join(served)}; swap the alias first")
            view.state = replace(
                state,
                generations={key: value for key, value in state.generations.items() if key != generation},
                vectors={key: value for key, value in state.vectors.items() if key != generation},
            )

    def alias(self, name: str) -> Alias | None:
        """Return an alias, or ``None``."""
        return self._database.read().aliases.get(name)

    def create_alias(self, name: str, generation: int) -> Alias:
        """Create an alias with version 1."""
        with self._database.change() as view:
            _existing(view.state, generation)
            if name in view.state.aliases:
                raise StoreError(f"the alias {name!r} exists; move it with swap_alias")
            alias = Alias(name, generation, 1)
            view.state = replace(view.state, aliases={**view.state.aliases, name: alias})
        return alias

    def swap_alias(self, name: str, generation: int, expected_version: int) -> Alias:
        """Point an alias at another generation if it still has that version."""
        with self._database.change() as view:
            _existing(view.state, generation)
            found = view.state.aliases.get(name)
            if found is None:
                raise StoreError(f"the alias {name!r} does not exist; create it with create_alias")
            if found.version != expected_version:
                raise StaleAliasError(alias=name, expected=expected_version, found=found.version)
            alias = Alias(name, generation, found.version + 1)
            view.state = replace(view.state, aliases={**view.state.aliases, name: alias})
        return alias

    def save_map(self, source: str, target: str, blob: bytes) -> None:
        """Keep the fitted map between two spaces."""
        with self._database.change() as view:
            view.state = replace(view.state, maps={**view.state.maps, (source, target): (time.time(), blob)})

    def load_map(self, source: str, target: str) -> bytes | None:
        """Return what `save_map` kept, or ``None``."""
        kept = self._database.read().maps.get((source, target))
        return None if kept is None else kept[1]

    def map_kept_at(self, source: str, target: str) -> float | None:
        """Return when the map was kept, or ``None``."""
        kept = self._database.read().maps.get((source, target))
        return None if kept is None else kept[0]


def _existing(state: State, generation: int) -> Generation:
    if generation not in state.generations:
        raise missing_generation(generation)
    return state.generations[generation]
