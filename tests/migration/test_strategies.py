"""Strategies answer questions from facts, and combine in the order of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from revector.backends.contracts import Generation
from revector.errors import GateRefusedError
from revector.ledger.state import Phase
from revector.migration import strategies
from revector.migration.strategies import Background, chosen_reading, chosen_work, strategies_from_json
from revector.migration.strategies.base import Facts, Reading, Situation, Work
from revector.testing import HashEncoder

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
