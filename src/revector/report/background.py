"""What stands at the end of a report: the events, and where it was made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence

import numpy as np

import revector
from revector.backends.contracts import Backend
from revector.ledger.records import Event
from revector.report.content import Column, LeftOut, Section, Table
from revector.report.formatting import shortened, shown_bytes

MOST_EVENTS = 200


def events_section(events: Sequence[Event]) -> Section | LeftOut:
    """List what has happened to the migrations of the collection, the last events where there are many."""
    title = "Events"
    if not events:
        return LeftOut(title, "nothing has happened to a migration of this collection")
    columns = (Column("time", "time"), Column("event", "code"), Column("phase"), Column("details", "code"))
    rows = tuple((each.at, shortened(each.name, 80), _phases(each), _details(each)) for each in events[-MOST_EVENTS:])
    earlier = len(events) - len(rows)
    sentence = f"{len(events):,} events{f', of which the first {earlier:,} are left out' if earlier else ''}."
    return Section("events", title, (sentence,), (Table("What happened", columns, rows),))


def environment_section(backend: Backend) -> Section:
    """Say where the report was made, and what the collection is."""
    rows = (
        ("collection", backend.place),
        ("documents", f"{backend.documents.count():,}"),
        ("size", shown_bytes(backend.stored_bytes())),
        *((f"generation {each.id}", str(each.space)) for each in backend.generations.all()),
        ("revector", revector.__version__),
        ("instruction set", f"{revector.active_isa()} (of {', '.join(revector.available_isas())})"),
        ("threads", f"{revector.num_threads()}, by {revector.num_threads_reason()}"),
        ("processors", str(os.cpu_count())),
        ("CUDA", "yes" if revector.cuda_available() else "no"),
        ("system", platform.platform()),
        ("Python", f"{platform.python_version()}, numpy {np.__version__}"),
    )
    shown = tuple((name, shortened(value, 300)) for name, value in rows)
    table = Table("Where this was measured", (Column("what"), Column("value", "code")), shown)
    return Section("environment", "Environment", tables=(table,))


def _phases(event: Event) -> str:
    if event.from_phase is None or event.from_phase is event.to_phase:
        return str(event.to_phase)
    return f"{event.from_phase} → {event.to_phase}"


def _details(event: Event) -> str:
    return shortened(json.dumps(event.details, ensure_ascii=False, default=str)) if event.details else ""
