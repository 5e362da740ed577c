"""Gathering a report: from the ledger, the last assessment, and what is measured on the spot."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from revector.backends.contracts import Backend
from revector.encoders.at_hand import EncoderSet
from revector.evaluation.health import examine_collection
from revector.ledger.records import MigrationRecord
from revector.migration.canaries import examine_canaries
from revector.migration.migration import Migration
from revector.migration.serving import ServingReader
from revector.migration.status import status_of
from revector.report.arms import rollout_section, shadow_section
from revector.report.assessment import NOTE, read_assessment
from revector.report.background import environment_section, events_section
from revector.report.content import Report, parts
from revector.report.course import cost_section, migration_section, migration_tiles, progress_section
from revector.report.quality import Ask, Judged, measure, quality_section
from revector.report.spaces import health_section, spaces_section
from revector.report.verdict import headline, verdict_sections


def build(
    backend: Backend,
    encoders: EncoderSet,
    *,
    assessment: Mapping[str, Any] | None = None,
    judged: Judged | None = None,
    ask: Ask | None = None,
    check: bool = True,
) -> Report:
    """Return the report of a collection.

    Parameters
    ----------
    backend : Backend
        The collection.
    encoders : EncoderSet
        The models at hand.
    assessment : mapping, optional
        As `revector assess --json` prints it; by default the last one, which the ledger keeps.
    judged : Judged, optional
        Queries to measure what readers get now; the point is kept with the migration.
    ask : callable, optional
        Answers them as readers are answered.
    check : bool
        Whether the health of what serves is looked at, which reads the whole file.

    Raises
    ------
    InvalidArgumentError
        The assessment is none.
    """
    serving, record = ServingReader(backend).read().serving, _last_migration(backend)
    status = None if record is None else status_of(backend, record)
    given = backend.ledger.notes.get(NOTE) if assessment is None else assessment
    assessed = read_assessment(given, record.target_space.model if record else "")
    migration = None if record is None else Migration(backend, record.id, encoders)
    if judged is not None and ask is not None:
        measure(backend, encoders, serving, record, judged, ask)
    health = examine_collection(backend, serving, examine_canaries(backend, encoders)) if check else None
    sections, left_out = parts(
        [
            *verdict_sections(assessed),
            migration_section(backend, record, status),
            quality_section(backend, serving, record),
            progress_section(backend, record),
            cost_section(backend, record, status, assessed),
            spaces_section(backend, serving, record),
            health_section(health),
            rollout_section(migration),
            shadow_section(migration),
            events_section(backend.ledger.events_after(0)),
            environment_section(backend),
        ]
    )
    tiles = migration_tiles(status, backend.documents.count())
    return Report(backend.place, time.time(), headline(assessed, tiles), sections, left_out)


def _last_migration(backend: Backend) -> MigrationRecord | None:
    """Return the migration that is under way, or else the last one."""
    if (active := backend.ledger.active(backend.alias)) is not None:
        return active
    last = max((event.migration for event in backend.ledger.events_after(0)), default=0)
    return backend.ledger.record(last) if last else None
