"""A date by which a migration has to be done: what it takes, and whether it will be met."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta

import pytest

from revector.errors import InvalidArgumentError, MigrationError
from revector.migration.schedule import deadline_of, planned_by
from revector.migration.throttle import NO_LIMITS, Throttle, open_share
from revector.testing import HashEncoder

DAY = 86_400.0


def _planned(days=10.0, documents=800_000, rate=2.0, limits=NO_LIMITS):
    return planned_by(time.time() + days * DAY, documents, rate, limits)


def test_a_fifth_of_the_time_is_left_for_what_nobody_foresees():
    assert _planned(days=10).rate == pytest.approx(800_000 / (8 * DAY), rel=1e-3)


@pytest.mark.parametrize(
    ("rate", "limits", "workers"),
    [
        (2.0, NO_LIMITS, 1),
        (1.0, NO_LIMITS, 2),
        (2.0, Throttle(share=0.5), 2),
        (2.0, Throttle(window="22:00-06:00"), 2),
        (0.1, NO_LIMITS, 12),
    ],
)
def test_workers_are_planned_by_what_one_does_in_the_time_it_has(rate, limits, workers):
    schedule = _planned(rate=rate, limits=limits)
    assert (schedule.workers, schedule.needs_more) == (workers, workers > 1)


@pytest.mark.parametrize(("window", "share"), [(None, 1.0), ("22:00-06:00", 1 / 3), ("06:00-22:00", 2 / 3)])
def test_a_window_is_a_part_of_the_day(window, share):
    assert open_share(window) == pytest.approx(share)


def test_it_is_said_that_a_date_will_be_missed():
    schedule = _planned(days=1)
    assert schedule.outlook(86_400, 0.5).endswith(", too late")
    assert not schedule.outlook(86_400, 2.0).endswith(", too late")
    assert schedule.outlook(0, None).endswith("all documents have moved")
    assert "has passed; 5 documents are left" in _planned(days=-1).outlook(5, 1.0)


def test_a_date_is_its_first_moment():
    tomorrow = date.today() + timedelta(days=2)
    moment = datetime(tomorrow.year, tomorrow.month, tomorrow.day).timestamp()
    assert deadline_of(tomorrow) == deadline_of(tomorrow.isoformat()) == moment


@pytest.mark.parametrize("given", ["soon", 7, None, "2020-01-01", date(2020, 1, 1)])
def test_what_is_not_a_date_to_come_is_refused(given):
    with pytest.raises(InvalidArgumentError, match="deadline is"):
        deadline_of(given)


def test_the_model_is_measured_and_the_status_tells_of_the_date(world):
    class Slow(HashEncoder):
        def encode(self, texts, *, kind="document"):
            time.sleep(len(texts) / 200)
            return super().encode(texts, kind=kind)

    migration = world.started(encoder=Slow(12, seed=2, name="new"))
    soon = (datetime.now() + timedelta(seconds=2)).isoformat()
    schedule = migration.schedule(soon)
    assert schedule.documents == 40
    assert schedule.documents_per_second == pytest.approx(200, rel=0.5)
    assert migration.status().schedule == schedule
    assert "40 documents are left" in migration.status().outlook
    migration.run()
    assert migration.status().outlook.endswith("all documents have moved")


def test_a_migration_that_was_not_started_cannot_be_measured(world):
    with pytest.raises(MigrationError, match="start"):
        world.plan().schedule(date.today() + timedelta(days=2))
