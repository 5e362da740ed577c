"""Documents that kill the worker at every try: all others get done, and nobody is blamed for an operator's kill."""

from __future__ import annotations

import os

import pytest

from children import fork_server
from revector.ledger.jobs import JobRequest
from revector.ledger.statements import LONE_DEATHS, SUSPECTS
from revector.migration.filling.worker import Worker
from revector.migration.strategies.background import Background
from worlds import NEW, World

G = 1


class Fragile:
    """The new encoder; the process ends at some texts."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        if any("poison" in text for text in texts):
            os._exit(137)
        return NEW.encode(texts, kind=kind)


def _work(path):
    world = World.open(path)
    world.encoders.add(Fragile())
    world.active().run()
    os._exit(0)


def _run_until_it_lives(path, most):
    for deaths in range(most + 1):
        worker = fork_server().Process(target=_work, args=(path,))
        worker.start()
        worker.join()
        if worker.exitcode == 0:
            return deaths
    raise AssertionError(f"the worker died {most + 1} times")


@pytest.mark.parametrize(("poison", "most"), [({3}, 5), ({3, 70, 71}, 15)])
@pytest.mark.parametrize("batch", [1, 64, 1024])
def test_documents_that_kill_the_worker_are_set_aside_and_all_others_done(places, batch, poison, most):
    path = places / "world.db"
    world = World.create(path)
    world.write({f"d{i}": f"text {i}" + " poison" * (i in poison) for i in range(500)})
    world.started(strategy=Background(batch=batch))
    _run_until_it_lives(path, most)
    migration = world.active()
    status = migration.status()
    counts = status.target_jobs
    assert (status.moved, counts.failed, counts.outstanding) == (500 - len(poison), len(poison), 0)
    assert {failure.id for failure in migration.failures()} == {f"d{i}" for i in poison}
    assert all("died while they held this document alone" in failure.error for failure in migration.failures())
    world.close()


def _ask(world, n):
    world.backend.ledger.jobs.enqueue(G, [JobRequest(key, f"text {key}", 4) for key in range(n)])


def _die(world, limit=64):
    """Claim all that a worker would hold, and never come back; return the documents."""
    return [claim.document_key for claim in world.backend.ledger.jobs.claim(G, "dead:1:1:1", limit, lease_seconds=0.0)]


def test_what_died_together_comes_last_and_in_small_units(empty_world):
    _ask(empty_world, 40)
    assert _die(empty_world, 20) == list(range(20))
    assert _die(empty_world) == list(range(20, 40))
    assert _die(empty_world) == list(range(SUSPECTS))


def test_a_unit_that_died_is_tried_one_by_one(empty_world):
    _ask(empty_world, 4)
    assert [_die(empty_world) for _ in range(3)] == [[0, 1, 2, 3], [0, 1, 2, 3], [0]]


def test_other_documents_are_never_blamed_for_the_deaths_of_a_batch(empty_world):
    _ask(empty_world, 1000)
    for _ in range(200):  # an operator who kills every worker at once, whatever it holds
        _die(empty_world, 64)
        assert empty_world.backend.ledger.jobs.counts(G).failed == 0


def test_a_document_that_is_alone_with_every_death_fails_after_a_few(empty_world):
    _ask(empty_world, 1)
    deaths = sum(bool(_die(empty_world)) for _ in range(100))
    assert deaths == 2 + LONE_DEATHS
    (failure,) = empty_world.backend.ledger.jobs.failures(G)
    assert failure.attempts == deaths


@pytest.mark.parametrize("end", ["release", "postpone", "fail"])
def test_a_lease_that_somebody_ends_raises_no_suspicion(empty_world, end):
    _ask(empty_world, 1)
    claims = empty_world.backend.ledger.jobs.claim(G, "me:1:1:1", 1, 60.0)
    if end == "release":
        empty_world.backend.ledger.jobs.release("me:1:1:1")
    elif end == "postpone":
        empty_world.backend.ledger.jobs.postpone(claims, "me:1:1:1", 0.0)
    else:
        empty_world.backend.ledger.jobs.fail(claims[0], "me:1:1:1", "refused")
        empty_world.backend.ledger.jobs.retry_failed(G)
    assert [c.unfinished for c in _waited(empty_world)] == [0]


def _waited(world):
    while not (claims := world.backend.ledger.jobs.claim(G, "you:1:1:1", 1, 60.0)):
        pass
    return claims


def test_a_new_text_is_not_suspected(empty_world):
    _ask(empty_world, 1)
    _die(empty_world)
    empty_world.backend.ledger.jobs.enqueue(G, [JobRequest(0, "another text", 4)])
    assert [c.unfinished for c in _waited(empty_world)] == [0]


def test_retried_documents_are_tried_alone(empty_world):
    _ask(empty_world, 2)
    while any(_die(empty_world)) or not empty_world.backend.ledger.jobs.failures(G):
        pass
    assert empty_world.backend.ledger.jobs.retry_failed(G) == 2
    assert len(_waited(empty_world)) == 1


def test_a_worker_holds_nothing_else_while_it_tries_a_suspect(empty_world):
    generation = empty_world.queue(*[f"text {i}" for i in range(10)])
    empty_world.backend.ledger.jobs.claim(generation, "dead:1:1:1", 5, lease_seconds=0.0)
    held = []

    class Watching(Fragile):
        def encode(self, texts, *, kind="document"):
            held.append((len(texts), empty_world.backend.ledger.jobs.counts(generation).leased))
            return super().encode(texts, kind=kind)

    Worker(empty_world.backend, Watching(), generation, batch=5).run()
    assert held[-1] == (5, 5)


def test_a_file_of_the_first_release_gets_the_column_and_goes_on(tmp_path):
    world = World.create(tmp_path / "world.db", documents=3)
    world.started()
    with world.backend.database.transaction() as connection:
        connection.exec_driver_sql("DROP INDEX jobs_waiting")
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN unfinished")
    world.close()
    again = World.open(tmp_path / "world.db")
    again.active().run()
    assert again.active().status().moved == 3
    again.close()
