"""The command line: the verbs of the library, each with ``--json`` for scripts.

Defaults come from the environment and from ``revector.toml``; see `revector.cli.config`.

Exit codes: 0 done, 1 an error, 2 wrong usage, 3 a gate refused or a verdict is not "migrate".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

import revector
from revector.cli import (
    adopt,
    assess,
    backup,
    batches,
    checklist,
    collection,
    demo,
    doctor,
    exporting,
    hands,
    importing,
    insure,
    judge,
    migrate,
    model,
    moving,
    plan,
    rehearse,
    replay,
    report,
    rollout,
    same_space,
    serve,
    watch,
)
from revector.cli.config import FILE
from revector.cli.endings import CommandGroup
from revector.cli.examples import example_of
from revector.cli.printing import say

app = typer.Typer(
    name="revector",
    cls=CommandGroup,
    help="Move a live vector collection from one embedding model to the next.",
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 a gate refused or the verdict is not to migrate. "
    f"Defaults of options come from {FILE} and from REVECTOR_* variables. "
    "'python -m revector --cmakedir|--includedir|--libs' prints where the C++ library is.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        say(f"revector {revector.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version)] = False,
    config: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="FILE", help=f"Defaults of options, in TOML; {FILE} in this folder otherwise."),
    ] = None,
) -> None:
    """Take what stands before the command."""


for module in (
    demo,
    importing,
    collection,
    exporting,
    moving,
    adopt,
    assess,
    judge,
    plan,
    insure,
    rehearse,
    migrate,
    batches,
    rollout,
    replay,
    report,
    hands,
    watch,
    serve,
    checklist,
    model,
    same_space,
    backup,
    doctor,
):
    module.register(app)
for command in app.registered_commands:
    command.epilog = command.epilog or example_of(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    app(args=None if arguments is None else list(arguments), prog_name="revector")
