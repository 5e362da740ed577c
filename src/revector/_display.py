"""Times and sizes as people say them; fields and tables as text, and as notebooks show them.

Every value is data: in HTML all of it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["fields_as_html", "fields_as_text", "shown_bytes", "shown_seconds", "table_as_html"]

_TIMES = (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0))
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def shown_seconds(seconds: float) -> str:
    """Return a time in the unit that suits it, with two or three digits."""
    for unit, size in _TIMES:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    if seconds >= 1 or seconds <= 0:
        return f"{max(0.0, seconds):.{0 if seconds >= 10 else 1}f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.2g} ms"


def shown_bytes(n_bytes: float) -> str:
    """Return a size in the unit that suits it."""
    for unit, size in _SIZES:
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes:.0f} B"


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
