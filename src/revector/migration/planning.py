"""Accepting a migration: what a caller wants of one, written down as a new one or into the one that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from revector.backends.contracts import Alias, Backend
from revector.errors import MigrationError, StaleAliasError, StoreError
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase
from revector.migration.strategies import Background, Representation, Strategy, strategies_to_json
from revector.spaces import EmbeddingSpace

RETENTION_SECONDS = 7 * 86400.0
"""How long the old generation is kept after the cut-over, unless it is said."""


@dataclass(frozen=True)
class Given:
    """What a caller wants of a migration; ``None`` where that is left open."""

    space: EmbeddingSpace
    source: str | None
    strategies: Sequence[Strategy] | None
    retention_seconds: float | None


def planned(backend: Backend, given: Given) -> MigrationRecord:
    """Write a new migration down."""
    present = _require_alias(backend, backend.alias)
    source = backend.generations.get(present.generation)
    if source.space.fingerprint == given.space.fingerprint:
        raise MigrationError(f"{backend.alias!r} is in the space {source.space} already; there is nothing to migrate")
    plain = Representation() if given.space.derives_from(source.space) else Background()
    return backend.ledger.plan(
        alias=backend.alias,
        alias_version=present.version,
        source_generation=source.id,
        target_space=given.space,
        target_encoder_source=given.source,
        strategy=strategies_to_json(given.strategies or (plain,)),
        retention_seconds=RETENTION_SECONDS if given.retention_seconds is None else given.retention_seconds,
    )


def going_on(backend: Backend, given: Given) -> MigrationRecord | None:
    """Return the migration to that space that does not serve yet, with what is given now; ``None`` without one."""
    record = backend.ledger.active(backend.alias)
    if record is None or record.phase is Phase.SERVING or record.target_space.fingerprint != given.space.fingerprint:
        return None
    wanted: dict[str, Any] = {
        "strategy": given.strategies and strategies_to_json(given.strategies),
        "retention_seconds": given.retention_seconds,
        "target_encoder_source": given.source,
    }
    changed = {name: value for name, value in wanted.items() if value not in (None, getattr(record, name))}
    return backend.ledger.note(record.id, "plan", **changed) if changed else record


def _require_alias(backend: Backend, name: str) -> Alias:
    alias = backend.generations.alias(name)
    if alias is None:
        raise StoreError(f"the alias {name!r} does not exist; create it with create_alias")
    return alias


def require_version(backend: Backend, record: MigrationRecord) -> None:
    """Raise `StaleAliasError` if somebody else moved the alias."""
    found = _require_alias(backend, record.alias).version
    if found != record.alias_version:
        raise StaleAliasError(alias=record.alias, expected=record.alias_version, found=found)
