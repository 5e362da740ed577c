"""How values are shown to people, and how texts of users are made fit to be shown."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from revector import _display
from revector.report.content import Cell, Column, Span

LONGEST_TEXT = 160
LONGEST_ID = 80
NOTHING = "–"

# Control characters, line separators, changes of the direction of writing, half surrogate pairs.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_READ_AHEAD = 8  # so much more of a text is looked at as is shown: runs of blanks become one


def shortened(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return the beginning of a user's text on one line, whatever its length."""
    whole = str(text)
    words = " ".join(whole[: _READ_AHEAD * longest].split())
    if len(words) > longest:
        return f"{words[: longest - 1].rstrip()}…"
    return words if len(whole) <= _READ_AHEAD * longest else f"{words}…"


def visible(text: str) -> str:
    """Return a text in which what would steer its display, and line feeds, are written out."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shown_id(id_: object) -> str:
    """Return a document's id as it is shown: on one line, and cut if it is very long."""
    whole = visible(str(id_)[: LONGEST_ID + 1])
    return whole if len(whole) <= LONGEST_ID else f"{whole[: LONGEST_ID - 1]}…"


def shown_duration(seconds: float) -> str:
    """Return a time in the unit that suits it, on one line."""
    return _display.shown_seconds(seconds).replace(" ", "\u00a0")


def shown_bytes(count: float) -> str:
    """Return a size in the unit that suits it, on one line."""
    return _display.shown_bytes(count).replace(" ", "\u00a0")


def shown_time(at: float) -> str:
    """Return a moment in local time; its number where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return f"{at:g}"


def shown_rate(rate: float) -> str:
    """Return documents a second."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.3g}/s"


def shown_span(span: Span) -> str:
    """Return a value with the ends of its interval."""
    show = signed if span.signed else plain
    return f"{show(span.value)} [{show(span.low)}, {show(span.high)}]"


def plain(value: float) -> str:
    """Return a number with four decimals."""
    return f"{value:.4f}" if math.isfinite(value) else _odd(value)


def signed(value: float) -> str:
    """Return a difference with its sign, and a minus as wide as the plus."""
    return f"{value:+.4f}".replace("-", "−") if math.isfinite(value) else _odd(value)


def _odd(value: float) -> str:
    return NOTHING if math.isnan(value) else "∞" if value > 0 else "−∞"


SHOWN: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "text": lambda value: visible(str(value)),
        "code": lambda value: visible(str(value)),
        "count": lambda value: f"{value:,.0f}",
        "figure": plain,
        "signed": signed,
        "share": lambda value: f"{value:.1%}",
        "seconds": shown_duration,
        "bytes": shown_bytes,
        "rate": shown_rate,
        "time": shown_time,
        "p": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
        "span": shown_span,
    }
)
"""How a cell is shown, by the kind of its column. In any column a string is a text, a span a span, nothing a dash."""


def shown_cell(column: Column, cell: Cell) -> str:
    """Return a cell as people read it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return NOTHING
    kind = "text" if isinstance(cell, str) else "span" if isinstance(cell, Span) else column.kind
    return SHOWN[kind](cell)


def bar(span: Span) -> dict[str, Any] | None:
    """Return where a span lies on its axis, in percent, and its marks; ``None`` where there is nothing to draw."""
    low, high = span.axis
    if not math.isfinite(span.value) or not low < high:
        return None

    def place(value: float) -> float:
        return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)

    marks = [place(mark) for mark in span.marks if low <= mark <= high]
    return {"low": place(span.low), "high": place(span.high), "value": place(span.value), "marks": marks}


def common_axis(values: list[float], *, zero: bool = False) -> tuple[float, float]:
    """Return the ends of an axis that holds some values, with a little room."""
    known = [value for value in values if math.isfinite(value)] + [0.0] * zero
    if not known:
        return (0.0, 1.0)
    low, high = min(known), max(known)
    room = 0.06 * (high - low) or 0.01
    return (low - room, high + room)
