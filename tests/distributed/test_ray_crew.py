"""What a crew on Ray is told, what it refuses, and how it is limited and stopped."""

from __future__ import annotations

import threading

import pytest

from revector import Collection
from revector.distributed.ray import RayCrew
from revector.errors import EncoderError, InvalidArgumentError, MigrationError, StoreError
from services import status
from towns import DOCUMENTS, OLD, awaited, driver, meanwhile, outcome

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


def test_progress_is_that_of_all_workers_together(town, machines):
    seen = []
    with RayCrew(town.place, address=machines.address) as crew:
        town.migration.run(on_progress=seen.append, crew=crew)
    assert seen[-1].total == DOCUMENTS
    assert any("2 workers" in moment.reason for moment in seen)
    assert [moment.done for moment in seen] == sorted(moment.done for moment in seen)


def test_a_rate_limits_all_workers_together(town, machines):
    town.migration.throttle(rate=100.0)
    stop = threading.Event()

    def measure():
        awaited(lambda: len(town.workers()) == 2 and town.landed > 50)
        begun = town.landed
        stop.wait(4)
        measured.append((town.landed - begun) / 4)
        stop.set()

    measured = []
    with meanwhile(measure), RayCrew(town.place, address=machines.address) as crew:
        town.migration.run(crew=crew, stop=stop)
    assert measured[0] < 160


def test_pausing_ends_a_run_and_what_was_embedded_is_kept(town, machines):
    def pause():
        awaited(lambda: town.landed > DOCUMENTS // 5)
        town.migration.pause()

    with meanwhile(pause), RayCrew(town.place, address=machines.address) as crew:
        town.migration.run(crew=crew)
    assert town.migration.record.paused
    assert not town.held()
    assert town.landed == town.embedded.total() < DOCUMENTS


def test_an_error_of_the_service_ends_the_run_and_is_that_error(town, machines):
    town.service.otherwise = status(401)
    with pytest.raises(EncoderError, match="401"), RayCrew(town.place, address=machines.address) as crew:
        town.migration.run(crew=crew)
    assert not town.held()


def test_a_worker_that_cannot_open_the_collection_says_on_which_machine(town, machines):
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere#docs"
    problem = r"the worker on .* cannot open the collection"
    with RayCrew(nowhere, address=machines.address) as crew, pytest.raises(StoreError, match=problem):
        town.migration.run(crew=crew)


def test_more_workers_than_there_is_room_for_are_refused(town, machines):
    refused = pytest.raises(InvalidArgumentError, match="room for 2 workers")
    with RayCrew(town.place, address=machines.address, workers=3) as crew, refused:
        town.migration.run(crew=crew)


def test_workers_share_a_gpu(town, cluster):
    node = cluster.add_node(num_cpus=2, num_gpus=1)
    with RayCrew(town.place, address=cluster.address, num_gpus=0.5) as crew:
        report = town.migration.run(crew=crew)
    cluster.remove_node(node)
    assert report.embedded == DOCUMENTS


def test_the_command_moves_a_collection_with_a_cluster(town, machines):
    with driver(town.place, machines.address, "--workers", "2") as process:
        said = outcome(process)
    assert (said["phase"], said["moved"]) == ("proving", DOCUMENTS)


def test_workers_are_not_told_a_password():
    crew = RayCrew("postgresql://me:s3cret@db/shop#docs")
    assert "postgresql://me@db/shop#docs" in repr(vars(crew))
    assert "s3cret" not in repr(vars(crew))


def test_a_cluster_that_is_not_there_is_an_error_that_says_so(town):
    refused = pytest.raises(MigrationError, match=r"cannot be used.*ray status")
    with RayCrew(town.place, address="127.0.0.1:1") as crew, refused:
        town.migration.run(crew=crew)


def test_a_collection_in_a_file_is_refused_before_ray_is_started(tmp_path):
    with Collection.open(tmp_path / "docs.db", OLD) as docs:
        docs.upsert(["a"], ["one"])
        migration = docs.migrate(type(OLD)(12, seed=2))
        migration.start()
        with RayCrew(str(tmp_path / "docs.db")) as crew, pytest.raises(MigrationError, match="its own machine only"):
            migration.run(crew=crew)
