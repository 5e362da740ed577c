"""The playbook as a list: what is done, when, by which command, and what comes next."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.collection import Collection
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
STEPS = [
    "baseline",
    "success criteria",
    "pilot",
    "strategy",
    "metadata",
    "execution",
    "validation",
    "cut-over",
    "thresholds and dependents",
    "retention",
    "clean-up",
]
VERDICT = {
    "model": "new",
    "decision": "migrate",
    "metric": "nDCG@10",
    "ground_truth": "100 judged queries",
    "min_lift": 0.02,
    "rows": [{"name": "stay", "quality": {"value": 0.4321}}],
}


@pytest.fixture
def docs(tmp_path):
    """Return a collection, and where it is."""
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert([f"d{i}" for i in range(30)], [f"text {i}" for i in range(30)])
        yield docs


def _done(docs):
    return [item.name for item in docs.checklist().items if item.done]


def _next(docs):
    found = docs.checklist().next
    return None if found is None else found.name


def _keep(docs, name, **note):
    docs._backend.ledger.notes.keep(name, {"measured_at": time.time(), **note})


def _assess(docs):
    _keep(docs, "assessment", best=0, verdicts=[VERDICT])


def test_a_new_collection_has_its_metadata_and_nothing_else(docs):
    assert [item.name for item in docs.checklist().items] == STEPS
    assert _done(docs) == ["metadata"]
    assert _next(docs) == "baseline"


def test_notes_of_assess_plan_and_pilot_are_steps(docs):
    _assess(docs)
    baseline, criteria, *_ = docs.checklist().items
    assert baseline.found == "nDCG@10 of 0.4321, measured on 100 judged queries"
    assert criteria.found == "a lift above +0.0200; the verdict: migrate"
    assert abs(baseline.at - time.time()) < 60
    docs._backend.ledger.notes.keep("pilot", {"at": time.time()})
    _keep(docs, "plan", strategy="background", command="revector start COLLECTION --model new")
    strategy = docs.checklist().next
    assert (strategy.name, strategy.command) == ("strategy", "revector start COLLECTION --model new")


def test_every_verb_is_a_step(docs):
    _assess(docs)
    _keep(docs, "pilot")
    migration = docs.migrate(NEW)
    assert _next(docs) == "execution"
    migration.start()
    assert docs.checklist().next.found == "0 of 30 documents have moved (0%)"
    migration.pause()
    assert docs.checklist().next.command == "revector resume COLLECTION"
    migration.resume()
    migration.run()
    assert _next(docs) == "validation"
    migration.verify()
    assert _next(docs) == "cut-over"
    migration.cutover()
    assert _next(docs) == "retention"
    assert all(item.at is not None for item in docs.checklist().items[:8])
    migration.rollback()
    rolled_back = docs.checklist()
    assert rolled_back.next.command == "revector start COLLECTION"
    assert "rolled back on" in next(item.found for item in rolled_back.items if item.name == "cut-over")
    for verb in (migration.start, migration.run, migration.verify, migration.cutover):
        verb()
    migration.retire(confirm=True, force=True)
    assert _done(docs) == STEPS
    assert _next(docs) is None


def test_a_migration_that_began_without_a_measurement_goes_on(docs):
    docs.migrate(NEW).start()
    baseline, *_ = docs.checklist().items
    assert (baseline.done, baseline.passed_over, _next(docs)) == (False, True, "execution")
    assert str(docs.checklist()).startswith("- baseline")


def test_dependents_that_are_behind_come_before_the_clean_up(docs):
    def purge(moved):
        raise RuntimeError("not now")

    docs.depends("cache", call=purge)
    migration = docs.migrate(NEW)
    for verb in (migration.start, migration.run, migration.verify, migration.cutover):
        verb()
    item = next(item for item in docs.checklist().items if item.name == "thresholds and dependents")
    assert (item.done, item.command) == (False, "revector depends COLLECTION --run")


def test_after_the_end_a_new_measurement_begins_a_new_round(docs):
    _assess(docs)
    migration = docs.migrate(NEW)
    for verb in (migration.start, migration.run, migration.verify, migration.cutover):
        verb()
    migration.retire(confirm=True, force=True)
    assert "clean-up" in _done(docs)
    time.sleep(0.01)
    _assess(docs)
    assert _done(docs) == ["baseline", "success criteria", "metadata"]
    docs.migrate(OLD).start()
    assert _done(docs) == ["baseline", "success criteria", "strategy", "metadata"]


@pytest.mark.parametrize(
    "note",
    [
        None,
        [],
        "x",
        3,
        {},
        {"verdicts": []},
        {"measured_at": 1.0, "verdicts": None},
        {"measured_at": 1.0, "best": None},
    ],
)
def test_notes_without_what_is_needed_are_no_step_and_no_harm(docs, note):
    docs._backend.ledger.notes.keep("assessment", note)
    assert _done(docs) in (["metadata"], ["baseline", "success criteria", "metadata"])


def test_the_command_shows_it_to_people_and_scripts(docs, tmp_path):
    place = str(tmp_path / "docs.db")
    shown = CliRunner().invoke(app, ["checklist", place], env={"COLUMNS": "160"}, catch_exceptions=False)
    assert shown.exit_code == 0
    assert f"next: revector assess {place} --model MODEL --judged FOLDER" in shown.stdout
    assert "✓ metadata" in " ".join(shown.stdout.split())
    assert "→ baseline assess how good" in " ".join(shown.stdout.split())
    found = json.loads(CliRunner().invoke(app, ["checklist", place, "--json"]).stdout)
    assert [item["name"] for item in found["items"]] == STEPS
    assert found["next"] == "baseline"
    assert found["next_steps"] == [f"revector assess {place} --model MODEL --judged FOLDER"]
    assert found["items"][6]["command"] == f"revector verify {place}"


def test_it_is_text_and_html(docs):
    checklist = docs.checklist()
    assert str(checklist).splitlines()[0].startswith("→ baseline")
    assert "<td>baseline</td>" in checklist._repr_html_()
