"""What this installation can do, and how a collection is: what was found, why it matters, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from typing import Annotated, Any, Optional

import typer
from rich.console import Group, RenderableType

import revector
from revector.cli.common import AsJson, at_place, noted, opened, shown_place
from revector.cli.endings import EXIT_ERROR, Ending
from revector.cli.printing import emit, fields, plain
from revector.encoders.ends import ModelEnd, known_ends
from revector.errors import MissingExtraError
from revector.evaluation.findings import Finding
from revector.evaluation.health import CollectionHealth
from revector.ledger.schema import VERSION

EXTRAS = {
    "fast": "tokie",
    "onnx": "onnx",
    "openai": "httpx2",
    "sentence-transformers": "sentence_transformers",
    "eval": "ir_measures",
    "metrics": "prometheus_client",
    "parquet": "pyarrow",
    "postgres": "psycopg",
    "qdrant": "qdrant_client",
    "report": "jinja2",
}
"""Optional parts of the installation, and a module that each brings."""
_REQUIREMENT = re.compile(
    r"(?P<package>[\w.-]+)(?:\[[^]]*\])?\s*>=\s*(?P<least>[\d.]+).*extra == ['\"](?P<extra>[\w-]+)"
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    collection: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Argument(help="A collection's database file, to be checked, too.", callback=noted),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="First look through all documents, and ask for the vectors they lack.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what this installation can do, and check a collection: its file, its vectors, its index, its models."""
    installation, findings = _installation(), list(_outdated())
    health = None
    if collection is not None:
        ends, unread = _ends(context)
        health = _health(collection, ends, repair=repair)
        findings = _placed([*findings, *unread, *health.findings], shown_place(collection))
    problems = [finding for finding in findings if finding.is_problem]
    steps = list(dict.fromkeys(command for finding in problems for command in finding.commands))
    found = {"installation": installation, "collection": health, "findings": findings}
    emit(found, _shown(installation, health, findings), as_json=as_json, next_steps=steps)
    if problems:
        raise typer.Exit(EXIT_ERROR)


def _installation() -> dict[str, Any]:
    installed = [extra for extra, module in EXTRAS.items() if find_spec(module) is not None]
    return {
        "version": revector.__version__,
        "ledger format": VERSION,
        "instruction set": f"{revector.active_isa()} (of {', '.join(revector.available_isas())})",
        "threads": revector.num_threads(),
        "threads decided by": revector.num_threads_reason(),
        "CUDA": "yes" if revector.cuda_available() else "no",
        "extras": ", ".join(installed) or "none",
    }


def _outdated() -> Iterator[Finding]:
    """Yield the libraries of extras that are installed in a version that is too old."""
    for requirement in _requirements():
        if (found := _REQUIREMENT.match(requirement)) is None or found["extra"] not in EXTRAS:
            continue
        try:
            installed = metadata.version(found["package"])
        except metadata.PackageNotFoundError:
            continue
        if _numbers(installed) < _numbers(found["least"]):
            what = f"{found['package']} {installed} is installed, revector[{found['extra']}] needs {found['least']}"
            command = f"pip install --upgrade 'revector[{found['extra']}]'"
            yield Finding(what, "what it is needed for may fail, or go wrong", (command,))


def _requirements() -> list[str]:
    try:
        return metadata.requires("revector") or []
    except metadata.PackageNotFoundError:  # it runs from its source
        return []


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, zeros at the end left out."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, re.sub(r"(\.0+)+$", "", numbers[0]).split("."))) if numbers else ()


def _ends(context: typer.Context) -> tuple[tuple[ModelEnd, ...], list[Finding]]:
    """Return the models with an announced end: those that are known, and those that the configuration names."""
    own = context.obj.settings.ends if isinstance(context.obj, Ending) else ()
    try:
        return (*known_ends(), *own), []
    except MissingExtraError as error:
        command = f"pip install 'revector[{error.extra}]'"
        what = "the table of models with an announced end was not read"
        return own, [Finding(what, str(error), (command,), is_problem=False)]


def _health(collection: str, ends: Sequence[ModelEnd], *, repair: bool) -> CollectionHealth:
    with opened(collection) as docs:
        if repair:
            docs.recapture()
        return docs.check(ends=ends)


def _placed(findings: Sequence[Finding], place: str) -> list[Finding]:
    return [
        Finding(each.what, each.why, tuple(at_place(command, place) for command in each.commands), each.is_problem)
        for each in findings
    ]


def _shown(
    installation: dict[str, Any], health: CollectionHealth | None, findings: Sequence[Finding]
) -> RenderableType:
    rows = {name: str(value) for name, value in installation.items()}
    if health is not None:
        rows |= health.rows()
        rows["notices"] = "\n".join(health.notices)
        rows["problems"] = f"{len(health.problems):,}, see below" if health.problems else "none"
    shown: list[RenderableType] = [fields({name: value for name, value in rows.items() if value})]
    for finding in findings:
        mark, style = ("✗", "bold red") if finding.is_problem else ("·", "bold")
        shown += [plain(f"\n{mark} {finding.what}", style), plain(f"  {finding.why}")]
        shown += [plain(f"  {command}", whole=True) for command in finding.commands]
    return Group(*shown)
