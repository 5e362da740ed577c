"""`revector plan`, `pilot`, `export`, and `add` of folders: their output, their JSON, their exit codes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from commands import Commands
from revector.cli import app

WORDS = ["flour", "salt", "chain", "brakes", "poles", "ropes", "tests", "line"]
TEXTS = {f"d{place}": f"{WORDS[place % 8]} and {WORDS[place // 8]}" for place in range(64)}


@pytest.fixture
def cli(tmp_path: Path, static_model: Any) -> Commands:
    texts = [*TEXTS.values()]
    made = Commands(tmp_path, static_model("old", 8, texts), static_model("new", 16, texts))
    made("init", "--model", str(made.old))
    made("add", text="".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in TEXTS.items()))
    return made


def test_a_plan_ends_in_the_command_that_begins_it(cli: Commands) -> None:
    plan = cli.json("plan", "--model", str(cli.new), "--deadline", "2999-01-31", "--writes-per-day", "100")
    assert (plan["cost"]["documents"], plan["texts"]["counted_by"]) == (64, "the model's own tokenizer")
    assert plan["next_steps"] == [f"revector pilot {cli.path} --model {cli.new}", plan["command"]]
    started = CliRunner().invoke(app, shlex.split(plan["command"])[1:])
    assert started.exit_code == 0, started.output


def test_a_plan_is_shown_by_subject(cli: Commands) -> None:
    shown = cli("plan", "--model", str(cli.new), "--price-per-million-tokens", "2", "--sla-ms", "50").stdout
    for subject in ("texts", "rate", "time", "storage", "money", "strategy", "begin with"):
        assert subject in shown
    assert "background,dual-index" in shown
    assert "batch API" in shown


def test_prices_come_from_a_file_and_flags_replace_them(cli: Commands) -> None:
    file = cli.folder / "prices.json"
    file.write_text(json.dumps({"currency": "EUR", "models": {str(cli.new): {"per_million_tokens": 2}}}))
    of_file = cli.json("plan", "--model", str(cli.new), "--prices", str(file), "--dry-run")
    of_flag = cli.json(
        "plan", "--model", str(cli.new), "--prices", str(file), "--price-per-million-tokens", "4", "--dry-run"
    )
    assert of_flag["prices"][0]["amount"] == pytest.approx(2 * of_file["prices"][0]["amount"])
    assert of_flag["wanted"]["prices"]["currency"] == "EUR"


def test_a_dry_run_writes_nothing(cli: Commands) -> None:
    from revector.collection import Collection

    cli("plan", "--model", str(cli.new), "--dry-run")
    said = cli.json("pilot", "--model", str(cli.new), "--dry-run")
    assert "at least 64 of 64 documents" in said["steps"][0]
    with Collection.open(cli.path) as docs:
        assert docs.last_plan is None


def test_status_shows_the_plan_of_the_migration(cli: Commands) -> None:
    cli("plan", "--model", str(cli.new))
    cli("start", "--model", str(cli.new))
    assert "planned" in cli("status").stdout
    assert cli.json("status")["plan"]["cost"]["documents"] == 64


def test_status_does_not_show_the_plan_of_another_model(cli: Commands, static_model: Any) -> None:
    cli("plan", "--model", str(static_model("third", 4, TEXTS.values())))
    cli("start", "--model", str(cli.new))
    assert cli.json("status")["plan"] is None


def test_a_pilot_is_held_against_the_plan(cli: Commands) -> None:
    (cli.folder / "queries.jsonl").write_text("".join(json.dumps({"id": w, "text": w}) + "\n" for w in WORDS))
    (cli.folder / "qrels.tsv").write_text("".join(f"{w}\td{place}\t1\n" for place, w in enumerate(WORDS)))
    planned = cli.json("plan", "--model", str(cli.new))
    found = cli.json("pilot", "--model", str(cli.new), "--judged", str(cli.folder))
    assert found["planned_rate"] == planned["cost"]["documents_per_second"]
    assert found["quality"]["old"]["n_queries"] == len(WORDS)
    assert found["next_steps"] == [found["plan"]["command"]] == [planned["command"]]
    assert "seen" in cli("pilot", "--model", str(cli.new)).stdout


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("plan", (), 2),
        ("plan", ("--model", "{new}", "--workers", "0"), 2),
        ("plan", ("--model", "{new}", "--deadline", "soon"), 1),
        ("plan", ("--model", "{new}", "--prices", "nowhere.toml"), 1),
        ("plan", ("--model", "{new}", "--sla-ms", "-1"), 1),
        ("plan", ("--model", "{new}", "--price-per-million-tokens", "nan"), 1),
        ("plan", ("--model", "{old}"), 1),
        ("plan", ("--model", "nowhere/at/all"), 1),
        ("pilot", ("--model", "{new}", "--share", "0"), 1),
        ("pilot", ("--model", "{new}", "--share", "2", "--dry-run"), 1),
        ("pilot", ("--model", "{new}", "--judged", "nowhere"), 1),
        ("pilot", ("--model", "{old}"), 1),
        ("export", (), 2),
        ("export", ("--to", "out.docx"), 1),
        ("export", ("--to", "nowhere/out.npy"), 1),
    ],
)
def test_a_mistake_is_one_message(cli: Commands, verb: str, arguments: tuple[str, ...], code: int) -> None:
    typed = [word.format(old=cli.old, new=cli.new) for word in arguments]
    result = cli(verb, *typed, "--json", code=code)
    assert json.loads(result.stdout)["error"]["message"] in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("verb", ["plan", "pilot", "export"])
def test_help_has_an_example(verb: str) -> None:
    assert f"Example: revector {verb}" in CliRunner().invoke(app, [verb, "--help"]).stdout


def test_an_export_names_its_files(cli: Commands) -> None:
    made = cli.json("export", "--to", str(cli.folder / "out.npy"))
    assert made["files"] == [str(cli.folder / name) for name in ("out.npy", "out.npy.space.json", "out.npy.rows.jsonl")]
    assert np.load(cli.folder / "out.npy").shape == (64, 8)
    assert "64 documents" in cli("export", "--to", str(cli.folder / "out.jsonl")).stdout


def test_an_export_that_is_only_foreseen_writes_nothing(cli: Commands) -> None:
    found = cli.json("export", "--to", str(cli.folder / "out.npy"), "--dry-run")
    assert (found["documents"], len(found["files"])) == (64, 3)
    assert found["next_steps"][0].endswith(f"--to {cli.folder / 'out.npy'}")
    assert not list(cli.folder.glob("out.npy*"))
    (cli.folder / "out.npy.space.json").write_text("{}")
    cli("export", "--to", str(cli.folder / "out.npy"), "--dry-run", code=1)


def test_add_reads_a_folder_of_texts_and_what_was_exported(cli: Commands) -> None:
    folder = cli.folder / "texts"
    folder.mkdir()
    (folder / "new.txt").write_text("salt and flour")
    assert cli.json("add", str(folder))["documents"] == 65
    cli("export", "--to", str(cli.folder / "out.jsonl"))
    assert cli.json("add", str(cli.folder / "out.jsonl"))["added"] == 65
    assert cli.json("search", "salt", "-k", "1")["hits"][0]["metadata"] == {}
