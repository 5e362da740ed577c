"""A disk that is full in the middle of a run: the run ends and says so, and goes on once there is room."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from revector.errors import StoreError
from revector.ledger.state import Phase
from revector.migration.strategies import Background
from worlds import NEW

ROOM = 1_000_000
"""Pages, which are never needed."""


@pytest.fixture(scope="module")
def kind():
    return "sqlite"


@pytest.fixture
def disk(world):
    """Return how to say how many pages the files may have, from the next transaction on."""
    engine, most = world.backend.database._engine, ROOM

    @sa.event.listens_for(engine, "checkout")
    def limit(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count = {most}")

    def says(pages):
        nonlocal most
        most = pages

    return says


def _write_and_run(world, migration):
    for turn in range(50):
        world.write({f"more{turn}": f"{turn} " * 20_000}, encoders=[])
        migration.run()


@pytest.mark.parametrize("left", [0, 1, 2, 5])
def test_a_run_ends_while_the_disk_is_full_and_goes_on_once_there_is_room(world, disk, left):
    world.write({f"long{place}": f"{place} " * 2_000 for place in range(40)}, encoders=[])
    migration = world.started(strategy=Background(batch=2))
    with world.backend.database.snapshot() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    disk(pages + left)
    with pytest.raises(StoreError, match="disk is full"):
        _write_and_run(world, migration)
    disk(ROOM)
    migration.run()
    assert migration.phase is Phase.PROVING
    world.assert_exact(migration.record.target_generation, NEW)
