"""Watching a migration without a terminal: lines, documents, and what they tell."""

from __future__ import annotations

import itertools
import json
import threading

import pytest
from typer.testing import CliRunner

from revector.cli import app
from revector.cli.watch import Watcher
from revector.collection import Collection
from revector.errors import StoreError
from revector.migration.filling.pulse import Pulse
from revector.migration.migration import Migration
from revector.migration.strategies import Background, Rollout
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def place(tmp_path):
    """Return a collection with a migration that has been started."""
    return _started(tmp_path, Background())


def _started(folder, *strategies):
    place = str(folder / "docs.db")
    with Collection.open(place, OLD) as docs:
        docs.upsert([f"d{i}" for i in range(40)], [f"text {i}" for i in range(40)])
        docs.migrate(NEW, strategy=strategies).start()
    return place


def _run(*arguments, code=0):
    wide = {"COLUMNS": "400"}  # where the files of tests are has a long name
    result = CliRunner().invoke(app, ["watch", *arguments], catch_exceptions=False, env=wide)
    assert result.exit_code == code, result.output
    return result


def _flat(text):
    return " ".join(text.split())


def test_one_look_tells_phase_share_pace_and_what_comes_next(place):
    shown = _flat(_run(place, "--once").stdout)
    assert "filling: documents move" in shown
    assert "0.0% 0 of 40" in shown
    assert "nobody works on it" in shown
    assert f"next revector run {place}" in shown
    assert "planned → filling" in shown


def test_one_look_is_one_document(place):
    found = json.loads(_run(place, "--once", "--json").stdout)
    assert (found["migration"]["phase"], found["migration"]["share"], found["documents"]) == ("filling", 0.0, 40)
    assert [event["name"] for event in found["events"]] == ["plan", "start"]
    assert list(found)[-1] == "next_steps"
    assert found["next_steps"] == [f"revector run {place}"]


def test_a_collection_without_a_migration_is_watched_until_there_is_one(tmp_path):
    place = str(tmp_path / "docs.db")
    with Collection.open(place, OLD) as docs:
        docs.upsert(["a"], ["text"])
    assert "no migration" in _run(place, "--once").stdout
    found = json.loads(_run(place, "--once", "--json").stdout)
    assert (found["migration"], found["next_steps"]) == (None, [f"revector start {place} --model MODEL"])


def test_lines_are_printed_when_something_changes_and_end_with_the_migration(place):
    """The verbs are taken by another object, as by another process, between the looks of this one."""
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        steps = [docs.migration.run, docs.migration.verify, docs.migration.cutover]
        steps += [lambda: docs.migration.retire(confirm=True, force=True)]
        waiting = threading.Thread(target=lambda: [step() for step in steps])
        looks = Watcher.looks

        def watched(self, every):
            views = looks(self, 0.01)
            yield next(views)
            waiting.start()
            yield from itertools.islice(views, 2_000)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Watcher, "looks", watched)
            lines = _run(place).stdout.splitlines()
        waiting.join()
    whole = _flat(" ".join(lines))
    assert "filling 0.0%: 0 of 40; nobody works on it" in lines[0]
    for event in ("filled (filling → proving)", "cutover (proving → serving)", "retire (serving → retired)"):
        assert event in whole
    assert "retired 100.0%: 40 of 40" in lines[-1] + lines[-2]


def test_nothing_is_printed_while_nothing_changes(place, monkeypatch):
    looks = Watcher.looks
    monkeypatch.setattr(Watcher, "looks", lambda self, every: itertools.islice(looks(self, 0.01), 5))
    assert len(_run(place).stdout.splitlines()) == 1


def test_documents_are_lines_that_parse(place, monkeypatch):
    looks = Watcher.looks
    monkeypatch.setattr(Watcher, "looks", lambda self, every: itertools.islice(looks(self, 0.01), 3))
    (line,) = _run(place, "--json").stdout.splitlines()
    assert json.loads(line)["migration"]["phase"] == "filling"


def test_a_store_that_cannot_be_asked_for_a_moment_is_told_and_asked_again(place, monkeypatch):
    with Collection.open(place, OLD) as docs:
        watcher = Watcher(docs, place)
        first, look = watcher.look(), watcher.look
        answers = iter([lambda: first, _fail, look])
        monkeypatch.setattr(watcher, "look", lambda: next(answers)())
        views = list(itertools.islice(watcher.looks(0.01), 3))
    assert [view.trouble for view in views] == ["", "the server is away", ""]
    assert views[1].status == first.status


def _fail():
    raise StoreError("the server is away")


def test_ctrl_c_ends_it_as_it_ends_every_command(place, monkeypatch):
    def interrupted(self, every):
        yield self.look()
        raise KeyboardInterrupt

    monkeypatch.setattr(Watcher, "looks", interrupted)
    assert "interrupted" in _run(place, code=130).stderr


def test_what_failed_and_was_spent_is_told(place, monkeypatch):
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        record, backend = docs.migration.record, docs._backend
        monkeypatch.setattr("revector.ledger.jobs.MAX_ATTEMPTS", 1)
        (claim, *_) = backend.ledger.jobs.claim(record.target_generation, "me:1:1:1", 1, 60.0)
        backend.ledger.jobs.fail(claim, "me:1:1:1", "a bad text")
        for owner in ("one:1:1:1", "two:2:2:2"):
            with Pulse(backend, record.target_generation, owner, lambda: 1.25):
                pass
        assert docs.migration.status().spent == 2.5
    shown = _flat(_run(place, "--once").stdout)
    assert "spent 2.50" in shown
    assert f"left out 1 could not be embedded: revector failures {place}" in shown


def test_money_is_counted_per_worker_and_outlives_it(place):
    class Paid(HashEncoder):
        spent = 10.0  # before

        def encode(self, texts, *, kind="document"):
            self.spent += 0.5 * len(texts)
            return super().encode(texts, kind=kind)

    paid = Paid(12, seed=2, name="new")
    with Collection.open(place, OLD, encoders=[paid]) as docs:
        docs.migration.run()
        before = paid.spent - 10.0
        assert docs.migration.status().spent == pytest.approx(before, rel=0.5)
        assert 20.0 <= docs.migration.status().spent <= before


def test_the_arms_of_a_rollout_are_told_with_their_intervals(tmp_path):
    place = _started(tmp_path, Background(), Rollout())
    with Collection.open(place, OLD, encoders=[NEW]) as docs:
        docs.migration.run()
        docs.migration.verify()
        docs.migration.roll_out()
    shown = _flat(_run(place, "--once").stdout)
    assert "rollout running:" in shown
    assert "share of searches that fail, new - old" in shown
    assert json.loads(_run(place, "--once", "--json").stdout)["rollout"]["decision"]["findings"]


def test_the_time_left_follows_from_the_rate(place, monkeypatch):
    with Collection.open(place, OLD) as docs:
        status = docs.migration.status()
        assert status.seconds_left is None
        monkeypatch.setattr(type(status), "documents_per_second", 8.0)
        assert status.seconds_left == 5.0
        monkeypatch.setattr(Migration, "status", lambda self: status)
    assert "left 5 s" in _flat(_run(place, "--once").stdout)


@pytest.mark.parametrize("every", ["0", "-1", "nan", "never"])
def test_a_pace_that_cannot_be_is_wrong_usage(place, every):
    assert CliRunner().invoke(app, ["watch", place, "--every", every, "--once"]).exit_code in (1, 2)
