"""The commands that adopt a table and release it, on a kind of backend that another package brings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from revector.backends import opening
from revector.backends.contracts.adoption import Adopted, Released, TableToAdopt, Tell
from revector.backends.opening import ENTRY_POINTS
from revector.cli import app
from revector.encoders.base import TextEncoder
from revector.encoders.identify import identify
from revector.errors import GateRefusedError

URL = "tables://me:hidden-word@host/db"
TEXTS = ["bread and salt", "a loaf of bread", "salt in soup"]
TABLE = ("--table", 'Sales."Odd.Docs"', "--id", "tenant,Number", "--vector", "embedding")


class Part(NamedTuple):
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class Tables:
    """A store of another package, with one table that can be adopted."""

    calls: list[tuple[Any, ...]]

    @staticmethod
    def shown(place: str) -> str:
        return place.replace("me:hidden-word", "me")

    @classmethod
    def adopt(
        cls,
        place: str,
        table: TableToAdopt,
        candidates: Sequence[TextEncoder],
        *,
        dry_run: bool,
        accept_unidentified: bool,
        tell: Tell,
    ) -> Adopted:
        cls.calls.append((place, table, dry_run, accept_unidentified))
        tell("a sample")
        found = identify(TEXTS, candidates[-1].encode(TEXTS), candidates)
        if found.best is None and not accept_unidentified:
            raise GateRefusedError("adopt", (found.reason,))
        index = {"name": "docs_hnsw", "method": "hnsw", "options": {"m": "16"}, "is_valid": False, "definition": "…"}
        facts = {
            "oid": 7,
            "dimension": 8,
            "keys": [{"name": "tenant", "type": "text"}, {"name": "Number", "type": "bigint"}],
            "indexes": [index],
            "has_row_security": True,
            "partitions": (Part("Sales", "2026"),),
            "triggers": (),
        }
        contents = {"rows": 200_000, "without_vector": 3}
        statements = ('CREATE TABLE "a" (b text)', "CREATE TRIGGER c;")
        return Adopted(f"{cls.shown(place)}#docs", facts, contents, found.to_json(), statements, 1.5)

    @classmethod
    def release(
        cls, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        given = {"missing": allow_missing, "in_place": in_place, "triggers": fire_triggers, "dry_run": dry_run}
        cls.calls.append((place, *(name for name, is_said in given.items() if is_said)))
        tell("an index")
        return Released("Sales.Docs", 199_997, ("docs_hnsw",), ("docs_ivf: of another dimension",))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    point = EntryPoint("tables", f"{__name__}:Tables", ENTRY_POINTS)
    monkeypatch.setattr(opening, "entry_points", lambda group: [point] if group == ENTRY_POINTS else [])
    monkeypatch.setattr(Tables, "calls", [], raising=False)
    return Tables.calls


@pytest.fixture
def model(static_model: Any) -> str:
    return str(static_model("old", 8, TEXTS))


def revector(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def lines(result: Result) -> dict[str, str]:
    """Return what a table of two columns says."""
    pairs = [line.split("  ", 1) for line in result.stdout.splitlines() if "  " in line]
    return {name.strip(): value.strip() for name, value in pairs}


def test_names_reach_the_store_as_they_are_spelled(calls: list[Any], model: str) -> None:
    options = ("--text", "Title,Body", "--text", "notes", "--updated", "At", "--name", "docs", "--model", model)
    revector("adopt", URL, *TABLE, *options)
    table = TableToAdopt('Sales."Odd.Docs"', "tenant,Number", ("Title,Body", "notes"), "embedding", "At", "docs")
    assert calls == [(URL, table, False, False)]


@pytest.mark.usefixtures("calls")
def test_what_was_found_is_shown_to_people(model: str) -> None:
    result = revector("adopt", URL, *TABLE, "--text", "body", "--model", model)
    assert result.stdout.endswith("adopted as 'tables://me@host/db#docs'\n")
    assert lines(result) == {
        "dimension": "8",
        "key": "tenant (text); Number (bigint)",
        "index": "docs_hnsw (hnsw, m 16, not valid)",
        "row-level security": "yes",
        "partitions": "Sales.2026",
        "triggers": "none",
        "rows": "200,000",
        "without vector": "3",
        "model": "3 of 3 vectors (43.9–100.0 %) are old's",
    }


def test_a_dry_run_prints_the_sql(calls: list[Any], model: str) -> None:
    shown = revector("adopt", URL, *TABLE, "--text", "body", "--model", model, "--dry-run").stdout
    assert calls[0][2] is True
    assert '\nCREATE TABLE "a" (b text);\n\nCREATE TRIGGER c;\n' in shown
    assert "\nwould be 'tables://me@host/db#docs'\n" in shown


@pytest.mark.usefixtures("calls")
def test_json_has_all_of_it(model: str) -> None:
    found = json.loads(revector("adopt", URL, *TABLE, "--text", "body", "--model", model, "--json").stdout)
    assert found["facts"]["oid"] == 7
    assert found["statements"] == ['CREATE TABLE "a" (b text)', "CREATE TRIGGER c;"]
    assert found["identification"]["attributions"][0]["rows"] == 3
    assert "hidden-word" not in json.dumps(found)


def test_vectors_that_name_no_model_are_refused_unless_that_is_accepted(
    calls: list[Any], model: str, static_model: Any, tmp_path: Path
) -> None:
    twin = static_model("twin", 8, TEXTS)
    changed = json.loads((twin / "config.json").read_text())
    (twin / "config.json").write_text(json.dumps({**changed, "max_length": 99}))
    options = (*TABLE, "--text", "body", "--model", model, "--model", str(twin))
    refused = revector("adopt", URL, *options, code=3)
    assert "3 of 3 vectors fit several candidates" in refused.stderr
    revector("adopt", URL, *options, "--accept-unidentified")
    assert [call[3] for call in calls] == [False, True]


def test_a_model_is_needed(calls: list[Any]) -> None:
    revector("adopt", URL, *TABLE, "--text", "body", code=2)
    assert calls == []


def test_release_wants_a_yes(calls: list[Any]) -> None:
    revector("release", f"{URL}#docs", code=3)
    assert calls == []


def test_release_says_what_was_given_back(calls: list[Any]) -> None:
    shown = lines(revector("release", f"{URL}#docs", "--yes"))
    assert calls == [(f"{URL}#docs",)]
    assert shown == {
        "given back": "Sales.Docs",
        "vectors": "199,997",
        "indexes": "docs_hnsw",
        "left out": "docs_ivf: of another dimension",
    }


def test_rows_without_a_vector_are_left_so_where_that_is_accepted(calls: list[Any]) -> None:
    released = json.loads(revector("release", f"{URL}#docs", "--yes", "--accept-missing", "--json").stdout)
    assert calls == [(f"{URL}#docs", "missing")]
    assert released["vectors"] == 199_997


def test_a_release_that_is_only_tried_needs_no_yes(calls: list[Any]) -> None:
    shown = lines(revector("release", f"{URL}#docs", "--dry-run", "--in-place", "--fire-triggers"))
    assert calls == [(f"{URL}#docs", "in_place", "triggers", "dry_run")]
    assert shown["would be given back"] == "Sales.Docs"


@pytest.mark.parametrize("verb", ["adopt", "release"])
def test_a_store_whose_tables_are_not_adopted_says_how_documents_are_imported(verb: str, tmp_path: Path) -> None:
    place = str(tmp_path / "docs.db")
    options = (*TABLE, "--text", "body", "--model", "none") if verb == "adopt" else ("--yes",)
    ended = json.loads(revector(verb, place, *options, "--json", code=1).stdout)
    assert ended["error"]["type"] == "InvalidArgumentError"
    assert ended["next_steps"] == [f"revector init {place} --model MODEL", f"revector add {place} FILE"]
    assert not Path(place).exists()
