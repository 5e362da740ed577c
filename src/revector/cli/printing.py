r"""What the commands print: the one place that writes to stdout and stderr.

A string is data and is shown as it is: no markup and no emoji codes are read in it, and what would steer a terminal is
written out (``\x1b``). A stream that cannot write a character writes its escape. JSON is strict, and is printed once,
when the command has ended.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

import numpy as np
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

__all__ = [
    "can_draw",
    "clean",
    "complain",
    "emit",
    "fields",
    "live_screen",
    "plain",
    "print_json",
    "progress_bar",
    "say",
    "spinner",
    "strict",
    "table",
    "taken_answer",
]

# Control characters but line feed and tab, line separators, changes of the direction of writing, half surrogate pairs.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_FAILING = ("strict", "surrogateescape")

_answer: list[Any] = []


def clean(text: str) -> str:
    """Return a text in which whatever would steer a terminal is written out."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def plain(text: str, style: str = "", *, whole: bool = False) -> Text:
    """Return a text to be shown as it is, in a style; a `whole` one is not wrapped, so that it can be copied."""
    if whole:
        return Text(clean(text), style, no_wrap=True, overflow="ignore")
    return Text(clean(text), style, overflow="fold")


def fields(rows: Mapping[str, str]) -> Table:
    """Show names and values in two columns."""
    shown = Table(show_header=False, box=None, pad_edge=False)
    shown.add_column(style="dim")
    for name, value in rows.items():
        shown.add_row(name, plain(value))
    return shown


def table(columns: Mapping[str, str], rows: Iterable[Sequence[str]]) -> Table:
    """Show rows under the names of their columns, which have styles."""
    shown = Table(box=None, pad_edge=False)
    for name, style in columns.items():
        shown.add_column(name, style=style or None, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    return shown


def say(shown: RenderableType) -> None:
    """Print to stdout."""
    with _writing():
        _console().print(shown, crop=False)  # long commands stay whole, so that they can be copied


def complain(text: str) -> None:
    """Print to stderr, for people."""
    if (stream := _forgiving(sys.stderr)) is not None:
        with suppress(OSError):
            stream.write(clean(text) + "\n")
            stream.flush()


def emit(value: Any, shown: RenderableType, *, as_json: bool, next_steps: Sequence[str] = ()) -> None:
    """Print a result as it is shown to people, or keep it as the JSON document that ends the command.

    The document is an object, and its last field is ``next_steps``: the commands that come next.
    """
    if as_json:
        document = strict(value)
        steps = document.pop("next_steps", list(next_steps))
        _answer[:] = [{**document, "next_steps": steps}]
    else:
        say(shown)


def taken_answer() -> list[Any]:
    """Return the document of the command that has ended, if it has one, and forget it."""
    answer = list(_answer)
    _answer.clear()
    return answer


def print_json(document: str) -> None:
    """Print a JSON document, of ASCII characters where stdout does not write UTF-8."""
    stream = _forgiving(sys.stdout)
    if stream is None:
        return
    if not str(stream.encoding).lower().replace("-", "").startswith("utf8"):
        document = json.dumps(json.loads(document))
    document = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
    with _writing():
        stream.write(document + "\n")


def strict(value: Any) -> Any:
    """Turn a value into what JSON knows; NaN and infinity become ``None``."""
    if isinstance(value, Enum):
        return strict(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "to_json"):
        return strict(value.to_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: strict(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return strict(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict(item) for item in value]
    return str(value)


def progress_bar() -> Progress:
    """Return a display on stderr whose tasks carry their own text; it leaves nothing behind, and needs a terminal."""
    console = _console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[details]}", markup=False),
    )
    return Progress(
        *columns, console=console, disable=not console.is_terminal, redirect_stdout=False, redirect_stderr=False
    )


def spinner(text: str) -> Status:
    """Return a display on stderr of something that is under way."""
    return _console(stderr=True).status(text)


def can_draw() -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    console = _console()
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def live_screen() -> Iterator[Callable[[RenderableType], None]]:
    """Yield what shows one thing after another on the whole terminal, which is as it was before afterwards.

    What is shown is drawn again a few times a second, so that it fits after a resize; what does not fit is cut off.
    """
    with Live(console=_console(), screen=True, redirect_stdout=False, redirect_stderr=False) as display:
        yield lambda shown: display.update(shown, refresh=True)


class _PlainConsole(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        """Show a string, in whatever part of a table it stands, as data."""
        return super().render_str(clean(text), **{**options, "markup": False, "emoji": False})


def _console(*, stderr: bool = False) -> Console:
    _forgiving(sys.stderr if stderr else sys.stdout)
    return _PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False)


def _forgiving(stream: Any) -> Any:
    """Return a stream that writes the escape of a character which its encoding does not have."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in _FAILING:
        stream.reconfigure(errors="backslashreplace")
    return stream


@contextmanager
def _writing() -> Iterator[None]:
    """Write to stdout; end the command if that is not possible, quietly if its reader has gone."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        raise SystemExit(1) from None
    except OSError as error:
        _drop_stdout()
        complain(f"revector: stdout cannot be written: {error.strerror}")
        raise SystemExit(1) from None


def _drop_stdout() -> None:
    """Send what is still in the buffer of stdout to nowhere, or Python would complain at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
