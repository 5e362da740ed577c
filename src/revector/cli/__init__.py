"""The command line: the verbs of the library, each with ``--json`` for scripts.

Exit codes: 0 done, 1 an error, 2 wrong usage, 3 a gate refused or a verdict is not "migrate".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import revector
from revector.cli import (
    adopt,
    assess,
    backup,
    collection,
    demo,
    doctor,
    hands,
    importing,
    insure,
    judge,
    migrate,
    model,
    rehearse,
    replay,
    rollout,
    same_space,
)
from revector.cli.endings import CommandGroup
from revector.cli.printing import say

app = typer.Typer(
    name="revector",
    cls=CommandGroup,
    help="Move a live vector collection from one embedding model to the next.",
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 a gate refused or the verdict is not to migrate. "
    "'python -m revector --cmakedir|--includedir|--libs' prints where the C++ library is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"revector {revector.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version)] = False,
) -> None:
    """Take what stands before the command."""


for module in (
    demo,
    importing,
    collection,
    adopt,
    assess,
    judge,
    insure,
    rehearse,
    migrate,
    rollout,
    replay,
    hands,
    model,
    same_space,
    backup,
    doctor,
):
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    app(args=None if arguments is None else list(arguments), prog_name="revector")
