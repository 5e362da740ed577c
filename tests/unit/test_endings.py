"""How commands end: exit codes, messages, and one JSON document whatever happens."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import revector
from revector.cli import app
from revector.cli.wording import as_typed
from revector.collection import Collection
from revector.testing import HashEncoder

SECRET = "postgresql://me:s3cr%40t%20p/w@host/docs"


def _run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=text)


@pytest.fixture
def place(tmp_path: Path) -> str:
    with Collection.open(tmp_path / "docs.db", HashEncoder()) as docs:
        docs.upsert(["a"], ["text"])
    return str(tmp_path / "docs.db")


def _fail(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_the_version_is_printed() -> None:
    result = _run("--version")
    assert (result.exit_code, result.stdout) == (0, f"revector {revector.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "type_"),
    [
        (["search"], 2, "UsageError"),
        (["search", "x.db", "q", "-k", "none"], 2, "UsageError"),
        (["search", "x.db", "q", "--speed", "9"], 2, "UsageError"),
        (["serch"], 2, "UsageError"),
        (["add", "x.db", "a", "b[/c]"], 2, "UsageError"),
        (["demo", "--workdir", "w", "--no-keep"], 2, "UsageError"),
        (["status", "x.db"], 1, "NoCollectionError"),
        (["status", "/dev/null/x.db"], 1, "NoCollectionError"),
        (["run", "{place}"], 1, "InvalidArgumentError"),
        (["search", "{place}", "q"], 1, "EncoderError"),
        (["init", "{place}", "--model", "x"], 1, "InvalidArgumentError"),
        (["add", "{place}", "nowhere.jsonl"], 1, "InvalidArgumentError"),
        (["assess", "{place}", "--model", "x", "--judged", "."], 1, "InvalidArgumentError"),
    ],
)
def test_an_error_is_one_document_and_one_message(place: str, arguments: list[str], code: int, type_: str) -> None:
    result = _run(*(word.replace("{place}", place) for word in arguments), "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["error"]["type"]) == (code, type_)
    assert f"revector: {document['error']['message']}" in result.stderr
    assert isinstance(document["next_steps"], list)


def test_without_json_nothing_of_an_error_is_on_stdout(place: str) -> None:
    for arguments in (["search", place, "q"], ["search"], ["status", "x.db"]):
        assert _run(*arguments).stdout == ""


def test_an_argument_that_only_looks_like_the_option_asks_for_no_json(place: str) -> None:
    result = _run("search", place, "--", "--json")
    assert (result.exit_code, result.stdout) == (1, "")


def test_an_error_carries_its_fields(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = revector.errors.StaleAliasError(alias="live", expected=1, found=2)
    monkeypatch.setattr(Collection, "search", _fail(error))
    found = json.loads(_run("search", place, "q", "--json").stdout)["error"]
    assert (found["type"], found["alias"], found["expected"], found["found"]) == ("StaleAliasError", "live", 1, 2)


def test_the_next_steps_are_commands(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    conflict = revector.errors.LedgerConflictError("busy", alias="live", phase="serving", steps=("rollback", "retire"))
    monkeypatch.setattr(Collection, "migration", property(_fail(conflict)))
    steps = json.loads(_run("status", place, "--json").stdout)["next_steps"]
    assert steps == [f"revector rollback {place}", f"revector retire {place}"]


def test_a_refusal_names_the_options_of_the_command(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = revector.errors.GateRefusedError("retire", ("it is final; say confirm=True", "wait, or say force=True"))
    monkeypatch.setattr(Collection, "migration", property(_fail(refused)))
    found = json.loads(_run("status", place, "--json").stdout)["error"]
    assert found["message"] == "retire refused: it is final; say --yes; wait, or say --force"
    assert found["reasons"] == ["it is final; say --yes", "wait, or say --force"]


def test_every_method_that_a_refusal_of_a_migration_names_has_a_command() -> None:
    """What the sources say in words, docstrings left out."""
    package = Path(revector.__file__).parent
    trees = [ast.parse(file.read_text()) for part in ("migration", "ledger") for file in (package / part).rglob("*.py")]
    raised = [node for tree in trees for node in ast.walk(tree) if not isinstance(node, ast.Expr)]
    said = {
        part.value
        for node in raised
        for part in ast.iter_child_nodes(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    methods = re.compile(r"\b(?:start|run|verify|cutover|rollback|retire|failures|retry_failed|migrate)\(|\w=True")
    named = [text for text in said if methods.search(text)]
    assert len(named) >= 10
    assert [text for text in map(as_typed, named) if methods.search(text)] == []


def test_ctrl_c_is_told_and_ends_with_130(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Collection, "search", _fail(KeyboardInterrupt()))
    result = _run("search", place, "q", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["type"]) == (130, "KeyboardInterrupt")
    assert "interrupted" in result.stderr


def test_an_error_that_nobody_foresaw_is_a_document_with_a_traceback_beside_it(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Collection, "search", _fail(ZeroDivisionError("by nought")))
    result = _run("search", place, "q", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]) == (
        1,
        {"type": "ZeroDivisionError", "message": "by nought"},
    )
    assert "Traceback" in result.stderr


def test_a_failure_after_the_answer_takes_its_place(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Collection, "close", _fail(revector.errors.StoreError("disk full")))
    assert json.loads(_run("status", place, "--json").stdout)["error"]["message"] == "disk full"


@pytest.mark.parametrize(
    "url", [SECRET, SECRET.replace("://", ":/"), SECRET.partition("//")[2], "mysql://u:s3cr%40t@h"]
)
@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    "command", [["init", "{}", "--model", "x"], ["add", "{}"], ["search", "{}", "q"], ["{}"], ["doctor", "x.db", "{}"]]
)
def test_a_password_is_never_repeated(url: str, options: list[str], command: list[str]) -> None:
    result = _run(*(word.format(url) for word in command), *options)
    assert result.exit_code in (1, 2)
    assert "s3cr" not in result.output + repr(result.exception)


def test_a_password_in_an_error_of_somebody_else_is_hidden(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = "openai:m?base_url=http://me:hunter22@127.0.0.1:9/v1"
    monkeypatch.setattr("revector.cli.collection.open_encoder", _fail(RuntimeError("no answer: me:hunter22 at host")))
    result = _run("init", f"{place}2", "--model", model, "--json")
    assert "hunter22" not in result.output


@pytest.mark.parametrize("name", ["-docs.db", "with space.db", "[red].db", "new\nline.db", "日本.db", "quo'te.db"])
def test_a_hint_can_be_pasted_whatever_the_file_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("status", "--json", "--", name)
    (step,) = json.loads(result.stdout)["next_steps"]
    assert re.fullmatch(r"revector init (\./|')?.*\.db'? --model MODEL", step, re.DOTALL)
    assert not step.startswith("revector init -")
