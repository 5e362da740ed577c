"""The command line, on models made here: every verb, its JSON, its exit codes."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commands import Commands
from index_worlds import graph_files, small_graphs
from revector.cli import app
from revector.collection import Collection
from revector.encoders.native.encoder import Encoder
from revector.migration.migration import Migration
from services import DIMENSION, Service, refuses, running, status

TEXTS = {
    "bread": "Mix flour, water, salt and yeast, knead the dough, and bake the loaf in a hot oven.",
    "soup": "Cook onions, carrots and potatoes in water with salt until they are soft.",
    "bike": "Pump up the tyres, oil the chain, and check the brakes before a ride.",
    "tent": "Choose flat ground, lay out the sheet, raise the poles and peg down the ropes.",
    "code": "Read the error message, find the line, change it, and run the tests again.",
}
QUERIES = {"bread": "bake a loaf of dough", "bike": "oil the chain of the brakes", "code": "run the tests of the line"}


class Cli(Commands):
    """A collection that can be filled."""

    def filled(self) -> Cli:
        self("init", "--model", str(self.old))
        self("add", text="".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in TEXTS.items()))
        return self


@pytest.fixture
def cli(tmp_path: Path, static_model: Any) -> Cli:
    texts = [*TEXTS.values(), *QUERIES.values()]
    return Cli(tmp_path, static_model("old", 8, texts), static_model("new", 64, texts))


def test_init_says_what_serves(cli: Cli) -> None:
    made = cli.json("init", "--model", str(cli.old))
    assert made["space"]["dimension"] == 8
    assert made["source"] == str(cli.old)


def test_a_service_is_a_model_like_any_other(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with running(Service()) as service:
        made = cli.json(
            "init", "--model", f"openai:a-model?base_url={service.url}&spend_cap=1&price_per_million_tokens=2"
        )
        cli("add", text="".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in TEXTS.items()))
        assert cli.json("search", "oil the chain", "-k", "1")["hits"][0]["id"] == "bike"
    assert (made["space"]["model"], made["space"]["dimension"]) == ("a-model", DIMENSION)
    assert "spend_cap=1.0" in made["source"]
    assert "sk-secret" not in made["source"]


def test_add_lists_what_the_model_refuses_with_its_line_and_adds_the_rest(cli: Cli) -> None:
    rows = [{"id": key, "text": text} for key, text in [("a", "fine"), ("b", "x" * 5000), ("c", "fine as well")]]
    with running(Service(otherwise=refuses(lambda text: len(text) > 4000))) as service:
        cli("init", "--model", f"openai:a-model?base_url={service.url}&known_dimension={DIMENSION}")
        added = cli.json("add", text="".join(json.dumps(row) + "\n" for row in rows), code=1)
    (refused,) = added["refused"]
    assert (added["added"], added["documents"]) == (2, 2)
    assert (refused["where"], refused["id"]) == ("stdin:2", "b")
    assert "maximum context length" in refused["reason"]


def test_an_option_of_a_service_that_does_not_exist_is_an_error(cli: Cli) -> None:
    assert "no option 'speed'" in cli("init", "--model", "openai:a-model?speed=11", code=1).stderr


def test_search_says_what_an_answer_lacks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("revector.search.rescoring.Rescoring._in_time", lambda *_: 0)
    cli.filled()("start", "--model", str(cli.new))
    assert "were not embedded within the budget" in cli("search", "oil the chain").stderr


def test_init_refuses_a_collection_that_exists(cli: Cli) -> None:
    cli("init", "--model", str(cli.old))
    assert "is there already" in cli("init", "--model", str(cli.old), code=1).stderr


@pytest.mark.parametrize("model", ["/dev/null", "./nowhere", "openai:m?speed=11", "openai:a-model?base_url={url}"])
def test_a_first_init_that_fails_leaves_nothing_and_the_second_works(
    cli: Cli, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-key")
    before = set(cli.folder.iterdir())
    with running(Service(otherwise=status(401))) as service:
        refused = cli("init", "--model", model.format(url=service.url), code=1)
    assert set(cli.folder.iterdir()) == before
    assert "sk-wrong-key" not in refused.output
    cli.filled()


def test_an_init_in_a_folder_that_is_not_there_says_so(cli: Cli) -> None:
    cli.path = str(cli.folder / "nowhere" / "docs.db")
    assert "its folder does not exist" in cli("init", "--model", str(cli.old), code=1).stderr
    assert not (cli.folder / "nowhere").exists()


def test_an_empty_file_is_a_new_collection(cli: Cli) -> None:
    Path(cli.path).touch()
    assert cli.json("search", "query", code=1)["error"]["type"] == "NoCollectionError"
    cli.filled()


def test_a_file_of_something_else_is_not_made_a_collection(cli: Cli) -> None:
    Path(cli.path).write_text("notes of somebody\n" * 100)
    cli("init", "--model", str(cli.old), code=1)
    assert Path(cli.path).read_text().startswith("notes")


def test_add_reads_a_file_and_stdin_and_replaces_by_id(cli: Cli) -> None:
    cli.filled()
    (cli.folder / "more.jsonl").write_text(
        '{"_id": "soup", "title": "Soup", "text": "Boil it.", "metadata": {"n": 1}}\n'
    )
    added = cli.json("add", str(cli.folder / "more.jsonl"))
    assert (added["collection"], added["added"], added["documents"]) == (cli.path, 1, 5)
    (hit,) = cli.json("search", "boil soup", "-k", "1")["hits"]
    assert (hit["id"], hit["text"], hit["metadata"]) == ("soup", "Soup\nBoil it.", {"n": 1})


def test_searches_after_many_documents_were_added_have_a_graph(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.filled()
    small_graphs(monkeypatch)
    cli("add", text="".join(json.dumps({"id": str(i), "text": f"salt {i}"}) + "\n" for i in range(20)))
    assert len(graph_files(Path(f"{cli.path}.index"))) == 1


def test_add_names_the_line_it_can_not_read(cli: Cli) -> None:
    cli.filled()
    assert "stdin:2: not JSON" in cli("add", text='{"id": "a", "text": "b"}\n{\n', code=1).stderr


def test_what_was_added_before_a_row_that_cannot_be_read_is_said(cli: Cli) -> None:
    cli.filled()
    rows = "".join(json.dumps({"id": str(i), "text": "salt"}) + "\n" for i in range(300))
    refused = cli("add", text=rows + "{\n", code=1)
    assert "the first 256 documents were added" in refused.stderr
    assert "stdin:301: not JSON" in refused.stderr
    assert cli.json("doctor")["collection"]["documents"] == len(TEXTS) + 256


def test_search_shows_hits_to_people_and_scripts(cli: Cli) -> None:
    cli.filled()
    assert "bread" in cli("search", "knead the dough", "-k", "2").stdout
    hits = cli.json("search", "knead the dough and bake", "-k", "3")["hits"]
    assert len(hits) == 3
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)


@pytest.mark.parametrize("verb", ["search", "status", "run", "verify", "cutover", "rollback", "retire"])
def test_a_collection_that_is_not_there_is_an_error_and_stays_away(cli: Cli, verb: str) -> None:
    result = cli(verb, *(["query"] if verb == "search" else []), code=1)
    assert "there is no collection at" in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path(cli.path).exists()


def test_a_model_that_is_not_there_is_an_error(cli: Cli) -> None:
    result = cli("init", "--model", str(cli.folder / "nowhere"), code=1)
    assert result.stderr.startswith("revector: ")
    assert not Path(cli.path).exists()


def test_wrong_usage_is_two(cli: Cli) -> None:
    cli("init", code=2)


def test_a_migration_goes_there_and_back_and_there_again(cli: Cli) -> None:
    cli.filled()
    assert cli.json("status")["migration"] is None
    assert cli.json("start", "--model", str(cli.new), "--retention-days", "0")["phase"] == "filling"
    cli.json("run")
    assert cli.json("verify")["passed"] is True
    assert cli.json("cutover")["phase"] == "serving"
    assert cli.json("rollback")["phase"] == "rolled_back"
    assert cli.json("start")["phase"] == "filling"
    cli("run")
    cli("verify")
    assert cli.json("cutover")["phase"] == "serving"
    cli("retire", "--yes")
    assert cli.json("search", "oil the chain", "-k", "1")["hits"][0]["id"] == "bike"


def test_a_run_stands_back_behind_searches(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    standing, run = [], Migration.run

    def watched(migration: Migration, **options: Any) -> Any:
        standing.append(os.getpriority(os.PRIO_PROCESS, 0))
        return run(migration, **options)

    monkeypatch.setattr(Migration, "run", watched)
    cli.filled()("start", "--model", str(cli.new))
    cli("run", "--nice", "15")
    assert standing == [max(15, os.getpriority(os.PRIO_PROCESS, 0))]


def test_a_rehearsal_compares_and_leaves_nothing(cli: Cli) -> None:
    cli.filled()
    found = cli.json("rehearse")
    assert (found["passed"], found["identical"], found["same_hits"]) == (True, len(TEXTS), 1.0)
    assert found["next_steps"] == [f"revector start {cli.path} --model MODEL"]
    assert "passed; it has been thrown away" in cli("rehearse").stdout
    assert cli.json("events")["events"] == []


def test_a_start_with_a_date_says_what_it_takes(cli: Cli) -> None:
    cli.filled()
    started = cli.json("start", "--model", str(cli.new), "--deadline", "2999-01-31")
    assert (started["schedule"]["documents"], started["schedule"]["workers"]) == (len(TEXTS), 1)
    assert "2999-01-31 00:00; 5 documents are left" in started["outlook"]


def test_a_gate_that_refuses_is_three(cli: Cli) -> None:
    cli.filled()
    cli("start", "--model", str(cli.new))
    cli("run")
    assert "refused" in cli("cutover", code=3).stderr


def test_retire_wants_a_yes(cli: Cli) -> None:
    cli.filled()
    for verb, *arguments in (("start", "--model", str(cli.new)), ("run",), ("verify",), ("cutover",)):
        cli(verb, *arguments)
    assert "say --yes" in cli("retire", code=3).stderr
    assert "wait, or say --force" in cli("retire", "--yes", code=3).stderr  # the retention period is not over
    assert cli.json("retire", "--yes", "--force")["phase"] == "retired"


def test_a_rollback_goes_on_without_documents_that_failed_where_that_is_accepted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[bool] = []
    monkeypatch.setattr(Migration, "rollback", lambda _, *, accept_failed: accepted.append(accept_failed))
    cli.filled()("start", "--model", str(cli.new))
    cli("rollback")
    cli("rollback", "--accept-failed")
    assert accepted == [False, True]


def test_a_text_that_is_gone_is_told_in_hits(cli: Cli) -> None:
    cli.filled()
    with Collection.open(cli.path) as docs:
        docs._backend.documents.upsert(["bread"], [""])
    hits = {hit["id"]: hit["text_gone"] for hit in cli.json("search", "knead the dough", "-k", "9")["hits"]}
    assert hits == {**dict.fromkeys(TEXTS, False), "bread": True}
    assert "(its text is gone)" in cli("search", "knead the dough", "-k", "9").stdout


def test_a_migration_started_twice_goes_on(cli: Cli) -> None:
    cli.filled()
    started = cli.json("start", "--model", str(cli.new))
    assert cli.json("start", "--model", str(cli.new)) == started


def test_a_start_that_was_interrupted_after_its_plan_goes_on(cli: Cli) -> None:
    cli.filled()
    with Collection.open(cli.path) as docs:
        docs.migrate(Encoder.from_pretrained(str(cli.new)))
    assert cli.json("start", "--model", str(cli.new))["phase"] == "filling"


@pytest.mark.parametrize(
    ("verb", "options", "second"),
    [
        ("run", (), 0),
        ("verify", (), 0),
        ("cutover", (), 1),
        ("rollback", (), 1),
        ("retire", ("--yes", "--force"), 1),
    ],
)
def test_a_verb_twice_succeeds_or_says_where_the_migration_stands(
    cli: Cli, verb: str, options: Any, second: int
) -> None:
    cli.filled()
    cli("start", "--model", str(cli.new))
    before = {"run": (), "verify": ("run",), "rollback": ("run",)}.get(verb, ("run", "verify"))
    for step in (*before, *(("cutover",) if verb == "retire" else ())):
        cli(step)
    phase = cli.json(verb, *options).get("phase")
    again = cli(verb, *options, code=second)
    assert second == 0 or str(phase) in again.stderr or "no migration" in again.stderr


def test_a_migration_to_a_third_model_is_an_error(cli: Cli) -> None:
    cli.filled()
    cli("start", "--model", str(cli.new))
    cli("run"), cli("verify"), cli("cutover")
    assert cli("start", "--model", str(cli.old), code=1).stderr.startswith("revector: ")


def test_starting_again_needs_a_migration(cli: Cli) -> None:
    cli.filled()
    assert "name the new model" in cli("start", code=1).stderr
    assert "has no migration" in cli("run", code=1).stderr


def test_assess_prints_the_verdict_and_ends_with_it(cli: Cli) -> None:
    cli.filled()
    (cli.folder / "queries.jsonl").write_text(
        "".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in QUERIES.items())
    )
    (cli.folder / "qrels.tsv").write_text("".join(f"{key}\t{key}\t1\n" for key in QUERIES))
    arguments = ("--model", str(cli.new), "--judged", str(cli.folder))
    assert cli.json("assess", *arguments, code=3)["decision"] == "inconclusive"  # three queries decide nothing
    assert "INCONCLUSIVE" in cli("assess", *arguments, code=3).stdout


def test_the_doctor_shows_the_installation_and_a_sound_collection(cli: Cli) -> None:
    result = cli.filled().json("doctor")
    assert result["installation"]["threads"] >= 1
    assert "postgres" in result["installation"]["extras"].split(", ")
    assert result["collection"]["documents"] == len(TEXTS)
    assert result["collection"]["index"]["unreachable"] == 0
    assert result["collection"]["problems"] == []
    assert re.search(r"problems +none", cli("doctor").stdout)
    alone = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert alone.exit_code == 0
    assert "documents" not in alone.stdout


def test_the_doctor_finds_documents_without_a_vector(cli: Cli) -> None:
    cli.filled()
    with sqlite3.connect(cli.path) as database:
        database.execute("DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors LIMIT 1)")
    result = cli.json("doctor", code=1)
    assert f"1 of {len(TEXTS)} documents have no vector" in result["collection"]["problems"][0]


@pytest.mark.parametrize(
    "filters", [("topic=food",), ('{"topic": "food"}',), ("stars=2", 'topic={"in": ["food", "sport"]}'), ("stars=2",)]
)
def test_a_search_finds_only_what_the_filters_let_through(cli: Cli, filters: tuple[str, ...]) -> None:
    cli("init", "--model", str(cli.old))
    rows = [{"id": "bread", "topic": "food", "stars": 2}, {"id": "bike", "topic": "sport", "stars": 1}]
    cli("add", text="".join(json.dumps({**row, "text": TEXTS[str(row["id"])]}) + "\n" for row in rows))
    given = [word for each in filters for word in ("--where", each)]
    assert [hit["id"] for hit in cli.json("search", QUERIES["bike"], *given)["hits"]] == ["bread"]


@pytest.mark.parametrize("given", ["topic", "{", '{"topic": ["food"]}', '{"topic": {"=": 1}}'])
def test_a_filter_that_is_none_is_refused_and_named(cli: Cli, given: str) -> None:
    result = cli.filled()("search", "bread", "--where", given, code=1)
    assert "where" in result.stderr


def test_a_template_gives_the_model_the_title_of_a_document(cli: Cli) -> None:
    cli("init", "--model", str(cli.old), "--template", "title,text")
    cli("add", text='{"id": "a", "title": "dough", "text": "poles"}\n{"id": "b", "title": "chain", "text": "poles"}\n')
    assert cli.json("search", "dough")["hits"][0]["id"] == "a"
    assert cli.json("search", "dough")["hits"][0]["metadata"] == {"title": "dough"}


def test_a_change_of_the_template_is_a_migration(cli: Cli) -> None:
    cli("init", "--model", str(cli.old), "--template", "title,text")
    cli("add", text='{"id": "a", "title": "dough", "text": "poles"}\n')
    cli("start", "--model", str(cli.old), "--template", "text,title")
    assert cli.json("run")["phase"] == "proving"
    assert cli.json("verify", "--encoder", str(cli.old))["passed"]


def test_a_template_needs_the_model_that_it_is_for(cli: Cli) -> None:
    assert "--model" in cli.filled()("start", "--template", "title,text", code=1).stderr


def test_a_model_that_moved_is_found_again_whatever_template_it_has(cli: Cli) -> None:
    cli("init", "--model", str(cli.old), "--template", "title,text")
    moved = cli.old.rename(cli.folder.parent / f"{cli.folder.name}-moved")
    cli("model", "--set", str(moved))
    cli("add", text='{"id": "a", "title": "dough", "text": "poles"}\n')
    assert cli.json("search", "dough", "--encoder", str(moved))["hits"][0]["id"] == "a"
