"""The command that proves, or refutes, that two models are of one space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import MODEL_HELP, AsJson, open_encoder
from revector.cli.endings import EXIT_REFUSED, shell
from revector.cli.printing import emit


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(same_space)


def same_space(
    old: Annotated[str, typer.Argument(metavar="OLD", help=f"The model whose vectors are stored. {MODEL_HELP}")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The model that shall go on.")],
    texts: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="Documents to compare on, as 'add' reads them; by default Python's documentation."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that another runtime, precision or provider gives the same space; exit with 3 if it does not.

    Where it does, 'revector model COLLECTION --set NEW' goes on with it, with --same-space also where the contract is
    another one. Nothing is rebuilt.
    """
    from revector.evaluation.same_space import same_space as compared
    from revector.formats.rows import read_documents

    given = None if texts is None else [row.text for row in read_documents(texts)]
    found = compared(open_encoder(old), open_encoder(new), given)
    steps = [f"revector model COLLECTION --set {shell(new)} --same-space"] if found.same else []
    emit(found, str(found), as_json=as_json, next_steps=steps)
    if not found.same:
        raise typer.Exit(EXIT_REFUSED)
