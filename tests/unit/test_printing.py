"""What the commands print: data as it is, on every stream, and JSON that always parses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from revector.cli.printing import clean, complain, fields, print_json, say, strict, table

Show = Callable[[str], Any]
SHOWS: dict[str, Show] = {
    "line": lambda text: text,
    "fields": lambda text: fields({text: text}),
    "table": lambda text: table({text: ""}, [[text]]),
}


def _stdout(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> io.BytesIO:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    return written


@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
@pytest.mark.parametrize("text", ["[/INST]", "list[str]", "[red]x[/red]", ":smile:", "[link=x]", r"a\[b]", "[", "{x}"])
def test_data_is_not_markup(monkeypatch: pytest.MonkeyPatch, show: Show, text: str) -> None:
    written = _stdout(monkeypatch)
    say(show(text))
    assert text in written.getvalue().decode()


@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
@pytest.mark.parametrize(
    "character", ["\x1b", "\x00", "\x07", "\x08", "\r", "\x7f", "\x9b", "\u202e", "\ud83d", "\ufeff"]
)
def test_what_would_steer_a_terminal_is_written_out(
    monkeypatch: pytest.MonkeyPatch, show: Show, character: str
) -> None:
    written = _stdout(monkeypatch)
    say(show(f"a{character}b"))
    shown = written.getvalue().decode()
    assert character not in shown
    assert repr(character)[1:-1] in shown


def test_line_feeds_tabs_and_joined_characters_stay() -> None:
    assert clean("a\r\nb\tc\n👩\u200d🔬 e\u0301") == "a\nb\tc\n👩\u200d🔬 e\u0301"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
def test_a_stream_without_a_character_writes_its_escape(
    monkeypatch: pytest.MonkeyPatch, encoding: str, show: Show
) -> None:
    written = _stdout(monkeypatch, encoding)
    say(show("日本 é"))
    assert ("日本" if encoding == "utf-8" else r"\u65e5\u672c") in written.getvalue().decode(encoding)


def test_wide_characters_take_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    written = _stdout(monkeypatch)
    say(table({"a": "", "b": ""}, [["日本", "x"], ["abcd", "x"]]))
    rows = written.getvalue().decode().splitlines()[1:]
    assert len({cell_len(row[: row.index("x")]) for row in rows}) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_json_parses_whatever_stdout_writes(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    written = _stdout(monkeypatch, encoding)
    document = {"text": "é 日本 \x1b\x9b\u202e\u2028 👩"}
    print_json(json.dumps(document, ensure_ascii=False))
    shown = written.getvalue().decode(encoding)
    assert json.loads(shown) == document
    assert not set("\x9b\u202e\u2028") & set(shown)


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    where: Path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ([1.5, float("-inf")], [1.5, None]),
        (np.float32("nan"), None),
        (np.array([[1.0, np.inf]]), [[1.0, None]]),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ({3: {"deep": (float("inf"),)}}, {"3": {"deep": [None]}}),
        (Point(float("nan"), Path("a")), {"x": None, "where": "a"}),
        (Colour.RED, "red"),
        (ValueError("told"), "told"),
    ],
)
def test_everything_has_a_strict_json_form(value: object, expected: object) -> None:
    assert json.loads(json.dumps(strict(value), allow_nan=False)) == expected


def test_streams_that_were_never_opened_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert (say("to nobody"), print_json("{}"), complain("to nobody")) == (None, None, None)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_is_named(options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "revector", "doctor", *options]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "revector: stdout cannot be written: No space left on device\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_ends_a_command_quietly(options: list[str]) -> None:
    command = [sys.executable, "-m", "revector", "doctor", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1
