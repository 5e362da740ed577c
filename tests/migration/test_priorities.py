from __future__ import annotations

import numpy as np
import pytest

from revector.backends.contracts import DocumentFacts
from revector.errors import InvalidArgumentError
from revector.migration.priorities import (
    PRIORITY_QUERIED,
    PRIORITY_REST,
    PRIORITY_SAMPLE,
    PRIORITY_UPDATED,
    PRIORITY_VALUED,
    default_order,
)
from revector.migration.strategies.background import Background

NOW = 2_000_000_000.0
YEAR = 365 * 86400


def _fact(key, *, hits=0, failures=0, age=YEAR, metadata=None):
    return DocumentFacts(key, f"d{key}", hits, failures, NOW - age, metadata or {}, 10)


def _order(documents, hit_counts=(), **options):
    return default_order(documents, hit_counts, now=NOW, **{"sample": 0, **options})


@pytest.mark.parametrize(
    ("fact", "priority"),
    [
        (_fact(1, hits=3, failures=3), PRIORITY_QUERIED),
        (_fact(1, age=86400, failures=1), PRIORITY_UPDATED),
        (_fact(1, hits=2, failures=1), PRIORITY_VALUED),
        (_fact(1, metadata={"value": "high"}), PRIORITY_VALUED),
        (_fact(1, metadata={"high_value": True}), PRIORITY_VALUED),
        (_fact(1, metadata={"priority": "high"}), PRIORITY_VALUED),
        (_fact(1, metadata={"priority": ["high"], "value": 3}), PRIORITY_REST),
        (_fact(1), PRIORITY_REST),
    ],
)
def test_the_first_rule_that_applies_counts(fact, priority):
    assert _order(20, [(3, 1), (2, 1)]).priority(fact) == priority


@pytest.mark.parametrize(
    ("hit_counts", "queried_from"),
    [
        ([(99 - place, 1) for place in range(90)], 95),  # the 5 % of a hundred
        ([(9, 3), (8, 2), (7, 1)], 8),
        ([(9, 3), (8, 3)], 9),
        ([(9, 50), (8, 1)], 9),
        ([], 1),
    ],
)
def test_the_most_queried_twentieth_comes_first_and_nobody_of_as_many_hits_is_left_out(hit_counts, queried_from):
    assert _order(100, hit_counts).queried_from == queried_from


def test_the_sample_is_random_but_the_same_each_time():
    one, two, three = (
        [key for key in range(1, 100_001) if order.is_sampled(key)]
        for order in (_order(100_000, sample=1024, seed=seed) for seed in (0, 0, 1))
    )
    assert one == two != three
    assert len(one) == pytest.approx(1024, abs=150)
    gaps = np.diff(one)  # those of independent draws vary as much as they are long
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.2)


def test_a_small_collection_is_all_sample():
    assert all(_order(40, sample=1536).is_sampled(key) for key in range(1, 41))


def test_a_rule_of_ones_own_replaces_the_default_one(empty_world):
    empty_world.write({f"d{place}": f"text {place}" for place in range(1, 400)})
    migration = empty_world.started(strategy=Background(priority=lambda fact: int(fact.id[1:])))
    claims = empty_world.backend.ledger.jobs.claim(migration.record.target_generation, "me:1:1:1", 400, 60.0)
    ids = {d.key: d.id for d in empty_world.backend.documents.by_key([claim.document_key for claim in claims])}
    sampled = sum(claim.priority == PRIORITY_SAMPLE for claim in claims)
    assert 0 < sampled < 150
    assert all(f"d{c.priority}" == ids[c.document_key] for c in claims if c.priority != PRIORITY_SAMPLE)


@pytest.mark.parametrize("priority", [0, -1, 2.5, "first", None])
def test_a_rule_that_returns_no_priority_is_refused_before_anything_is_started(world, priority):
    migration = world.plan(strategy=Background(priority=lambda fact: priority))
    with pytest.raises(InvalidArgumentError, match="d0"):
        migration.start()
    assert migration.phase.value == "planned"


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
