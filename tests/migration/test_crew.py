"""A run whose workers are somebody else's: the one who has a crew takes the steps, and needs no model."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from revector.encoders.at_hand import EncoderSet
from revector.errors import MigrationError
from revector.ledger.state import Phase
from revector.migration.filling.worker import WorkerReport
from worlds import NEW, OLD, World


@pytest.fixture
def kind():
    return "postgres"


class Threads:
    """A crew of two, each with a connection and models of its own."""

    def __init__(self, place):
        self.place, self.runs = place, 0

    def run(self, look, *, stop):
        self.runs += 1
        with ThreadPoolExecutor(2) as pool:
            reports = [pool.submit(self._work, stop) for _ in range(2)]
        self.progress = look()
        return sum((report.result() for report in reports), WorkerReport(0, 0, 0, 0.0))

    def _work(self, stop):
        world = World.open(self.place)
        try:
            return world.active().work_along(stop)
        finally:
            world.close()


def test_a_crew_fills_a_generation_for_a_process_without_the_model(places, world):
    world.started()
    crew = Threads(places / "world.db")
    report = world.active(EncoderSet([OLD])).run(crew=crew)
    assert world.active().phase is Phase.PROVING
    assert (report.embedded, crew.progress.done, crew.progress.total) == (40, 40, 40)
    world.assert_exact(world.active().record.target_generation, NEW)


def test_who_works_along_leaves_the_step_to_whoever_has_the_crew(world):
    migration = world.started()
    assert migration.work_along(threading.Event()).embedded == 40
    assert migration.phase is Phase.FILLING


def test_who_works_along_embeds_nothing_once_the_migration_is_paused(world):
    migration = world.started()
    migration.pause()
    assert migration.work_along(threading.Event()).embedded == 0


def test_what_is_written_behind_a_crew_is_embedded_before_the_step(places, world):
    class Late(Threads):
        def run(self, look, *, stop):
            report = super().run(look, stop=stop)
            if self.runs == 1:
                world.write({"late": "written behind them"}, encoders=(OLD,))
            return report

    world.started()
    world.active(EncoderSet([OLD])).run(crew=Late(places / "world.db"))
    world.assert_exact(world.active().record.target_generation, NEW)


def test_progress_is_told_where_it_is_looked_at(places, world):
    world.started()
    seen = []
    world.active().run(on_progress=seen.append, crew=Threads(places / "world.db"))
    assert (seen[-1].done, seen[-1].total) == (40, 40)


def test_a_collection_of_one_machine_is_refused_before_anybody_works(tmp_path):
    world = World.create(tmp_path / "world.db", documents=1)
    migration, crew = world.started(), Threads(tmp_path / "world.db")
    with pytest.raises(MigrationError, match="its own machine only"):
        migration.run(crew=crew)
    assert crew.runs == 0
    world.close()
