"""`revector judge`: a folder of judgements by a model, which `revector assess` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from revector.cli import app
from revector.collection import Collection
from revector.encoders.native.encoder import Encoder
from revector.formats.judgements import load_judgements
from services import KEY, Service, running, status

TEXTS = [f"text {n} about {' '.join(f'w{(n * m) % 31}' for m in range(2, 9))}" for n in range(60)]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with running(Service()) as service:
        yield service


class Judge:
    """A collection, queries, and the command on them."""

    def __init__(self, folder: Path, static_model: Any, service: Service) -> None:
        self.folder, self.place, self.out = folder, str(folder / "docs.db"), folder / "judged"
        self.new = str(static_model("new", 64, TEXTS))
        with Collection.open(self.place, Encoder.from_pretrained(static_model("old", 16, TEXTS))) as collection:
            collection.upsert([str(n) for n in range(len(TEXTS))], TEXTS)
        rows = "".join(json.dumps({"id": f"q{n}", "text": text[14:]}) + "\n" for n, text in enumerate(TEXTS[:25]))
        (folder / "queries.jsonl").write_text(rows)
        self.service = service

    def __call__(self, *more: str, code: int = 0, out: Path | None = None) -> Result:
        arguments = ["--model", self.new, "--llm", "a-model", "--base-url", self.service.url]
        arguments += ["--queries", str(self.folder / "queries.jsonl"), "--out", str(out or self.out), *more]
        result = CliRunner().invoke(app, ["judge", self.place, *arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        assert KEY not in result.output
        assert "Traceback" not in result.output
        return result


@pytest.fixture
def judge(tmp_path: Path, static_model: Any, service: Service) -> Judge:
    return Judge(tmp_path, static_model, service)


def test_what_is_judged_can_be_assessed(judge: Judge) -> None:
    (judge.folder / "human.tsv").write_text("q0\t0\t3\nq0\t40\t0\nq1\t1\t3\n")
    found = json.loads(judge("--grades", str(judge.folder / "human.tsv"), "--price", "10", "--json").stdout)
    assert (found["judged_by"], found["queries"], found["left_out"], found["ended"]) == (
        "a model: a-model",
        25,
        0,
        None,
    )
    assert found["agreement"]["documents"] == 3
    assert found["spent"] == pytest.approx(found["tokens"] / 1e5)
    (step,) = found["next_steps"]
    read = load_judgements(judge.out)
    assert (read.judged_by, len(read.queries), list(read.notes)) == ("a model: a-model", 25, found["notes"])
    result = CliRunner().invoke(app, [*step.split()[1:], "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["verdicts"][0]["lift"]["n_queries"] == 25


def test_people_see_agreement_cost_and_what_to_do_next(judge: Judge) -> None:
    shown = judge("--max-requests", "3", "--price", "1").stdout
    assert "give --grades of people" in shown
    assert "the budget of 3 requests is used up" in shown
    assert "revector assess" in shown


def test_a_dry_run_says_what_it_may_take_and_sends_nothing(judge: Judge) -> None:
    foreseen = json.loads(judge("--dry-run", "--price", "2", "--json").stdout)["foreseen"]
    assert foreseen["requests"] == 50
    assert foreseen["price"] == pytest.approx(2 * foreseen["tokens"] / 1e6)
    assert "at most" in judge("--dry-run").stdout
    assert not judge.service.exchanges
    assert not judge.out.exists()


def test_judgements_that_are_there_are_never_written_over(judge: Judge) -> None:
    judge("--max-requests", "2")
    before = len(judge.service.exchanges)
    assert "name a new folder" in judge(code=1).stderr
    assert "name a new folder" in judge(code=1, out=judge.folder / "queries.jsonl").stderr
    assert len(judge.service.exchanges) == before


def test_a_service_that_refuses_is_an_error_and_leaves_no_folder(judge: Judge) -> None:
    judge.service.otherwise = status(401, {"error": {"message": f"no, {KEY}"}})
    error = json.loads(judge("--json", code=1).stdout)["error"]
    assert error["type"] == "ServiceError"
    assert not judge.out.exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("queries.jsonl", "", "queries.jsonl is empty"),
        ("queries.jsonl", "{", "not JSON"),
        ("human.tsv", "q0\t0\tgood\n", "grade 'good'"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_before_anything_is_sent(
    judge: Judge, file: str, content: str, message: str
) -> None:
    (judge.folder / "human.tsv").write_text("")
    (judge.folder / file).write_text(content)
    assert message in judge("--grades", str(judge.folder / "human.tsv"), code=1).stderr
    assert not judge.service.exchanges


@pytest.mark.parametrize("options", [("-k", "0"), ("--max-requests", "0"), ("--price", "-1"), ("--seed", "-1")])
def test_options_out_of_bounds_are_wrong_usage(judge: Judge, options: tuple[str, str]) -> None:
    judge(*options, code=2)


def test_a_spend_cap_needs_a_price(judge: Judge) -> None:
    assert "there is no price" in judge("--spend-cap", "1", code=1).stderr


def test_ids_with_line_ends_are_judged_and_counted(judge: Judge) -> None:
    with Collection.open(judge.place) as collection:
        collection.upsert(["two\nlines"], [TEXTS[0]])
    judge()
    assert any(
        "1 judgements of ids" in note or "judgements of ids" in note for note in load_judgements(judge.out).notes
    )


def test_without_queries_those_that_were_captured_are_judged(judge: Judge) -> None:
    arguments = ["judge", judge.place, "--model", judge.new, "--llm", "m", "--base-url", judge.service.url]
    result = CliRunner().invoke(app, [*arguments, "--out", str(judge.out)], catch_exceptions=False)
    assert result.exit_code == 1
    assert "capture some" in result.stderr


def test_help_has_an_example() -> None:
    assert "Example: revector judge" in CliRunner().invoke(app, ["judge", "--help"]).stdout
