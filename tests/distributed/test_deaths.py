"""Actors, machines and the process that started them are killed: what is missing is embedded, and nothing else."""

from __future__ import annotations

import random
import time

import pytest

from revector.distributed.ray import RayCrew
from revector.migration.filling.lander import MOST_WAITING
from towns import BATCH, DOCUMENTS, awaited, driver, meanwhile, outcome

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]


def moved(town, cluster, **options):
    with RayCrew(town.place, address=cluster.address, **options) as crew:
        return town.migration.run(crew=crew)


def embedded_twice(town):
    counts = town.embedded
    assert set(counts) == set(town.texts.values())
    assert max(counts.values()) <= 2
    return {text for text, count in counts.items() if count == 2}


def test_a_crew_moves_a_collection_and_embeds_each_text_once(town, machines):
    report = moved(town, machines)
    town.assert_moved()
    assert (report.embedded, report.failed) == (DOCUMENTS, 0)
    assert set(town.embedded.values()) == {1}


def test_of_an_actor_that_was_killed_no_more_is_redone_than_it_had_in_hand(town, machines):
    in_hand = set()

    def kill():
        awaited(lambda: town.landed > DOCUMENTS // 5)
        in_hand.update(town.kill_a_worker())

    with meanwhile(kill):
        moved(town, machines)
    town.assert_moved()
    assert in_hand
    assert embedded_twice(town) <= in_hand


def test_of_a_machine_that_died_no_more_is_redone_than_a_worker_has_in_hand(town, machines):
    def kill():
        awaited(lambda: town.landed > DOCUMENTS // 5 and len(town.workers()) == 2)
        machines.remove_node(machines.worker_nodes.copy().pop(), allow_graceful=False)

    with meanwhile(kill):
        moved(town, machines, workers=2)
    town.assert_moved()
    assert len(embedded_twice(town)) <= BATCH * (1 + MOST_WAITING)  # it may give back what it holds


def test_machines_that_join_take_the_place_of_those_that_died(town, machines):
    with driver(town.place, machines.address, "--workers", "2") as process:
        awaited(lambda: town.landed > DOCUMENTS // 5)
        for node in tuple(machines.worker_nodes):
            machines.remove_node(node, allow_graceful=False)
        machines.add_node(num_cpus=1)
        assert outcome(process)["phase"] == "proving"
    town.assert_moved()


def test_after_the_driver_was_killed_exactly_the_missing_documents_are_embedded(town, machines):
    with driver(town.place, machines.address) as process:
        awaited(lambda: town.landed > DOCUMENTS // 3)
        process.kill()
        awaited(lambda: not town.held() or town.held().keys() == town.of_the_dead())
    landed, before = town.landed, town.embedded
    assert landed < DOCUMENTS
    with driver(town.place, machines.address) as process:
        assert outcome(process)["phase"] == "proving"
    town.assert_moved()
    assert (town.embedded - before).total() == DOCUMENTS - landed


class Mischief:
    """Kills somebody, at random, and writes before it does."""

    def __init__(self, town, cluster, seed):
        self.town, self.cluster, self.rng, self.done = town, cluster, random.Random(seed), []
        self.left = [self.actor, self.machine, self.driver, *self.rng.choices([self.actor, self.machine], k=2)]
        self.rng.shuffle(self.left)

    def strike(self, process):
        """Do the next thing, some moments after documents have landed, unless the run ends before."""
        landed = self.town.landed
        awaited(lambda: process.poll() is not None or self.town.landed > landed + 40)
        time.sleep(self.rng.uniform(0, 0.2))
        if process.poll() is None:
            self.town.write(self.rng.sample(sorted(self.town.texts), 20))
            self.left[-1](process)
            self.done.append(self.left.pop().__name__)

    def actor(self, process):
        self.town.kill_a_worker(lambda found: self.rng.choice(sorted(found)))

    def machine(self, process):
        self.cluster.remove_node(self.rng.choice(list(self.cluster.worker_nodes)), allow_graceful=False)
        self.cluster.add_node(num_cpus=1)

    def driver(self, process):
        process.kill()
        process.wait()


def test_random_deaths_beside_writes_lose_nothing(town, machines):
    mischief = Mischief(town, machines, seed=21)
    while mischief.left:
        with driver(town.place, machines.address) as process:
            while mischief.left and process.poll() is None:
                mischief.strike(process)
            if process.poll() is None:
                outcome(process)
            assert process.returncode or not mischief.left, "it was done too early for the test to mean anything"
    moved(town, machines)  # what is left if the driver was the last to die
    town.assert_moved()
    assert set(mischief.done) == {"actor", "machine", "driver"}
