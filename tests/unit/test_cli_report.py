"""The command that writes the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assessments import assessment
from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with Collection.open(tmp_path / "docs.db", HashEncoder(8)) as docs:
        docs.upsert(["a", "b"], ["one text", "another text"])
    return "docs.db"


def _run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(
    ("options", "file", "begins"),
    [
        ([], "report.html", "<!doctype html>"),
        (["--format", "md"], "report.md", "# "),
        (["--format", "json"], "report.json", "{"),
        (["--out", "mine.md"], "mine.md", "# "),
        (["--out", "mine", "--format", "json"], "mine", "{"),
        (["--no-check"], "report.html", "<!doctype html>"),
    ],
)
def test_a_file_is_written_in_the_format_that_is_asked_for(
    place: str, options: list[str], file: str, begins: str
) -> None:
    assert file in _run(place, *options).stdout
    assert Path(file).read_text(encoding="utf-8").startswith(begins)


def test_the_answer_says_what_was_written_and_what_comes_next(place: str) -> None:
    found = json.loads(_run(place, "--json").stdout)
    assert (found["report"], found["decision"]) == ("report.html", None)
    assert found["bytes"] == Path("report.html").stat().st_size
    assert found["next_steps"] == ["revector assess docs.db --model MODEL --judged FOLDER"]
    assert list(found)[-1] == "next_steps"


def test_an_assessment_is_read_from_its_file(place: str) -> None:
    Path("a.json").write_text("\ufeff" + json.dumps(assessment()), encoding="utf-8")
    found = json.loads(_run(place, "--assessment", "a.json", "--json").stdout)
    assert (found["decision"], found["next_steps"]) == ("migrate", [])
    assert "Migrate</h1>" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected an object"),
        (None, "cannot be read"),
    ],
    ids=["empty", "cut", "deep", "list", "missing"],
)
def test_a_file_that_holds_no_assessment_is_an_error(place: str, content: str | None, said: str) -> None:
    if content is not None:
        Path("a.json").write_text(content)
    assert said in _run(place, "--assessment", "a.json", code=1).stderr
    assert not Path("report.html").exists()


def test_a_file_that_cannot_be_written_is_an_error(place: str) -> None:
    found = json.loads(_run(place, "--out", "nowhere/report.html", "--json", code=1).stdout)
    assert found["error"]["type"] == "FileNotFoundError"


def test_an_unknown_format_is_wrong_usage(place: str) -> None:
    _run(place, "--format", "pdf", code=2)


def test_there_is_an_example_in_the_help() -> None:
    assert "Example: revector report docs.db" in " ".join(_run("--help").stdout.split())
