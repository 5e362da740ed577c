"""The command for backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from revector.cli.common import AsJson, CollectionUrl, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, spinner

BYTES_A_MEGABYTE = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(backup)


def backup(
    collection: CollectionUrl,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for the copy; made if it is missing.")],
    as_json: AsJson = False,
) -> None:
    """Copy a collection as it is now, beside whoever writes, and check the copy. Restores one, too."""
    with opened(collection) as docs, spinner("copying and checking"):
        made = docs.backup(directory)
    result = {
        "collection": shown_place(collection),
        "backup": str(made.path),
        "documents": made.documents,
        "bytes": made.bytes,
    }
    size = made.bytes / BYTES_A_MEGABYTE
    said = f"{made.path} holds {made.documents:,} documents ({size:,.1f} MB, checked)"
    emit(result, said, as_json=as_json, next_steps=[f"revector doctor {shell(str(made.path))}"])
