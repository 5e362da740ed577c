"""A report as HTML, Markdown or JSON: the same content thrice."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from revector._optional import require
from revector.report.content import Report
from revector.report.formatting import bar, plain, shown_cell, shown_time, signed, visible

_TEMPLATES = Path(__file__).parent / "templates"
_MARKUP = re.compile(r"([\\`*_{}\[\]#|~])")
_PURPOSE = "a report as HTML or Markdown"


def as_json(report: Report) -> dict[str, Any]:
    """Return everything a report holds, unformatted; what is not a finite number is ``None``."""
    sections = [
        {
            "name": each.name,
            "title": each.title,
            "sentences": list(each.sentences),
            "tables": [table.to_json() for table in each.tables],
            "figures": [figure.to_json() for figure in each.figures],
            "compared": [asdict(compared) for compared in each.compared],
            "notes": list(each.notes),
        }
        for each in report.sections
    ]
    found = {
        "collection": report.collection,
        "made_at": report.made_at,
        "headline": asdict(report.headline),
        "sections": sections,
        "left_out": [asdict(each) for each in report.left_out],
    }
    return {name: _strict(value) for name, value in found.items()}


def as_html(report: Report) -> str:
    """Return one page, which loads nothing."""
    from revector.report.plots import drawn

    plots = {figure.name: drawn(figure) for section in report.sections for figure in section.figures}
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    return str(_environment(html=True).get_template("report.html").render(report=report, plots=plots, style=style))


def as_markdown(report: Report) -> str:
    """Return the same content as Markdown."""
    text = str(_environment(html=False).get_template("report.md").render(report=report))
    return re.sub(r"\n{3,}", "\n\n", text)


def _environment(*, html: bool) -> Any:
    jinja = require("jinja2", extra="report", purpose=_PURPOSE)
    made = jinja.Environment(
        loader=jinja.FileSystemLoader(_TEMPLATES),
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja.StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters.update(seen=visible, cell=shown_cell, bar=bar, at=shown_time, figure=plain, change=signed, md=_escaped)
    return made


def _escaped(text: object) -> str:
    """Return a text that means itself in Markdown, on one line."""
    whole = visible(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", whole)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return _strict(value.to_json()) if hasattr(value, "to_json") else value
