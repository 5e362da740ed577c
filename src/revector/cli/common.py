"""What the commands share: options, and opening things by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.backends.opening import kind_of
from revector.cli.endings import CommandError, shell
from revector.collection import Collection
from revector.encoders.base import TextEncoder
from revector.errors import NoCollectionError
from revector.migration.checklist import PLACE
from revector.migration.hooks import Hooks
from revector.migration.migration import Migration
from revector.rerank.base import Reranker
from revector.spaces import Template, require_one_of

MODEL_HELP = (
    "A model folder, a hub id, native:FOLDER?precision=int8 for a precision of your choice, "
    "shortened:FOLDER?dimension=128 for the first numbers of its vectors, asymmetric:FOLDER?queries=FOLDER for a query "
    "model of its own, sentence-transformers:FOLDER-OR-ID to run it with torch, openai:NAME for a service, or "
    "wordllama or minilm, which are fetched once."
)

LLM = "llm:"
RERANK_HELP = "What re-ranks the hits: a cross-encoder's folder, or llm:NAME for a language model."


def noted(context: typer.Context, collection: str | None) -> str | None:
    """Tell the ending of which collection it speaks."""
    if context.obj is not None and collection is not None:
        context.obj.collection = shown_place(collection)
    return collection


def shown_place(collection: str) -> str:
    """Return where a collection is as it may be printed, and typed again: without a password."""
    return kind_of(collection).shown(collection)


CollectionUrl = Annotated[
    str, typer.Argument(metavar="COLLECTION", help="The collection's database file.", callback=noted)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName = Annotated[
    str,
    typer.Option("--model", help=MODEL_HELP, metavar="MODEL"),
]
TemplateFields = Annotated[
    Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
    typer.Option(
        "--template",
        metavar="FIELDS",
        help="What the model is given of a document, such as title,text: 'text' is its text, other names are fields of "
        "its metadata.",
    ),
]


def at_place(command: str, place: str) -> str:
    """Return a command of the library's with the collection in it."""
    return command.replace(PLACE, shell(place), 1)


Encoders = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
    typer.Option(
        "--encoder", metavar="MODEL", help="A model of the collection, where it is now; may be given several times."
    ),
]


HooksFolder = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--hooks",
        metavar="DIR",
        help="A folder of executables such as before-cutover and after-cutover; what runs before a step stops it by "
        "another exit code than 0.",
    ),
]


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would do, and what would refuse it; write nothing.")
]


def around(step: str, migration: Migration, hooks: str | None) -> AbstractContextManager[None]:
    """Run a step inside its hooks, where there are any."""
    return nullcontext() if hooks is None else Hooks(hooks).around(step, migration)


NICENESS = 10
"""Of the verbs of a migration: beside them, searches get ten times as much of a processor that both want."""


@contextmanager
def behind_searches(niceness: int = NICENESS) -> Iterator[None]:
    """Let other processes go first, for as long as the ``with`` block runs; also the threads that begin inside."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(before, niceness))
    try:
        yield
    finally:
        with suppress(PermissionError):  # not everybody may come forward again; commands end here
            os.setpriority(os.PRIO_PROCESS, 0, before)


@contextmanager
def opened(url: str, encoders: Sequence[str] | None = None) -> Iterator[Collection]:
    """Open a collection that exists, with models that are given by name, and close it.

    Raises
    ------
    NoCollectionError
        There is no such collection.
    SpaceMismatchError
        A model is none of the collection.
    """
    given = [open_encoder(name) for name in encoders or ()]
    with Collection.open(url, encoders=given) as collection:
        for encoder in given:
            require_one_of([space.plain for space in collection.spaces], encoder.space, purpose="--encoder")
        yield collection


@contextmanager
def migrating(url: str, encoders: Sequence[str] | None = None, niceness: int = NICENESS) -> Iterator[Migration]:
    """Open a collection with a migration, and stand back behind whoever searches it.

    Raises
    ------
    InvalidArgumentError
        There is none.
    """
    with behind_searches(niceness), opened(url, encoders) as docs:
        yield required_migration(docs, url)


def required_migration(docs: Collection, url: str) -> Migration:
    """Return the migration of a collection; raise `InvalidArgumentError` if there is none."""
    if (migration := docs.migration) is None:
        start = f"revector start {shell(shown_place(url))} --model MODEL"
        raise CommandError(f"{shown_place(url)} has no migration; begin one with: {start}", start)
    return migration


def holds_collection(url: str) -> bool:
    """Whether a collection is there, or something that is none; a file that is empty is a new collection."""
    if not kind_of(url).is_there(url):
        return False
    try:
        Collection.open(url).close()
    except NoCollectionError:  # an earlier command was interrupted
        return False
    return True


def open_encoder(name: str, template: str | None = None) -> TextEncoder:
    """Load a model by folder, hub id or source, or a named model, which is fetched first.

    `template` names the fields that it is given of a document, with commas in between.
    """
    from revector.encoders.sources import NATIVE, SHORTENED, load_encoder
    from revector.encoders.templated import Templated
    from revector.formats.named_models import MODELS, fetch_model

    scheme = next((each for each in (NATIVE, SHORTENED) if name.startswith(each)), "")
    model, asked, options = name.removeprefix(scheme).partition("?")
    if model in MODELS and not Path(model).exists():
        name = f"{scheme}{fetch_model(model)}{asked}{options}"
    encoder = load_encoder(name)
    return encoder if template is None else Templated(encoder, Template(tuple(template.split(","))))


def open_reranker(
    name: str, base_url: str | None = None, price: float | None = None, spend_cap: float | None = None
) -> Reranker:
    """Load a cross-encoder by its folder, or name a language model and, where they are known, its service and price."""
    if name.startswith(LLM):
        from revector.rerank.llm import LlmReranker

        return LlmReranker(
            name.removeprefix(LLM), base_url=base_url, price_per_million_tokens=price, spend_cap=spend_cap
        )
    from revector.rerank.cross import CrossEncoder

    reranker: Reranker = CrossEncoder.from_pretrained(name)
    return reranker
