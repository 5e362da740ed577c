"""What the doctor finds: each thing with why it matters, and the command that mends it."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.cli.doctor import _outdated
from revector.collection import Collection
from revector.encoders.ends import ModelEnd
from revector.evaluation.findings import left_out
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def docs(tmp_path):
    """Return a collection of 20 documents."""
    with Collection.open(tmp_path / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert([f"d{i}" for i in range(20)], [f"text {i}" for i in range(20)])
        yield docs


def _moved(docs, *, failing=0):
    """Move to the new model, but for some documents that it cannot embed."""
    migration = docs.migrate(NEW)
    migration.start()
    jobs, generation = docs._backend.ledger.jobs, migration.record.target_generation
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("revector.ledger.jobs.MAX_ATTEMPTS", 1)
        for claim in jobs.claim(generation, "me:1:1:1", failing, 60.0) if failing else ():
            jobs.fail(claim, "me:1:1:1", "a bad text")
    migration.run()
    migration.verify()
    migration.cutover(accept_failed=True)
    return migration


def _whats(docs):
    return [finding.what for finding in docs.check().findings]


def test_a_sound_collection_has_no_findings(docs):
    health = docs.check()
    assert (health.findings, health.problems, health.stale, health.foreign) == ((), (), 0, None)


def test_what_was_accepted_at_the_cut_over_is_no_problem_for_ever(docs):
    _moved(docs, failing=3)
    health = docs.check()
    assert health.problems == ()
    (finding,) = health.findings
    assert "3 documents were left behind by the cut-over" in finding.what
    assert (finding.is_problem, health.stale, health.accepted) == (False, 3, 3)
    assert "left behind" in str(health)


def test_a_failure_after_the_cut_over_is_a_problem(docs, monkeypatch):
    migration = _moved(docs, failing=1)
    backend, generation = docs._backend, migration.record.target_generation
    (left,) = backend.documents.by_key([job.document_key for job in backend.ledger.jobs.failures(generation)])
    backend.documents.upsert([left.id], ["another text"])
    assert left_out(backend, backend.generations.get(generation)).accepted == 0
    assert docs.check().problems


def test_vectors_that_were_lost_are_asked_for_and_embedded_again(docs, tmp_path):
    from revector.migration.filling.worker import Worker

    backend, serving = docs._backend, docs._serving.read().serving
    backend.documents.upsert(["d1", "d2"], ["changed by somebody", "and this"])
    (problem,) = docs.check().problems
    assert "2 of 20 documents have no vector of their present text; no search finds them by it" in problem
    assert "revector doctor COLLECTION --repair, then revector run COLLECTION --follow" in problem
    docs.recapture()
    Worker(backend, OLD, serving.id).run()
    assert docs.check().problems == ()


def _rows_of_a_model(seed, n, dimension=64, rank=24):
    """Return vectors with directions of their own, as a model's have."""
    rng = np.random.default_rng(seed)
    frame = rng.standard_normal((rank, dimension)) * np.geomspace(1.0, 0.3, rank)[:, None]
    return rng.standard_normal(dimension) / 2 + rng.standard_normal((n, rank)) @ frame


def test_mixed_spaces_are_found_from_the_vectors(tmp_path):
    with Collection.open(tmp_path / "mixed.db", HashEncoder(64, name="one")) as docs:
        ids = [f"d{i}" for i in range(800)]
        docs.upsert(ids, [f"text {i}" for i in range(800)])
        backend, serving = docs._backend, docs._serving.read().serving
        keys = list(backend.documents.keys(ids).values())
        hashes = backend.documents.content_hashes(keys)
        rows = np.concatenate([_rows_of_a_model(1, 600), _rows_of_a_model(2, 200)]).astype(np.float32)
        backend.generations.put(serving.id, keys, [hashes[key] for key in keys], rows)
        health = docs.check()
    (finding,) = (each for each in health.findings if "another embedding space" in each.what)
    assert health.foreign == pytest.approx(200, abs=10)
    assert finding.commands[0] == "revector start COLLECTION --model MODEL"


def test_a_dependent_that_is_behind_is_found(docs):
    def purge(moved):
        raise RuntimeError("not now")

    docs.depends("cache", call=purge)
    _moved(docs)
    (finding,) = docs.check().findings
    assert "not up to date: cache" in finding.what
    assert finding.commands == ("revector depends COLLECTION --run",)


def test_a_retention_that_is_over_is_worth_knowing(docs, monkeypatch):
    _moved(docs)
    monkeypatch.setattr("revector.evaluation.findings.retention_ends", lambda record: 1.0)
    (finding,) = docs.check().findings
    assert (finding.is_problem, finding.commands) == (False, ("revector retire COLLECTION --yes",))


def test_an_end_of_the_model_that_serves_or_is_moved_to_is_found(docs):
    ends = [ModelEnd(("old",), date(2020, 1, 1)), ModelEnd(("new",), date(2020, 1, 2))]
    assert [what.split()[2] for what in _whats_with(docs, ends)] == ["old"]
    docs.migrate(NEW)
    assert [what.split()[2] for what in _whats_with(docs, ends)] == ["old", "new"]


def _whats_with(docs, ends):
    return [finding.what for finding in docs.check(ends=ends).findings]


def test_libraries_of_extras_that_are_too_old_are_found(monkeypatch):
    required = [
        'psycopg[binary]>=3.2; extra == "postgres"',
        'tokie>=0.1.4; platform_machine in "x" and extra == "fast"',
    ]
    installed = {"psycopg": "3.1.20", "tokie": "0.1.4"}
    monkeypatch.setattr("revector.cli.doctor.metadata.requires", lambda name: required)
    monkeypatch.setattr("revector.cli.doctor.metadata.version", installed.__getitem__)
    (finding,) = _outdated()
    assert finding.what == "psycopg 3.1.20 is installed, revector[postgres] needs 3.2"
    assert finding.commands == ("pip install --upgrade 'revector[postgres]'",)


@pytest.mark.parametrize(
    ("installed", "is_old"),
    [("3.2", False), ("3.2.0", False), ("3.10", False), ("3.2rc1", False), ("3.1.99", True), ("2", True), ("x", True)],
)
def test_versions_are_compared_by_their_numbers(monkeypatch, installed, is_old):
    monkeypatch.setattr("revector.cli.doctor.metadata.requires", lambda name: ['psycopg>=3.2; extra == "postgres"'])
    monkeypatch.setattr("revector.cli.doctor.metadata.version", lambda name: installed)
    assert bool(list(_outdated())) is is_old


def test_each_finding_is_told_with_its_reason_and_its_command(docs, tmp_path):
    place = str(tmp_path / "docs.db")
    docs._backend.documents.upsert(["d1"], ["changed by somebody"])
    shown = CliRunner().invoke(app, ["doctor", place], catch_exceptions=False)
    assert shown.exit_code == 1
    for text in ("✗ 1 of 20 documents have no vector", "no search finds them", f"  revector run {place} --follow"):
        assert text in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["doctor", place, "--json"]).stdout)
    assert found["findings"][0]["commands"] == found["next_steps"]
    assert found["next_steps"][0] == f"revector doctor {place} --repair"
    assert found["installation"]["ledger format"] == 1


def test_what_is_worth_knowing_is_no_failure(docs, tmp_path):
    _moved(docs, failing=2)
    shown = CliRunner().invoke(app, ["doctor", str(tmp_path / "docs.db")], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "· 2 documents were left behind" in shown.stdout
