from __future__ import annotations

import pytest

from revector.backends.contracts import DocumentFacts
from revector.errors import InvalidArgumentError
from revector.migration.priorities import (
    PRIORITY_QUERIED,
    PRIORITY_REST,
    PRIORITY_SAMPLE,
    PRIORITY_UPDATED,
    PRIORITY_VALUED,
    default_priorities,
    prioritise,
)
from revector.migration.strategies.background import Background

NOW = 2_000_000_000.0
YEAR = 365 * 86400


def _fact(key, *, hits=0, failures=0, age=YEAR, metadata=None):
    return DocumentFacts(key, f"d{key}", hits, failures, NOW - age, metadata or {}, 10)


@pytest.mark.parametrize(
    ("fact", "priority"),
    [
        (_fact(1, hits=3, failures=3), PRIORITY_QUERIED),
        (_fact(1, age=86400, failures=1), PRIORITY_UPDATED),
        (_fact(1, metadata={"value": "high"}), PRIORITY_VALUED),
        (_fact(1, metadata={"high_value": True}), PRIORITY_VALUED),
        (_fact(1, metadata={"priority": "high"}), PRIORITY_VALUED),
        (_fact(1, metadata={"priority": ["high"], "value": 3}), PRIORITY_REST),
        (_fact(1), PRIORITY_REST),
    ],
)
def test_the_first_rule_that_applies_counts(fact, priority):
    assert default_priorities([fact], now=NOW) == [priority]


def test_what_failing_searches_return_is_valued():
    facts = [_fact(1, hits=9), _fact(2, hits=1, failures=1), *(_fact(key) for key in range(3, 21))]
    assert default_priorities(facts, now=NOW)[1] == PRIORITY_VALUED


def test_the_most_queried_twentieth_comes_first():
    facts = [_fact(key, hits=key) for key in range(100)]
    first = [fact.key for fact, p in zip(facts, default_priorities(facts, now=NOW), strict=True) if p == 1]
    assert first == [95, 96, 97, 98, 99]


def test_a_rule_of_ones_own_replaces_the_default_one():
    facts = [_fact(key, hits=key) for key in range(1, 200)]
    chosen = prioritise(facts, dimension=1, rule=lambda fact: fact.hits, now=NOW)
    assert sum(priority == PRIORITY_SAMPLE for priority in chosen.values()) == 4
    assert all(priority == key for key, priority in chosen.items() if priority != PRIORITY_SAMPLE)


@pytest.mark.parametrize("priority", [0, -1, 2.5, "first", None])
def test_a_rule_that_returns_no_priority_is_refused(priority):
    with pytest.raises(InvalidArgumentError, match="d7"):
        prioritise([_fact(7)], dimension=1, rule=lambda fact: priority)


def test_the_sample_is_random_but_the_same_each_time():
    facts = [_fact(key) for key in range(1000)]
    one, two, three = (prioritise(facts, dimension=8, seed=seed, now=NOW) for seed in (0, 0, 1))
    sample = [key for key, priority in one.items() if priority == PRIORITY_SAMPLE]
    assert len(sample) == 32
    assert one == two != three


def test_a_small_collection_is_all_sample_and_an_empty_one_has_none():
    assert set(prioritise([_fact(1), _fact(2)], dimension=384).values()) == {PRIORITY_SAMPLE}
    assert prioritise([], dimension=384) == {}


def test_the_queue_follows_the_priorities(world):
    last = {f"d{place}": place for place in range(40)}
    migration = world.plan(strategy=Background(batch=8, priority=lambda fact: 100 - last[fact.id]))
    migration.start()
    target = migration.record.target_generation
    claims = world.backend.ledger.jobs.claim(target, "me:1:1:1", 40, 60.0)
    assert [claim.priority for claim in claims] == sorted(claim.priority for claim in claims)
    assert sum(claim.priority == PRIORITY_SAMPLE for claim in claims) == 40


@pytest.mark.parametrize("fields", [{"batch": 0}, {"lease_seconds": 0}])
def test_a_strategy_that_can_not_work_is_refused(fields):
    with pytest.raises(InvalidArgumentError):
        Background(**fields)


def test_a_strategy_survives_the_ledger():
    strategy = Background(batch=7, lease_seconds=3.0, seed=5)
    assert Background.from_json(strategy.to_json()) == strategy
    with pytest.raises(InvalidArgumentError, match="mystery"):
        Background.from_json({"name": "mystery"})
