"""What this installation can do, and how a collection is."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

import typer

import revector
from revector.cli.common import AsJson, noted, opened
from revector.cli.endings import EXIT_ERROR
from revector.cli.printing import emit, fields
from revector.evaluation.health import CollectionHealth
from revector.migration.canaries import CanaryHealth

EXTRAS = {
    "fast": "tokie",
    "onnx": "onnx",
    "openai": "httpx2",
    "sentence-transformers": "sentence_transformers",
    "eval": "ir_measures",
    "metrics": "prometheus_client",
    "parquet": "pyarrow",
    "postgres": "psycopg",
}
"""Optional parts of the installation, and a module that each brings."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor(
    collection: Annotated[
        str | None, typer.Argument(help="A collection's database file, to be checked, too.", callback=noted)
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="First look through all that others wrote, and ask for the vectors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what this installation can do, and check a collection: its file, its vectors, its index."""
    installation = _installation()
    health = _health(collection, repair=repair) if collection is not None else None
    found = {"installation": installation, "collection": health}
    rows = {name: str(value) for name, value in installation.items()}
    emit(found, fields(rows if health is None else {**rows, **_rows(health)}), as_json=as_json)
    if health is not None and health.problems:
        raise typer.Exit(EXIT_ERROR)


def _installation() -> dict[str, Any]:
    installed = [extra for extra, module in EXTRAS.items() if find_spec(module) is not None]
    return {
        "version": revector.__version__,
        "instruction set": f"{revector.active_isa()} (of {', '.join(revector.available_isas())})",
        "threads": revector.num_threads(),
        "threads decided by": revector.num_threads_reason(),
        "CUDA": "yes" if revector.cuda_available() else "no",
        "extras": ", ".join(installed) or "none",
    }


def _health(collection: str, *, repair: bool) -> CollectionHealth:
    with opened(collection) as docs:
        if repair:
            docs.recapture()
        return docs.check()


def _model(canary: CanaryHealth) -> str:
    if canary.similarity is None:
        return f"{canary.model}: not asked, it is not at hand" if not canary.problem else f"{canary.model}: no answer"
    return f"{canary.model}: the fixed texts have a cosine of {canary.similarity:.4f} or more to what they had"


def _rows(health: CollectionHealth) -> dict[str, str]:
    index = health.index
    return {
        "documents": f"{health.documents:,}",
        "index": f"{index.live:,} vectors, {index.scanned:,} of them in no graph; {index.graphs} graphs with "
        f"{index.deleted:,} deleted nodes",
        "recall": f"{index.recall:.4f} of the {index.k} nearest ({index.queries} queries)",
        **({"models": "\n".join(map(_model, health.canaries))} if health.canaries else {}),
        **({"insurance": str(health.insurance)} if health.insurance else {}),
        **({"notices": "\n".join(health.notices)} if health.notices else {}),
        "problems": "\n".join(health.problems) or "none",
    }
