"""The command that shows the whole of it on real text, with two real models."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, open_encoder
from revector.cli.endings import EXIT_ERROR
from revector.cli.printing import emit
from revector.cli.story import SilentListener, StoryDisplay, next_commands, what_happened


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(
    corpus: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="A docs/queries/qrels folder (BEIR's layout too); your Python's documentation otherwise."),
    ] = None,
    documents: Annotated[int, typer.Option(min=100, help="How much of your Python's documentation.")] = 3_000,
    queries: Annotated[int, typer.Option(min=20, help="How many queries about it.")] = 500,
    old_model: Annotated[str, typer.Option(help="The model that serves at first.")] = "wordllama",
    new_model: Annotated[str, typer.Option(help="The model to move to.")] = "minilm",
    workdir: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where the collection is made; a new temporary folder otherwise."),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the temporary folder, to try things on the collection.")] = True,
    as_json: AsJson = False,
) -> None:
    """Move a live collection of real text to a better model, back, and there again; measure all the way."""
    if workdir is not None and not keep:
        raise typer.BadParameter(
            "what is made in a --workdir is kept; leave one of the two out", param_hint="--no-keep"
        )
    from revector.demo.docstrings import python_corpus
    from revector.demo.run import run_demo
    from revector.formats.judgements import load_corpus

    with StoryDisplay() if not as_json else SilentListener() as listener:
        listener.step("Fetch two models and read the text")
        old, new = open_encoder(old_model), open_encoder(new_model)
        judged = load_corpus(corpus) if corpus else python_corpus(n_documents=documents, n_queries=queries)
        listener.found(f"{len(judged.documents):,} documents, {len(judged.queries):,} judged queries: {judged.name}")
        with _place(workdir, keep) as folder:
            report = run_demo(judged, old, new, folder, listener)
    kept = keep or workdir is not None
    found = {**vars(report), "succeeded": report.succeeded}
    emit(found, what_happened(report, kept=kept), as_json=as_json, next_steps=next_commands(report, kept=kept))
    if not report.succeeded:
        raise typer.Exit(EXIT_ERROR)


@contextmanager
def _place(workdir: Path | None, keep: bool) -> Iterator[Path]:
    """Yield the folder for the collection; a temporary one goes again after an error, or when it is not wanted."""
    if workdir is not None:
        yield workdir
        return
    folder = Path(tempfile.mkdtemp(prefix="revector-demo-"))
    try:
        yield folder
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
