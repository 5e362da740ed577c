"""The command that moves a collection to another store."""

from __future__ import annotations

from typing import Annotated

import typer

from revector.cli.common import AsJson, CollectionUrl, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, progress_bar


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(move)


def move(
    collection: CollectionUrl,
    to: Annotated[str, typer.Argument(metavar="TO", help="Where nothing is yet: a file, or the URL of a store.")],
    as_json: AsJson = False,
) -> None:
    """Copy a collection into another store: documents, the vectors that serve, their space; nothing is embedded.

    It is refused while a migration is under way. One that was cut off is begun again by the same command, and goes on;
    until its end there is no collection at TO. The old one stays as it is.
    """
    place = shown_place(to)
    with opened(collection) as docs, progress_bar() as bar:
        task = bar.add_task("moving", total=None, details="")
        moved = docs.move(to, on_progress=lambda done, total: bar.update(task, completed=done, total=total))
    lacking = f", {moved.without_vector:,} of them without a vector" if moved.without_vector else ""
    said = f"{place} holds {moved.documents:,} documents{lacking}, with vectors of {moved.space}"
    steps = [f"revector search {shell(place)} QUERY", f"revector doctor {shell(place)}"]
    emit({**moved.to_json(), "to": place}, said, as_json=as_json, next_steps=steps)
