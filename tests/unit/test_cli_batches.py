"""Batch jobs on the command line: run --batch, batches, and what status, watch and the report say of jobs and money."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from batch_desk import BatchDesk
from revector.cli import app
from revector.collection import Collection
from revector.encoders.service.openai import OpenAIEncoder
from revector.testing import HashEncoder
from services import DIMENSION, KEY, Service, running

DOCUMENTS = 12


@pytest.fixture
def service(monkeypatch):
    for module, names in {"filler": ("FIRST_POLL", "LONGEST_POLL"), "sending": ("FIRST_RETRY",)}.items():
        for name in names:
            monkeypatch.setattr(f"revector.migration.batches.{module}.{name}_SECONDS", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with running(Service(desk=BatchDesk())) as service:
        yield service


@pytest.fixture
def place(service, tmp_path):
    """Return a collection that moves to a model of the service, whose source says price and cap."""
    place = str(tmp_path / "docs.db")
    options = {"price_per_million_tokens": 1000.0, "spend_cap": 50.0}
    encoder = OpenAIEncoder("a-model", base_url=service.url, dimensions=DIMENSION, **options)
    with Collection.open(place, HashEncoder(8, name="old")) as docs:
        docs.upsert([f"d{i}" for i in range(DOCUMENTS)], [f"text number {i}" for i in range(DOCUMENTS)])
        docs.migrate(encoder).start()
    encoder.close()
    return place


def _typed(*words, code=0):
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    assert KEY not in result.output
    return " ".join(result.stdout.split())


@pytest.fixture
def out(place, service, monkeypatch):
    """Let a job be out: the run that sent it was interrupted."""
    service.desk.looks = 1000

    def interrupted(self, out):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("revector.migration.batches.filler.BatchFiller._wait", interrupted)
        _typed("run", place, "--batch", code=130)
    return place


def test_a_run_by_batch_jobs_fills_the_generation_and_tells_money_and_cap(place, service):
    assert "proving" in _typed("run", place, "--batch")
    shown = _typed("status", place)
    assert "spent 0.02; the cap of a run is 50.00" in shown  # three tokens each, at half of 1000 a million
    assert sum(service.desk.paid.values()) == DOCUMENTS
    assert "spent 0.02; the cap of a run is 50.00" in _typed("watch", place, "--once")
    assert "ended, completed, 12 of 12 texts, 0.018" in _typed("batches", place)


def test_status_watch_and_report_tell_of_jobs_that_are_out(out, tmp_path):
    said = "out, in_progress, 0 of 12 texts, at most"
    assert said in _typed("status", out)
    assert said in _typed("watch", out, "--once")
    assert said in _typed("batches", out)
    page = tmp_path / "report.md"
    _typed("report", out, "--out", str(page))
    assert said in page.read_text().replace("\\", "")
    document = json.loads(_typed("status", out, "--json"))
    assert document["batch_jobs"][0]["stage"] == "out"
    assert document["spend_cap"] == 50.0


def test_jobs_are_called_off_and_what_they_did_lands_with_the_next_run(out, service):
    document = json.loads(_typed("batches", out, "--cancel", "--json"))
    assert [job["status"] for job in document["batch_jobs"]] == ["cancelled"]
    assert document["next_steps"] == [f"revector run {out} --batch"]
    assert "proving" in _typed("run", out, "--batch")
    assert sum(service.desk.paid.values()) == DOCUMENTS // 2
    assert _typed("batches", out).count("ended") == 1


def test_a_plain_run_tells_what_it_spent_and_its_cap_too(place, service):
    _typed("run", place)
    assert "spent 0.04; the cap of a run is 50.00" in _typed("status", place)
    assert not service.desk.jobs


def test_a_collection_without_jobs_says_so(place):
    assert _typed("batches", place) == "no batch jobs"


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--batch-only"], "add --batch"),
        (["--batch-tokens", "5"], "add --batch"),
        (["--batch", "--follow"], "leave out one of them"),
    ],
)
def test_options_that_do_not_go_together_are_refused(place, options, remedy):
    result = CliRunner().invoke(app, ["run", place, *options])
    assert result.exit_code == 1
    assert remedy in " ".join(result.output.split())
