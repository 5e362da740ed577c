"""What hangs on the vectors is brought up to date when others serve, and no further step is taken while it is not."""

from __future__ import annotations

import pytest

from revector.collection import Collection
from revector.errors import GateRefusedError, InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration.dependents import Moved
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        yield docs


def _verified(docs):
    migration = docs.migrate(NEW, retention_seconds=0)
    migration.start()
    migration.run()
    migration.verify()
    return migration


def _states(docs):
    return {each.name: (each.state, each.step) for each in docs.dependents}


def _fail(_moved):
    raise RuntimeError("the cache is away")


def test_a_function_is_told_what_served_and_what_serves(docs):
    told = []
    docs.depends("cache", call=told.append)
    migration = _verified(docs)
    assert _states(docs) == {"cache": ("ready", "")}
    migration.cutover()
    migration.rollback()
    record = migration.record
    old, new = record.source_generation, record.target_generation
    assert told == [
        Moved("cutover", OLD.space, NEW.space, old, new),
        Moved("rollback", NEW.space, OLD.space, new, old),
    ]
    assert _states(docs) == {"cache": ("done", "rollback")}


def test_a_statement_is_executed_in_the_collections_database(docs):
    docs._backend.execute("CREATE TABLE semantic_cache AS SELECT 1 AS answer")
    try:
        docs.depends("cache", sql="DELETE FROM semantic_cache")
        _verified(docs).cutover()
        assert docs._backend.answer("SELECT count(*) FROM semantic_cache") == 0
    finally:
        docs._backend.execute("DROP TABLE semantic_cache")
    assert _states(docs) == {"cache": ("done", "cutover")}


def test_an_executable_is_told_of_the_step(docs, tmp_path):
    script = tmp_path / "purge"
    script.write_text(f'#!/bin/sh\necho "$REVECTOR_DEPENDENT $REVECTOR_STEP" > {tmp_path}/told\n')
    script.chmod(0o755)
    docs.depends("cache", hook=script)
    _verified(docs).cutover()
    assert (tmp_path / "told").read_text() == "cache cutover\n"


def test_nothing_is_retired_while_one_has_failed_and_it_is_tried_again(docs, caplog):
    docs.depends("cache", call=_fail)
    migration = _verified(docs)
    migration.cutover()
    assert migration.phase is Phase.SERVING
    assert "the cache is away" in caplog.text
    with pytest.raises(GateRefusedError, match=r"cache: failed for the cutover: the cache is away.*run_dependents"):
        migration.retire(confirm=True)
    docs.depends("cache", call=lambda moved: None)
    docs.migration.run_dependents()
    migration.retire(confirm=True)


def test_the_way_back_stays_open_while_one_has_failed(docs):
    docs.depends("cache", sql="DELETE FROM nowhere")
    migration = _verified(docs)
    migration.cutover()
    migration.rollback()
    assert (migration.phase, _states(docs)) == (Phase.ROLLED_BACK, {"cache": ("failed", "rollback")})


def test_a_function_of_another_process_stays_due_until_that_runs_it(docs, places):
    told = []
    docs.depends("cache", call=told.append)
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as other:
        _verified(other).cutover()
        assert _states(other) == {"cache": ("due", "cutover")}
        with pytest.raises(GateRefusedError, match="due"):
            other.migration.retire(confirm=True)
    assert docs.migration.run_dependents() == []
    assert [moved.step for moved in told] == ["cutover"]


def test_a_rollback_before_the_cutover_moves_nothing(docs):
    docs.depends("cache", call=_fail)
    migration = _verified(docs)
    migration.rollback()
    assert _states(docs) == {"cache": ("ready", "")}


def test_one_that_is_forgotten_stands_in_the_way_of_nothing(docs):
    docs.depends("cache", call=_fail)
    migration = _verified(docs)
    migration.cutover()
    docs.forget_dependent("cache")
    migration.retire(confirm=True)
    assert docs.dependents == []


def test_the_status_lists_them(docs):
    docs.depends("cache", sql="SELECT 1")
    assert [str(each) for each in docs.migrate(NEW).status().dependents] == ["cache: ready"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("", {"sql": "SELECT 1"}),
        (3, {"sql": "SELECT 1"}),
        ("cache", {}),
        ("cache", {"sql": "SELECT 1", "call": print}),
        ("cache", {"sql": " "}),
        ("cache", {"hook": "/nowhere"}),
        ("cache", {"call": "purge"}),
    ],
)
def test_what_cannot_be_brought_up_to_date_is_refused(docs, name, given):
    with pytest.raises(InvalidArgumentError):
        docs.depends(name, **given)
    assert docs.dependents == []


def test_nobody_forgets_what_is_not_there(docs):
    with pytest.raises(InvalidArgumentError, match="nothing called 'cache'"):
        docs.forget_dependent("cache")


def test_whoever_dies_behind_the_cutover_leaves_them_due(docs, monkeypatch):
    class Death(BaseException):
        pass

    def die(*_):
        raise Death

    told = []
    docs.depends("cache", call=told.append)
    migration = _verified(docs)
    monkeypatch.setattr("revector.migration.ending.run_due", die)
    with pytest.raises(Death):
        migration.cutover()
    monkeypatch.undo()
    assert (migration.phase, _states(docs), told) == (Phase.SERVING, {"cache": ("due", "cutover")}, [])
    assert docs.migration.run_dependents() == []
    assert len(told) == 1
