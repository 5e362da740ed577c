"""What the ledger says of an alias that moved, also where the step was cut off between the two.

That happens in backends where alias and ledger do not commit together. There the alias moves first, because readers
follow it, and the ledger is told afterwards. A process that died in between has done what readers see; whoever comes
next writes it down.
"""

from __future__ import annotations

import time
from typing import Any

from revector.backends.contracts import Backend
from revector.ledger.records import MigrationRecord
from revector.ledger.state import Phase
from revector.migration.dependents import let_be_due


def write_down_cut_off(backend: Backend) -> None:
    """Let the ledger say what a cut-over or rollback that was cut off has done to the alias.

    A backend whose parts commit together, or that is only read, is left alone.
    """
    if backend.capabilities.transactions or backend.read_only:
        return
    record = backend.ledger.active(backend.alias)
    if record is None or not _has_moved(backend, record):
        return
    with backend.exclusive():  # whoever was about to write it down has done so
        record = backend.ledger.record(record.id)
        if _has_moved(backend, record):
            _write_down(backend, record)


def write_down_cutover(backend: Backend, migration_id: int, alias_version: int, details: dict[str, Any]) -> bool:
    """Let the ledger say that readers see the new generation; tell whether dependents are due."""
    fields = {"alias_version": alias_version, "cutover_at": time.time()}
    are_due = let_be_due(backend, "cutover")
    backend.ledger.advance(migration_id, Phase.SERVING, "cutover", details, **fields)
    return are_due


def write_down_rollback(
    backend: Backend, migration_id: int, alias_version: int, details: dict[str, Any] | None = None
) -> bool:
    """Let the ledger say that readers see the old generation; tell whether dependents are due."""
    fields = {"alias_version": alias_version, "cutover_at": None}
    is_serving = backend.ledger.record(migration_id).phase is Phase.SERVING
    are_due = is_serving and let_be_due(backend, "rollback")
    backend.ledger.set_asked_through(migration_id, None)
    backend.ledger.advance(migration_id, Phase.ROLLED_BACK, "rollback", details, **fields)
    return are_due


def _has_moved(backend: Backend, record: MigrationRecord) -> bool:
    """Tell whether the alias made the very step that the ledger would note next."""
    alias = backend.generations.alias(record.alias)
    to = {Phase.PROVING: record.target_generation, Phase.SERVING: record.source_generation}.get(record.phase)
    return alias is not None and (alias.generation, alias.version) == (to, record.alias_version + 1)


def _write_down(backend: Backend, record: MigrationRecord) -> None:
    write_down = write_down_cutover if record.phase is Phase.PROVING else write_down_rollback
    write_down(backend, record.id, record.alias_version + 1, {"cut_off": True})
