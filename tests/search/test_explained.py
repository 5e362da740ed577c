"""`explain=True`: how a hit came by its place, in every phase of a migration."""

from __future__ import annotations

from typing import Any

import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(16, seed=1, name="old"), HashEncoder(16, seed=2, name="new")
TEXTS = [f"text number {i}" for i in range(40)]


@pytest.fixture
def docs(places: Any) -> Any:
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(TEXTS, TEXTS)
        yield docs


def explanations(docs: Collection, **asked: Any) -> list[Any]:
    return [hit.explanation for hit in docs.search("text number 3", 40, explain=True, **asked)]


def test_nothing_is_explained_unless_asked(docs: Collection) -> None:
    assert docs.search("text number 3", 1)[0].explanation is None


def test_without_a_migration_there_is_one_arm(docs: Collection) -> None:
    assert {found.arm for found in explanations(docs)} == {"alone"}


def test_while_documents_move_both_scores_are_told(docs: Collection) -> None:
    docs.migrate(NEW).start()
    found = explanations(docs, rescore=5, write_through=False)
    assert {one.arm for one in found} == {"both"}
    assert all(one.old_score is not None for one in found)
    assert [one.new_score is not None for one in found if one.rescored] == [True] * 5


def test_a_score_that_was_guessed_says_so_and_how(docs: Collection) -> None:
    docs.migrate(NEW).start()
    found = explanations(docs, rescore=5, write_through=False)
    guessed = [one for one in found if one.new_score is None]
    assert {one.guessed for one in guessed} == {"new"}
    assert all("by zscore over 5 documents" in one.calibration for one in guessed)


def test_the_guess_is_what_the_arithmetic_says(docs: Collection) -> None:
    docs.migrate(NEW).start()
    hits = docs.search("text number 3", 10, explain=True, rescore=5, write_through=False)
    hit = next(hit for hit in hits if hit.explanation.new_score is None)
    sum_, _ = hit.explanation.calibration.split(", by")
    formula = sum_.replace("×", "*").replace("−", "-").replace("score", repr(hit.explanation.old_score))
    assert eval(formula) == pytest.approx(hit.score, abs=0.01)


@pytest.mark.parametrize(("rescored", "weight"), [(10, 0.0), (9, 0.5)])
def test_the_old_score_counts_half_until_the_ten_best_are_known_to_the_new_model(
    docs: Collection, rescored: int, weight: float
) -> None:
    docs.migrate(NEW).start()
    found = explanations(docs, rescore=rescored, write_through=False)
    assert {one.weight_of_old for one in found} == {weight}


@pytest.mark.parametrize("merge", ["zscore", "calibrated", "minmax", "rrf"])
def test_the_caller_may_say_how_scores_are_merged(docs: Collection, merge: Any) -> None:
    docs.migrate(NEW).start()
    assert {one.merging for one in explanations(docs, rescore=5, merge=merge)} == {merge}


def test_another_way_to_merge_is_refused(docs: Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="merge is 'borda', expected one of 'zscore'"):
        docs.search("text", merge="borda")


def test_after_the_cutover_the_new_arm_answers(docs: Collection) -> None:
    migration = docs.migrate(NEW)
    migration.start()
    migration.run()
    migration.verify()
    migration.cutover()
    found = explanations(docs)
    assert {one.arm for one in found} == {"new"}
    assert all(one.new_score is not None and one.old_score is None for one in found)


def test_what_did_not_fit_into_the_budget_makes_an_answer_degraded(docs: Collection, monkeypatch: Any) -> None:
    monkeypatch.setattr("revector.search.rescoring.Rescoring._in_time", lambda *_: 0)
    docs.migrate(NEW).start()
    assert "10 of the 10 best documents" in (docs.search("text number 3", 5)[0].degraded or "")
    assert docs.search("text number 3", 5, rescore=10)[0].degraded is None
