"""The commands that take a user's own table in, and give it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Optional

import typer
from rich.console import Group

from revector.backends.contracts.adoption import Adopted, AdoptingKind, Released, TableToAdopt
from revector.backends.opening import kind_of
from revector.cli.common import MODEL_HELP, AsJson, CollectionUrl, open_encoder
from revector.cli.endings import CommandError, shell
from revector.cli.printing import emit, fields, plain, spinner
from revector.errors import GateRefusedError

FACTS = {
    "kind": "kind",
    "keys": "key",
    "texts": "text",
    "vector": "vector",
    "updated": "updated",
    "alias": "alias",
    "dimension": "dimension",
    "metric": "metric",
    "fields": "fields",
    "others": "carried along",
    "indexes": "index",
    "has_row_security": "row-level security",
    "partitions": "partitions",
    "triggers": "triggers",
}
"""What is shown to people of what was found of a table, where a store knows it; JSON has all of it."""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(adopt)
    app.command()(release)


def adopt(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="The database of the table; the collection's name may follow a #."),
    ],
    table: Annotated[
        str,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="The table, as it is spelled: SCHEMA.TABLE; or a collection, in a store of vectors.",
        ),
    ],
    id_: Annotated[str, typer.Option("--id", metavar="A[,B]", help="The columns of its key; id of a point.")],
    text: Annotated[
        list[str],
        typer.Option("--text", metavar="C[,D]", help="The columns that are embedded; may be given several times."),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="MODEL",
            help=f"The model of the vectors; of several, the one that made them is found. {MODEL_HELP}",
        ),
    ],
    vector: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option("--vector", metavar="V", help="The column of the vectors, where there may be several."),
    ] = None,
    updated: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--updated", metavar="U", help="The column that says when a row was changed."),
    ] = None,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--name", metavar="NAME", help="Of the collection; that of the table otherwise."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; print the SQL.")] = False,
    accept_unidentified: Annotated[
        bool, typer.Option("--accept-unidentified", help="Take the first model where the vectors name none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a collection of a table that an application writes, with the vectors that it has.

    The table stays the application's. Names are taken as they are spelled, case included.
    """
    kind = _adopting(url)
    chosen = TableToAdopt(table, id_, tuple(text), vector, updated, name)
    candidates = [open_encoder(each) for each in model]
    with spinner("looking at the table") as status:
        found = kind.adopt(
            url,
            chosen,
            candidates,
            dry_run=dry_run,
            accept_unidentified=accept_unidentified,
            tell=status.update,
        )
    steps = (
        [] if dry_run else [f"revector doctor {shell(found.url)}", f"revector start {shell(found.url)} --model MODEL"]
    )
    emit(found, _shown(found, dry_run=dry_run), as_json=as_json, next_steps=steps)


def release(
    collection: CollectionUrl,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, remove all of it but the table: this ends it.")] = False,
    accept_missing: Annotated[
        bool, typer.Option("--accept-missing", help="Leave rows without a vector that have none.")
    ] = False,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Write over the vectors in the column, which stays; writers wait meanwhile."),
    ] = False,
    fire_triggers: Annotated[
        bool, typer.Option("--fire-triggers", help="Let the table's triggers run for every row that is written.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give an adopted table back, with the vectors that serve in its own column; remove every trace beside it."""
    kind = _adopting(collection)
    if not (yes or dry_run):
        raise GateRefusedError(
            "release", ("everything but the table and the vectors that serve is deleted; say --yes",)
        )
    with spinner("giving the table back") as status:
        released = kind.release(
            collection,
            allow_missing=accept_missing,
            in_place=in_place,
            fire_triggers=fire_triggers,
            dry_run=dry_run,
            tell=status.update,
        )
    emit(released, fields(_given_back(released, dry_run=dry_run)), as_json=as_json)


def _adopting(url: str) -> AdoptingKind:
    """Return what adopts the tables of a store.

    Raises
    ------
    InvalidArgumentError
        Nothing does.
    """
    kind = kind_of(url)
    if isinstance(kind, AdoptingKind):
        return kind
    place = kind.shown(url)
    steps = (f"revector init {shell(place)} --model MODEL", f"revector add {shell(place)} FILE")
    raise CommandError(
        f"{place} is not in a store whose tables can be adopted; import the documents: {', then '.join(steps)}", *steps
    )


def _shown(found: Adopted, *, dry_run: bool) -> Group:
    ending = f"{'would be' if dry_run else 'adopted as'} {shell(found.url)}"
    statements = [f"\n{statement.strip().removesuffix(';')};" for statement in found.statements if dry_run]
    return Group(fields(_rows(found)), *(plain(text, whole=True) for text in [ending, *statements]))


def _rows(found: Adopted) -> dict[str, str]:
    facts = {label: _said(found.facts[name]) for name, label in FACTS.items() if name in found.facts}
    contents = {name.replace("_", " "): _said(value) for name, value in found.contents.items()}
    identification = found.identification or {}
    model = {"model": str(identification["reason"])} if "reason" in identification else {}
    hints = {"hints": "\n".join(identification["hints"])} if identification.get("hints") else {}
    return {**facts, **contents, **model, **hints}


def _given_back(released: Released, *, dry_run: bool) -> dict[str, str]:
    shown = {
        "would be given back" if dry_run else "given back": released.table,
        "vectors": f"{released.vectors:,}",
        "without one": f"{released.missing:,} rows with a text" if released.missing else "",
        "indexes": _said(released.indexes),
        "left out": "\n".join(released.left_out) or "nothing",
        "to know": "\n".join(released.notices),
        "writers waited": f"{released.pause_seconds:.2f} s at most" if released.pause_seconds else "",
    }
    return {name: value for name, value in shown.items() if value}


def _said(value: Any) -> str:
    """Show a value as people read it: of several each, of a mapping its name and what else it has."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return _named(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):  # what has those says itself what it is
        return "; ".join(map(_said, value)) or "none"
    return "none" if value is None else str(value)


def _named(thing: Mapping[str, Any]) -> str:
    """Show a column or an index."""
    options = (f"{name} {value}" for name, value in thing.get("options", {}).items())
    details = [str(thing[name]) for name in ("type", "method", "operator_class") if name in thing]
    unfinished = [] if thing.get("is_valid", True) else ["not valid"]
    return f"{thing['name']} ({', '.join([*details, *options, *unfinished])})"
