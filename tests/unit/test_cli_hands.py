"""The commands of an operator: what they print, and that they reach a migration."""

from __future__ import annotations

import json
import logging

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.cli.logs import json_logs, logged
from revector.collection import Collection
from revector.migration.filling.progress import Progress
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def place(tmp_path):
    """Return a collection with a migration that has been started."""
    place = str(tmp_path / "docs.db")
    with Collection.open(place, OLD) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        docs.migrate(NEW).start()
    return place


def _run(verb, place, *options, code=0):
    result = CliRunner().invoke(app, [verb, place, *options], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def _json(verb, place, *options):
    return json.loads(_run(verb, place, *options, "--json"))


def test_limits_are_set_one_by_one_shown_and_taken_away(place):
    _run("throttle", place, "--rate", "500")
    found = _json("throttle", place, "--share", "0.5", "--window", "22:00-06:00")
    assert found["throttle"] == {"rate": 500.0, "share": 0.5, "window": "22:00-06:00"}
    assert found["next_steps"] == [f"revector status {place}"]
    shown = _run("throttle", place)
    assert " ".join(shown.split()) == (
        "500 documents a second, 50% of the time, from 22:00-06:00; now: nobody works on it"
    )
    assert _json("throttle", place, "--off", "--batch", "8")["throttle"] == {"batch": 8}


def test_a_limit_that_cannot_be_is_an_error(place):
    assert "expected" in CliRunner().invoke(app, ["throttle", place, "--window", "night"]).stderr


def test_a_migration_is_paused_and_resumed(place):
    paused = _json("pause", place)
    assert (paused["paused"], paused["pace"], paused["next_steps"]) == (True, "paused", [f"revector resume {place}"])
    assert _json("resume", place)["paused"] is False


def test_what_failed_is_listed_and_tried_again(place, monkeypatch):
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        jobs, generation = docs._backend.ledger.jobs, docs.migration.record.target_generation
        monkeypatch.setattr("revector.ledger.jobs.MAX_ATTEMPTS", 1)
        (claim, *_) = jobs.claim(generation, "me:1:1:1", 1, 60.0)
        jobs.fail(claim, "me:1:1:1", "a bad text")
    found = _json("failures", place)
    assert [(each["attempts"], each["error"]) for each in found["failures"]] == [(1, "a bad text")]
    assert found["next_steps"] == [f"revector retry {place}"]
    assert _json("retry", place) == {"retried": 1, "next_steps": [f"revector run {place}"]}
    assert _json("failures", place) == {"failures": [], "next_steps": []}


def test_events_are_listed(place):
    _run("pause", place)
    assert [event["name"] for event in _json("events", place)["events"]] == ["plan", "start", "pause"]
    assert "planned → filling" in _run("events", place)


def test_events_are_followed_as_lines(place, monkeypatch):
    with Collection.open(place, OLD) as docs:
        events = docs.events()
    monkeypatch.setattr(Collection, "watch", lambda self, **_: iter(events))
    lines = _run("events", place, "--follow", "--json").splitlines()
    assert [json.loads(line).get("name") for line in lines[:2]] == ["plan", "start"]


def test_what_hangs_on_the_vectors_is_registered_listed_and_forgotten(place):
    _run("depends", place, "cache", "--sql", "DELETE FROM cache")
    assert _json("depends", place)["dependents"][0]["action"] == "DELETE FROM cache"
    assert "cache: ready" in _run("status", place)
    assert _run("depends", place, "cache", "--forget").strip() == "nothing hangs on the vectors"


def test_a_dependent_needs_a_name(place):
    _run("depends", place, "--sql", "DELETE FROM cache", code=1)


def test_a_hook_that_fails_is_a_refusal_with_its_output(place, tmp_path):
    hook = tmp_path / "before-rollback"
    hook.write_text("#!/bin/sh\necho not now; exit 1\n")
    hook.chmod(0o755)
    refused = CliRunner().invoke(app, ["rollback", place, "--hooks", str(tmp_path), "--json"])
    error = json.loads(refused.stdout)["error"]
    assert (refused.exit_code, error["type"], error["output"]) == (3, "HookFailedError", "not now")
    assert _json("status", place)["phase"] == "filling"


def test_a_dry_run_says_what_would_happen_and_does_nothing(place):
    foreseen = _json("rollback", place, "--dry-run")
    assert (foreseen["refusals"], foreseen["next_steps"]) == ([], [f"revector rollback {place}"])
    assert _run("rollback", place, "--dry-run").startswith("rollback would:")
    for verb in ("pause", "retry", "throttle"):
        _run(verb, place, "--dry-run")
    assert [event["name"] for event in _json("events", place)["events"]] == ["plan", "start"]


def test_a_dry_run_that_would_be_refused_ends_like_a_refusal(place):
    shown = _run("retire", place, "--dry-run", code=3)
    assert shown.startswith("retire would be refused:")


def test_logs_are_objects_and_among_them_how_far_a_run_is(capsys):
    with json_logs(wanted=True):
        update = logged(lambda progress: None)
        update(Progress(1, 4, 0, 2.0, 1.5, "held to 2/s by rate"))
        update(Progress(2, 4, 0, 2.0, 1.0))  # a moment later: not logged
        logging.getLogger("revector.anything").warning("%s stands still", "encoding")
    logging.getLogger("revector.anything").info("nobody listens any more")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["done"], first["total"], first["share"], first["reason"]) == (1, 4, 0.25, "held to 2/s by rate")
    assert (second["level"], second["message"]) == ("warning", "encoding stands still")


def test_a_run_that_follows_has_no_dry_run(place):
    result = CliRunner().invoke(app, ["run", place, "--follow", "--dry-run"])
    assert (result.exit_code, "--follow goes on until a signal" in result.stderr) == (1, True)
