"""The command that writes the report."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from revector.cli.assess import JUDGED_HELP
from revector.cli.common import AsJson, CollectionUrl, Encoders, opened, shown_place
from revector.cli.endings import shell
from revector.cli.printing import emit, spinner
from revector.errors import InvalidArgumentError
from revector.formats.judgements import load_judgements

NAME = "report"


class ReportFormat(str, Enum):
    """What the report is written as."""

    HTML = "html"
    MD = "md"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Example: revector report docs.db --out report.html")(report)


def report(
    collection: CollectionUrl,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads the annotation at run time, on Python 3.10 too
        typer.Option(metavar="FILE", help="Where to; by default report.html, report.md or report.json here."),
    ] = None,
    format_: Annotated[
        Optional[ReportFormat],  # noqa: UP045
        typer.Option("--format", help="By default what the name of the file ends in, or html."),
    ] = None,
    assessment: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="What 'revector assess --json' has printed; by default the last assessment."),
    ] = None,
    judged: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FOLDER",
            help=f"Measure what readers get now, and keep it. {JUDGED_HELP}",
        ),
    ] = None,
    check: Annotated[bool, typer.Option(help="Look at the health of what serves, which reads the whole file.")] = True,
    encoder: Encoders = None,
    as_json: AsJson = False,
) -> None:
    """Write what is known of a collection into one file: verdict, migration, spaces, index, rollout, events."""
    given = None if assessment is None else _read(assessment)
    known = None if judged is None else load_judgements(judged)
    ending = (format_ or ReportFormat.HTML).value
    place = out or Path(f"{NAME}.{ending}")
    with opened(collection, encoder) as docs, spinner("gathering the report"):
        made = docs.report(assessment=given, queries=known, check=check)
        written = made.save(place, None if format_ is None else ending)
    result = {
        "collection": shown_place(collection),
        "report": str(written),
        "bytes": written.stat().st_size,
        "decision": made.headline.decision or None,
        "sections": [section.name for section in made.sections],
        "left_out": {each.title: each.why for each in made.left_out},
        "next_steps": [] if made.headline.decision else [_assess(collection)],
    }
    emit(result, f"{written}: {made.headline.title}", as_json=as_json)


def _assess(collection: str) -> str:
    return f"revector assess {shell(shown_place(collection))} --model MODEL --judged FOLDER"


def _read(path: Path) -> Any:
    """Return an assessment from its file; raise `InvalidArgumentError` if it holds no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{path} is not JSON ({error}); 'revector assess --json' prints it") from error
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from error
