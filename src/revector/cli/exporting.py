"""The command that writes a collection with its vectors into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from revector._display import shown_bytes, shown_seconds
from revector.cli.common import AsJson, CollectionUrl, DryRun, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, progress_bar
from revector.formats.vector_files import files_of


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Example: revector export docs.db --to docs.parquet")(export)


def export(
    collection: CollectionUrl,
    to: Annotated[Path, typer.Option(metavar="FILE", help="A name that ends in .parquet, .jsonl, .npy or .beir.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write all documents, their metadata and the vectors that serve into a file; nothing is replaced.

    A .npy file is the matrix of the vectors; ids, texts and metadata of its rows are in FILE.rows.jsonl. The space of
    the vectors is in FILE.space.json, or in the schema of a Parquet file. 'revector add' reads .parquet and .jsonl
    files again, and makes its own vectors, or takes those of the file (--vectors). A name that ends in .beir is a
    folder with corpus.jsonl, without vectors.
    """
    if dry_run:
        _foresee(collection, to, as_json=as_json)
        return
    with opened(collection) as docs, progress_bar() as bar:
        task = bar.add_task("exporting", total=None, details="")
        made = docs.export(to, on_progress=lambda done, total: bar.update(task, completed=done, total=total))
    lacking = f", {made.without_vector:,} of them without a vector" if made.without_vector else ""
    size = f"{shown_bytes(made.bytes)} in {shown_seconds(made.seconds)}"
    said = f"exported {made.documents:,} documents{lacking}, vectors of {made.space}: {', '.join(made.files)} ({size})"
    emit({**made.to_json(), "next_steps": []}, said, as_json=as_json)


def _foresee(collection: str, to: Path, *, as_json: bool) -> None:
    files = list(map(str, files_of(to)))
    with opened(collection) as docs:
        documents, space = len(docs), docs.serving_space
    said = f"export would write {documents:,} documents and their vectors of {space} into {', '.join(files)}"
    again = f"revector export {shell(shown_place(collection))} --to {shell(str(to))}"
    result = {"verb": "export", "documents": documents, "files": files, "steps": [said], "refusals": []}
    emit({**result, "next_steps": [again]}, said, as_json=as_json)
