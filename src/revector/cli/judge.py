"""The command that has a language model judge what two models find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Optional

import typer

from revector.cli.common import AsJson, CollectionUrl, DryRun, Encoders, ModelName, open_encoder, opened, shown_place
from revector.cli.endings import EXIT_INTERRUPTED, shell
from revector.cli.printing import emit, fields
from revector.collection import Collection
from revector.encoders.service.chat import ChatModel
from revector.errors import InvalidArgumentError
from revector.evaluation.judge import INTERRUPTED, Foreseen, JudgeBudget, Judged, foresee_judging

EXAMPLE = (
    "Example: revector judge docs.db --model minilm --queries queries.jsonl --llm gpt-4o-mini --grades human.tsv "
    "--max-requests 500 --out judged"
)
SAMPLE = 200
"""Documents whose length says what a request takes."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EXAMPLE)(judge)


def judge(
    collection: CollectionUrl,
    model: ModelName,
    llm: Annotated[str, typer.Option(metavar="NAME", help="The language model, as its service calls it.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder, which 'assess --judged' reads.")],
    queries: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(help="Queries with ids (JSON lines, .csv, .tsv, TREC topics); by default the captured ones."),
    ] = None,
    grades: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Grades that people gave (query, document, grade): the agreement with them is measured."),
    ] = None,
    base_url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of an OpenAI-compatible service; its key is read from $OPENAI_API_KEY."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Documents that each model puts up for judgement.")] = 10,
    max_requests: Annotated[Optional[int], typer.Option(min=1, help="Send no more requests.")] = None,  # noqa: UP045
    max_tokens: Annotated[Optional[int], typer.Option(min=1, help="Use no more tokens.")] = None,  # noqa: UP045
    price: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Of a million tokens; the higher one, where what is written costs more."),
    ] = None,
    spend_cap: Annotated[Optional[float], typer.Option(min=0, help="Spend no more.")] = None,  # noqa: UP045
    max_documents: Annotated[int, typer.Option(min=1, help="Documents that both models search.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn at random.")] = 0,
    dry_run: DryRun = False,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Have a language model grade what the serving model and a new one find, for queries that nobody has judged."""
    from revector.formats.judgements import write_judgements
    from revector.formats.qrels import read_qrels
    from revector.formats.queries import read_queries

    _require_new(out)
    texts = None if queries is None else read_queries(queries)[0]
    people = None if grades is None else read_qrels(grades)
    chat = ChatModel(llm, base_url=base_url, price_per_million_tokens=price, spend_cap=spend_cap)
    with opened(collection, encoder) as docs:
        if dry_run:
            foreseen = _foreseen(docs, chat, texts, k)
            emit({"foreseen": foreseen, "next_steps": []}, fields(_rows_of(foreseen)), as_json=as_json)
            return
        budget = JudgeBudget(max_requests, max_tokens)
        found = docs.judge(
            open_encoder(model), chat, texts, people=people, k=k, budget=budget, max_documents=max_documents, seed=seed
        )
    folder = write_judgements(found.judgements, out)
    step = f"revector assess {shell(shown_place(collection))} --model {shell(model)} --judged {shell(str(folder))}"
    emit({**_plain(found), "folder": str(folder), "next_steps": [step]}, fields(_rows(found, step)), as_json=as_json)
    if found.ended == INTERRUPTED:
        raise typer.Exit(EXIT_INTERRUPTED)


def _require_new(out: Path) -> None:
    """Refuse a folder that holds something, before anything is paid for."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidArgumentError(f"{out} is there already; name a new folder, so that no judgements are lost")


def _foreseen(docs: Collection, llm: ChatModel, queries: Mapping[str, str] | None, k: int) -> Foreseen:
    asked = docs.captured_queries() if queries is None else list(queries.values())
    drawn = docs._backend.documents
    return foresee_judging(llm, asked, [each.text for each in drawn.by_key(drawn.sample(SAMPLE, 0))], 2 * k)


def _plain(found: Judged) -> dict[str, object]:
    """Return what scripts read; the judgements themselves are in the folder."""
    return {
        "judged_by": found.judgements.judged_by,
        "queries": len(found.judgements.queries),
        "documents": found.documents,
        "requests": found.requests,
        "tokens": found.tokens,
        "spent": found.spent,
        "left_out": found.left_out,
        "not_asked": found.not_asked,
        "ended": found.ended,
        "agreement": found.agreement,
        "notes": found.judgements.notes,
    }


def _rows(found: Judged, step: str) -> dict[str, str]:
    cost = "" if found.spent is None else f", {found.spent:.4g} spent"
    rows = {
        "judged by": found.judgements.judged_by,
        "queries": f"{len(found.judgements.queries):,}, {found.left_out:,} left out, {found.not_asked:,} not asked",
        "documents": f"{found.documents:,} graded, in {found.requests:,} requests and {found.tokens:,} tokens{cost}",
        "agreement": "not known: give --grades of people" if found.agreement is None else str(found.agreement),
        "next": step,
    }
    return rows if found.ended is None else {**rows, "ended early": found.ended}


def _rows_of(foreseen: Foreseen) -> dict[str, str]:
    rows = {"requests": f"at most {foreseen.requests:,}", "tokens": f"at most {foreseen.tokens:,}"}
    return rows if foreseen.price is None else {**rows, "price": f"at most {foreseen.price:.4g}"}
