"""Fields and tables as text, and as notebooks show them. Every value is data: in HTML all of it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["fields_as_html", "fields_as_text", "table_as_html"]


def fields_as_text(rows: Mapping[str, str]) -> str:
    """Return names and values in two columns; further lines of a value stand below its first."""
    width = max(map(len, rows), default=0) + 2
    lines = (f"\n{'':{width}}".join(value.split("\n")) for value in rows.values())
    return "\n".join(f"{name:{width}}{value}".rstrip() for name, value in zip(rows, lines, strict=True))


def fields_as_html(rows: Mapping[str, str], title: str = "") -> str:
    """Return names and values as a table with a caption."""
    body = "".join(f"<tr><th>{_cell(name)}</th><td>{_cell(value)}</td></tr>" for name, value in rows.items())
    return f"<table>{_caption(title)}{body}</table>"


def table_as_html(
    columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", notes: Iterable[str] = ()
) -> str:
    """Return rows under the names of their columns, with a caption above and notes below."""
    head = "".join(f"<th>{_cell(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    below = "".join(f"<li>{_cell(note)}</li>" for note in notes)
    table = f"<table>{_caption(title)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"{table}<ul>{below}</ul>" if below else table


def _caption(title: str) -> str:
    return f"<caption>{_cell(title)}</caption>" if title else ""


def _cell(text: str) -> str:
    return escape(text).replace("\n", "<br>")
