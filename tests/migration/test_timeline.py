"""The time line of a run: a bounded number of moments, whoever writes them and however long it takes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from report_story import SlowEncoder, quick_pulse
from revector.collection import Collection
from revector.migration import timeline as module
from revector.migration.timeline import TimelineKeeper, timeline
from revector.testing import HashEncoder
from worlds import World

MOST = 40
OLD, NEW = HashEncoder(8, seed=1, name="old"), SlowEncoder(12, seed=2, name="slow")


def _run(place: Any, **limits: Any) -> tuple[Collection, int]:
    docs = Collection.open(place, OLD)
    docs.upsert([f"d{at}" for at in range(60)], [f"text number {at}" for at in range(60)])
    migration = docs.migrate(NEW)
    migration.start()
    if limits:
        migration.throttle(**limits)
    with quick_pulse():
        migration.run()
    return docs, migration.record.target_generation or 0


def test_a_run_keeps_its_course_with_the_reason_for_its_rate(places: Any) -> None:
    docs, generation = _run(places / "docs.db", rate=60)
    with docs:
        found = timeline(docs._backend, generation)
    assert len(found) > 3
    assert [each.done for each in found] == sorted(each.done for each in found)
    assert (found[-1].done, found[-1].total) == (60, 60)
    assert any("held to 60/s by rate" in each.reason for each in found)
    assert any(each.documents_per_second for each in found)
    assert {each.workers for each in found} == {1}


def test_what_is_older_than_a_migration_is_not_its_own(places: Any) -> None:
    docs, generation = _run(places / "docs.db")
    with docs:
        found = timeline(docs._backend, generation)
        assert timeline(docs._backend, generation, since=found[-1].at + 1) == []
        assert timeline(docs._backend, 99) == []


def test_a_long_run_keeps_a_few_hundred_moments_of_all_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(module.time, "time", lambda: float(5 * next(clock)))
    monkeypatch.setattr(module, "MOST_MOMENTS", MOST)
    keeper = TimelineKeeper(world.backend, 1)
    for _ in range(3 * MOST):
        keeper._due = 0.0
        keeper.note()
    found = timeline(world.backend, 1)
    assert MOST // 2 <= len(found) <= MOST
    assert found[0].at < 50
    gaps = [after.at - before.at for before, after in itertools.pairwise(found)]
    assert max(gaps[:-1]) <= 4 * min(gaps[:-1])


def test_workers_do_not_repeat_each_other(world: World) -> None:
    for _ in range(5):
        TimelineKeeper(world.backend, 1).note()
    assert len(timeline(world.backend, 1)) == 1


def test_a_store_that_is_gone_stops_no_worker(world: World) -> None:
    world.backend.close()
    TimelineKeeper(world.backend, 1).note(last=True)


def test_a_run_after_a_pause_begins_anew_and_thinning_keeps_that(world: World) -> None:
    for _ in range(3):
        keeper = TimelineKeeper(world.backend, 1)
        for _ in range(2):
            keeper.note(last=True)
    assert [each.begins for each in timeline(world.backend, 1)] == [True, False] * 3
    moments = [[at, at % 4 == 3] for at in range(8)]
    assert module._thinned(moments) == [[0, False], [2, False], [4, True], [6, False]]
