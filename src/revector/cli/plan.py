"""What a migration takes, measured before it is begun: a plan, and a pilot that holds it against what is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from revector._arguments import share as checked_share
from revector.cli.assess import JUDGED_HELP
from revector.cli.common import (
    NICENESS,
    AsJson,
    CollectionUrl,
    DryRun,
    Encoders,
    ModelName,
    TemplateFields,
    behind_searches,
    open_encoder,
    opened,
    shown_place,
)
from revector.cli.endings import shell
from revector.cli.printing import emit, fields
from revector.cli.progress import show_progress
from revector.encoders.base import TextEncoder
from revector.formats.judgements import load_judgements
from revector.planning.prices import Prices, read_prices

_Nice = Annotated[int, typer.Option("--nice", min=0, max=19, help="How far to stand back behind other processes.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(epilog="Example: revector plan docs.db --model minilm --workers 4 --deadline 2027-01-31")(plan)
    app.command(epilog="Example: revector pilot docs.db --model minilm --share 0.05 --judged queries/")(pilot)


def plan(
    collection: CollectionUrl,
    model: ModelName,
    template: TemplateFields = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers that will run, each on a machine like this one.")] = 1,
    deadline: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="DATE", help="When it has to be done: says how many workers that takes."),
    ] = None,
    prices: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE",
            help="JSON or TOML: currency, machine_hour, per_million_tokens and batch_per_million_tokens, the last two "
            "also under models.NAME.",
        ),
    ] = None,
    price_per_million_tokens: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="X", help="Of a service, asked at once; its batch API is taken to cost half."),
    ] = None,
    batch_price_per_million_tokens: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="X", help="Of its batch API."),
    ] = None,
    machine_price_per_hour: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="X", help="Of a machine that runs a worker with a model of its own."),
    ] = None,
    writes_per_day: Annotated[
        float, typer.Option(metavar="N", help="Documents written a day, each embedded twice while both are kept.")
    ] = 0.0,
    sla_ms: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="MS", help="What a search may take."),
    ] = None,
    nice: _Nice = NICENESS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure the encoder alone; write nothing, not even the plan.")
    ] = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Measure what a migration takes: time, storage, money; and say how to go about it.

    A worker embeds a sample for about ten seconds beside the vectors that serve, and an index of some thousand vectors
    is built; both are thrown away. The plan is kept, for status and the report.
    """
    priced = _prices(prices, model).with_more(
        per_million_tokens=price_per_million_tokens,
        batch_per_million_tokens=batch_price_per_million_tokens,
        machine_hour=machine_price_per_hour,
    )
    with behind_searches(nice), opened(collection, encoder) as docs, show_progress() as on_progress:
        made = docs.plan(
            open_encoder(model, template),
            workers=workers,
            deadline=deadline,
            prices=priced,
            writes_per_day=writes_per_day,
            sla_ms=sla_ms,
            try_store=not dry_run,
            called=model,
            on_progress=on_progress,
        )
    place = shell(shown_place(collection))
    steps = [f"revector pilot {place} --model {shell(model)}", made.command]
    emit({**made.to_json(), "next_steps": steps}, fields(made.rows()), as_json=as_json)


def pilot(
    collection: CollectionUrl,
    model: ModelName,
    template: TemplateFields = None,
    share: Annotated[float, typer.Option(help="Of the documents; 1,000, and eight seconds of work, at least.")] = 0.02,
    judged: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help=f"{JUDGED_HELP} Then quality is measured as well."),
    ] = None,
    nice: _Nice = NICENESS,
    dry_run: DryRun = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Embed a share of the documents for real, beside what serves; hold the plan against it, and revise the plan.

    What it embeds is thrown away. Without a plan for that model, one is made first.
    """
    given = None if judged is None else load_judgements(judged)
    with behind_searches(nice), opened(collection, encoder) as docs, show_progress() as on_progress:
        new = open_encoder(model, template)
        if dry_run:
            emit(*_foreseen(len(docs), share, new, collection, model), as_json=as_json)
            return
        found = docs.pilot(new, share=share, queries=given, called=model, on_progress=on_progress)
    emit({**found.to_json(), "next_steps": [found.plan.command]}, fields(_rows(found)), as_json=as_json)


def _prices(file: Path | None, model: str) -> Prices:
    """Return the prices of a file; a service's stand under its name, whichever options follow it."""
    return Prices() if file is None else read_prices(file, model.partition("?")[0].removeprefix("openai:"))


def _rows(found: Any) -> dict[str, str]:
    revised = found.plan.rows()
    return {**found.rows(), **{f"{name}, revised": revised[name] for name in ("strategy", "begin with")}}


def _foreseen(
    documents: int, share: float, new: TextEncoder, collection: str, model: str
) -> tuple[dict[str, Any], str]:
    from revector.planning.pilot import size_of

    size = size_of(documents, checked_share(share, "share"))
    said = f"pilot would embed at least {size:,} of {documents:,} documents with {new.space}, and throw them away"
    again = f"revector pilot {shell(shown_place(collection))} --model {shell(model)} --share {share:g}"
    return {"verb": "pilot", "documents": size, "steps": [said], "refusals": [], "next_steps": [again]}, said
