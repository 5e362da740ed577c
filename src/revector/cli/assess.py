"""The command that says whether a new model is worth it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from revector.cli.common import (
    MODEL_HELP,
    RERANK_HELP,
    AsJson,
    CollectionUrl,
    Encoders,
    open_encoder,
    open_reranker,
    opened,
    shown_place,
)
from revector.cli.endings import EXIT_REFUSED, shell
from revector.cli.printing import emit
from revector.encoders.sources import ASYMMETRIC, write_source
from revector.formats.judgements import load_judgements

if TYPE_CHECKING:
    from revector.evaluation.verdict import Assessment

JUDGED_HELP = (
    "Judged queries: a folder in the layout of BEIR or TREC, rows of query, document and grade (JSON lines, CSV), or a "
    "log of clicks."
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(assess)


def assess(
    collection: CollectionUrl,
    model: Annotated[
        list[str],
        typer.Option("--model", metavar="MODEL", help=f"A candidate; may be given several times. {MODEL_HELP}"),
    ],
    judged: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help=f"{JUDGED_HELP} Without it, pairs are built from the documents, which says less."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="nDCG@k, MRR, MRR@k, recall@k, precision@k or success@k: what the verdict is on.")
    ] = "nDCG@10",
    min_lift: Annotated[float, typer.Option(help="Least lift of the metric that is worth a migration.")] = 0.0,
    relative: Annotated[
        bool, typer.Option("--relative", help="The least lift is a share of the present value.")
    ] = False,
    bm25: Annotated[
        bool, typer.Option("--bm25", help="The application fuses hits with those of BM25: judge the whole.")
    ] = False,
    rerank: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(
            metavar="MODEL",
            help=f"{RERANK_HELP} Judge the whole.",
        ),
    ] = None,
    llm_url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of the OpenAI-compatible service of llm:NAME; its key is read from $OPENAI_API_KEY."),
    ] = None,
    spend_cap: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Spend no more on re-ranking by llm:NAME; needs --price."),
    ] = None,
    price: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Of a million tokens of llm:NAME."),
    ] = None,
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="The score by the present model below which the application drops hits."),
    ] = None,
    slice_by: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="FIELD", help="A field of the metadata: compare queries by what answers them; several times."
        ),
    ] = None,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Compare the serving model with new ones on judged queries; exit with 3 unless the verdict is to move.

    Example: revector assess docs.db --model minilm --model bge --judged queries/ --min-lift 0.01
    """
    given = None if judged is None else load_judgements(judged)
    with opened(collection, encoder) as docs:
        found = docs.assess(
            [open_encoder(name) for name in model],
            given,
            metric=metric,
            min_lift=min_lift,
            relative=relative,
            bm25=bm25,
            reranker=None if rerank is None else open_reranker(rerank, llm_url, price, spend_cap),
            threshold=threshold,
            slice_by=slice_by or (),
        )
        serving = docs.serving_source
    steps = [] if found.best is None else _next_steps(shown_place(collection), model[found.best], found, serving)
    shown = str(found) if len(found.verdicts) > 1 else str(found.verdicts[0])
    emit({**found.to_json(), "next_steps": steps}, shown, as_json=as_json)
    if found.best is None:
        raise typer.Exit(EXIT_REFUSED)


def _next_steps(place: str, model: str, found: Assessment, serving: str | None) -> list[str]:
    """Return the command that does what the verdict says."""
    from revector.evaluation.verdict import Decision

    start = f"revector start {shell(place)} --model {shell(model)}"
    if found.decision is Decision.CHANGE_QUERY_MODEL:
        asked = write_source(ASYMMETRIC, serving or "MODEL", {"queries": model})
        return [f"revector start {shell(place)} --model {shell(asked)}"]
    if found.decision is Decision.KEEP_BOTH:
        weight = found.verdicts[found.best or 0].old_weight
        return [f"{start} --strategy 'background,dual-index?weight_of_old={weight:g}&after_cutover=true'"]
    return [start]
