"""The batch jobs of a migration, as they are out at a service."""

from __future__ import annotations

from typing import Annotated

import typer

from revector.cli.common import AsJson, CollectionUrl, Encoders, migrating, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, plain


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(batches)


def batches(
    collection: CollectionUrl,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Call off those that have not ended; what they have done is charged.")
    ] = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """List the batch jobs of a migration, or call off those that are out."""
    with migrating(collection, encoder) as migration:
        found = migration.cancel_batch_jobs() if cancel else migration.batch_jobs
        is_out = bool(migration.status().batch_jobs)
    steps = [f"revector run {shell(shown_place(collection))} --batch"] if is_out else []
    shown = "\n".join(map(str, found)) or "no batch jobs"
    emit({"batch_jobs": found, "next_steps": steps}, plain(shown), as_json=as_json)
