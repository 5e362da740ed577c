"""The command that shows where a collection stands in the playbook of a migration."""

from __future__ import annotations

import typer
from rich.console import Group

from revector.cli.common import AsJson, CollectionUrl, at_place, opened, shown_place
from revector.cli.printing import emit, plain, table


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(checklist)


def checklist(collection: CollectionUrl, as_json: AsJson = False) -> None:
    """Show the playbook of a migration as a list: what is done, when and by which command, and what comes next."""
    with opened(collection) as docs:
        found = docs.checklist()
    place = shown_place(collection)
    items = [{**vars(item), "command": at_place(item.command, place)} for item in found.items]
    following = "" if found.next is None else at_place(found.next.command, place)
    rows = [(mark, name, at, " ".join(command.split()[1:2]), known) for mark, name, at, known, command in found.rows()]
    shown = table({"": "", "step": "", "done": "dim", "by": "", "what is known": ""}, rows)
    last = plain(f"next: {following}" if following else "all of it is done", "bold", whole=True)
    document = {**found.to_json(), "items": items}
    emit(document, Group(shown, "", last), as_json=as_json, next_steps=[following] if following else [])
