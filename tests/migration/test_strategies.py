"""Strategies answer questions from facts, and combine in the order of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from revector.backends.contracts import Generation
from revector.errors import GateRefusedError, InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration import strategies
from revector.migration.serving import ServingReader
from revector.migration.strategies import (
    Background,
    DualIndex,
    OnRead,
    Shadow,
    chosen_reading,
    chosen_work,
    strategies_from_json,
    strategies_named,
)
from revector.migration.strategies.base import Facts, Reading, Situation, Work
from revector.testing import HashEncoder
from worlds import NEW as NEW_ENCODER

OLD = Generation(1, HashEncoder(8, seed=1).space, None, 0.0)
NEW = Generation(2, HashEncoder(12, seed=2).space, None, 0.0)


@dataclass(frozen=True)
class Cautious:
    """Reads deeper than the strategies before it, leaves the work to others, and wants a word before the cut-over."""

    word: str = "not on a Friday"

    def fills(self, facts: Facts) -> Work | None:
        return None

    def reads(self, situation: Situation) -> Reading:
        return replace(situation.reading, depth=2 * situation.reading.depth)

    def gates(self, situation: Situation) -> Sequence[str]:
        return (self.word,)

    def to_json(self) -> dict[str, Any]:
        return {"name": "cautious", "word": self.word}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Cautious:
        return cls(fields["word"])


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(strategies._NAMED, "cautious", Cautious)


def _situation(phase: Phase, at_hand: frozenset[int] = frozenset({1, 2})) -> Situation:
    serving = NEW if phase is Phase.SERVING else OLD
    return Situation(phase, OLD, NEW, at_hand, Reading((serving,)))


@pytest.mark.parametrize(
    ("phase", "recalled"),
    [
        (Phase.FILLING, (OLD, NEW)),
        (Phase.PROVING, (OLD, NEW)),
        (Phase.SERVING, (NEW,)),
        (Phase.ROLLED_BACK, (OLD,)),
    ],
)
def test_background_reads_both_generations_until_the_cutover(phase: Phase, recalled: tuple[Generation, ...]) -> None:
    assert Background().reads(_situation(phase)).recall == recalled


def test_background_reads_the_old_generation_alone_without_the_new_model() -> None:
    assert Background().reads(_situation(Phase.FILLING, frozenset({1}))).recall == (OLD,)


def test_a_strategy_sees_what_those_before_it_chose() -> None:
    situation = _situation(Phase.FILLING)
    alone = chosen_reading([Background()], situation)
    assert chosen_reading([Background(), Cautious()], situation) == replace(alone, depth=2 * alone.depth)


def test_work_is_what_the_first_strategy_says_that_minds() -> None:
    assert chosen_work([Cautious(), Background(batch=7)], Facts(8)).batch == 7


def test_several_strategies_are_kept_in_their_order(world: Any) -> None:
    migration = world.plan(strategy=[Background(batch=7), Cautious("a word")])
    assert strategies_from_json(migration.record.strategy) == (Background(batch=7), Cautious("a word"))


def test_what_a_strategy_says_against_a_cutover_is_a_gate(world: Any) -> None:
    migration = world.proving(strategy=[Background(), Cautious()])
    migration.verify()
    with pytest.raises(GateRefusedError, match="not on a Friday"):
        migration.cutover()


def test_a_migration_of_another_process_goes_by_the_strategies_that_were_kept(world: Any) -> None:
    world.proving(strategy=[Background(), Cautious()])
    migration = world.active()
    migration.verify()
    with pytest.raises(GateRefusedError, match="not on a Friday"):
        migration.cutover()


KINDS_OF_STRATEGY = [
    Background(batch=7),
    OnRead(5, 0.5, 3),
    DualIndex(80, 0.25, after_cutover=True),
    Shadow(0.5, 7),
]


@pytest.mark.parametrize("strategy", KINDS_OF_STRATEGY, ids=lambda each: type(each).__name__)
def test_a_strategy_comes_back_as_it_was_kept(strategy: Any) -> None:
    assert strategies_from_json([strategy.to_json()]) == (strategy,)


@pytest.mark.parametrize("strategy", KINDS_OF_STRATEGY[1:], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("change", [{"new": 1}, {"depth": None, "hits": None}])
def test_what_a_newer_revector_kept_of_a_strategy_is_refused(strategy: Any, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="were not written by this revector"):
        strategies_from_json({**strategy.to_json(), **change})


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(OnRead, {"hits": 0}), (OnRead, {"tail_share": 0}), (OnRead, {"tail_share": 1.5}), (DualIndex, {"depth": 0})],
)
def test_a_strategy_refuses_what_it_cannot_do(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        kind(**wrong)


def test_strategies_are_named_in_their_order() -> None:
    assert strategies_named("background, on-read") == (Background(), OnRead())


def test_an_unknown_name_says_which_names_there_are() -> None:
    with pytest.raises(InvalidArgumentError, match="'magic' is not a strategy; there are background, on-read"):
        strategies_named("background,magic")


def test_names_come_with_options():
    named = strategies_named("background?rate=50&window=22:00-06:00, dual-index?weight_of_old=0.3&after_cutover=true")
    assert named == (Background(rate=50, window="22:00-06:00"), DualIndex(weight_of_old=0.3, after_cutover=True))


@pytest.mark.parametrize(
    ("described", "complaint"),
    [
        ("on-read?speed=3", "on-read has no 'speed', expected hits, tail_share, seed"),
        ("representation?x", "representation has no 'x', expected no options"),
        ("dual-index?weight_of_old=2", "weight_of_old is 2"),
        ("on-read?hits=many", "hits is 'many'"),
        ("rollout?ramp=[1]", "ramp is"),
    ],
)
def test_an_option_that_is_wrong_is_named(described, complaint):
    with pytest.raises(InvalidArgumentError, match=re.escape(complaint)):
        strategies_named(described)


def test_on_read_alone_leaves_everything_to_those_who_search() -> None:
    reading = OnRead(hits=4).reads(_situation(Phase.FILLING))
    assert (reading.recall, reading.budget.texts, reading.queued) == ((OLD, NEW), 0, 4)


def test_on_read_keeps_the_budget_of_the_strategy_before_it() -> None:
    alone = chosen_reading([Background()], _situation(Phase.FILLING))
    assert chosen_reading([Background(), OnRead()], _situation(Phase.FILLING)) == replace(alone, queued=10)


@pytest.mark.parametrize(("after_cutover", "recalled"), [(False, (NEW,)), (True, (OLD, NEW))])
def test_a_dual_index_reads_both_after_the_cutover_if_that_is_wished(after_cutover: bool, recalled: Any) -> None:
    assert DualIndex(after_cutover=after_cutover).reads(_situation(Phase.SERVING)).recall == recalled


COMBINED = [
    OnRead(tail_share=1.0),
    DualIndex(),
    [Background(), OnRead()],
    [OnRead(tail_share=1.0), DualIndex(after_cutover=True)],
    [Background(), Shadow(least=0)],
]


@pytest.mark.parametrize("strategy", COMBINED, ids=lambda each: str(each)[:60])
def test_every_strategy_goes_through_the_whole_life_of_a_migration(world: Any, strategy: Any) -> None:
    migration = world.plan(strategy=strategy)
    migration.start()
    migration.rollback()
    migration.start()
    migration.run()
    migration.verify()
    migration.cutover()
    world.assert_exact(world.served, NEW_ENCODER)
    migration.retire(confirm=True, force=True)
    assert migration.phase is Phase.RETIRED


def test_a_generation_whose_index_lags_scores_what_the_old_one_finds(world: Any) -> None:
    world.started(strategy=Background())
    serving = ServingReader(world.backend).read()
    assert serving.reading(world.encoders, covered=True).looks_in_last
    reading = serving.reading(world.encoders, covered=False)
    assert (len(reading.recall), reading.looks_in_last) == (2, False)
