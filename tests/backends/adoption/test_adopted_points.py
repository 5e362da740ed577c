"""A collection of points that an application writes by the store's client alone, which the backend does not see."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from revector.backends.contracts.adoption import TableToAdopt
from revector.errors import GateRefusedError, InvalidArgumentError, StoreError
from revector.migration.filling.worker import WorkerReport
from revector.migration.following import follow
from revector.testing.memory import MemoryBesideKind, MemoryVectorStore
from worlds import NEW, OLD, World

TABLE = TableToAdopt("docs", "id", ("body",), name="live")
SPARSE = {"sparse": {"indices": [3, 7], "values": [0.5, 0.25]}}


class Application:
    """Writes by the store alone."""

    def __init__(self, url):
        self.store = MemoryVectorStore(url)

    def write(self, name, encoder, **bodies):
        payloads = [{"body": body, "length": len(body)} for body in bodies.values()]
        self.store.put(name, list(bodies), encoder.encode(list(bodies.values())), payloads)

    def bodies(self, name):
        return {
            id_: said["body"]
            for page in self.store.scan(name)
            for id_, said in zip(page.ids, page.payloads, strict=True)
        }


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    MemoryVectorStore.forget(f"memory-beside://{tmp_path}")


@pytest.fixture
def application(folder):
    application = Application(f"memory-beside://{folder}")
    application.store.create("docs", 8, "cosine")
    application.write("docs", OLD, a="text a", b="text b", c="text c")
    return application


@pytest.fixture
def place(folder):
    return f"memory-beside://{folder}?ledger={folder}/docs.db#live"


def adopt(place, table=TABLE, models=(OLD, NEW), *, dry_run=False, told=lambda _: None):
    place = place.partition("#")[0]
    return MemoryBesideKind.adopt(place, table, models, dry_run=dry_run, accept_unidentified=False, tell=told)


def release(place, **options):
    options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False, **options}
    return MemoryBesideKind.release(place, tell=lambda _: None, **options)


@pytest.fixture
def world(application, place):
    adopt(place)
    with closing(World.open(place)) as world:
        yield world


def moved(world):
    """Move everything, up to the cut-over."""
    migration = world.plan(retention_seconds=0)
    migration.start()
    migration.run()
    migration.verify()
    migration.cutover()
    return migration


def look(world):
    """Look through all points once more, whenever that was done last."""
    world.backend.recapture(anew=True)
    while world.backend.recapture():
        pass


def texts(world):
    return {document.id: document.text for documents in world.backend.documents.scan() for document in documents}


def test_what_is_there_is_taken_in_with_its_model_told(application, place):
    found = adopt(place, dry_run=True)
    assert found.contents["points"] == 3
    assert "3 of 3" in found.identification["reason"]
    assert application.store.aliased("live") is None
    assert not MemoryBesideKind.is_there(place)
    adopt(place)
    assert application.store.aliased("live") == "docs"
    with closing(World.open(place)) as world:
        (document, *_) = world.backend.documents.by_id(["a"])
        assert (document.text, document.metadata) == ("text a", {"length": 6})
        assert world.backend.generations.count_stale(world.served) == 0
        assert world.backend.check() == []


def test_an_alias_that_is_there_is_taken(application, place):
    application.store.point("live", "docs")
    adopt(place, replace(TABLE, table="live", name=None))
    with closing(World.open(place)) as world:
        moved(world)
        assert application.store.aliased("live") == "live_rv2"


def test_whoever_was_cut_off_adopts_again(application, place):
    def stop(said):
        if "points" in said:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt(place, told=stop)
    adopt(place)
    with pytest.raises(StoreError, match="is a collection already"):
        adopt(place)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": "key"}, "--id id"),
        ({"text": ("title",)}, "has the field title; there are: body, length"),
        ({"vector": "body"}, "leave out --vector"),
        ({"updated": "at"}, "leave out --updated"),
        ({"name": "docs"}, "readers need an alias"),
        ({"table": "ghost"}, "ghost"),
    ],
)
def test_what_cannot_be_adopted_is_refused_with_what_to_say(application, place, changed, said):
    with pytest.raises((InvalidArgumentError, StoreError), match=said):
        adopt(place, replace(TABLE, **changed))
    assert not MemoryBesideKind.is_there(place)


def test_points_of_another_model_are_refused(application, place):
    with pytest.raises(InvalidArgumentError, match="name the model that made them"):
        adopt(place, models=(NEW,))


def test_documents_are_written_where_they_are(world):
    for write in (lambda: world.write({"d": "text"}), lambda: world.delete("a")):
        with pytest.raises(StoreError, match="by the client of the store"):
            write()


def test_what_was_written_unseen_is_taken_in(world, application):
    migration = world.plan()
    migration.start()
    migration.run()
    application.write("docs", OLD, d="text d", b="text b changed")
    application.store.put("docs", ["c"], OLD.encode(["text c"]), [{"body": "text c", "length": 6, "price": 5}])
    application.store.delete("docs", ["a"])
    look(world)
    assert texts(world) == {"b": "text b changed", "c": "text c", "d": "text d"}
    assert world.backend.documents.by_id(["c"])[0].metadata == {"length": 6, "price": 5}
    assert world.backend.generations.count_stale(world.served) == 0
    target = migration.record.target_generation
    assert world.backend.ledger.jobs.counts(target).outstanding == 2
    assert application.store.read("live_rv2", ["c"]).payloads == [{"body": "text c", "length": 6, "price": 5}]
    migration.run()
    assert application.bodies("live_rv2") == {"b": "text b changed", "c": "text c", "d": "text d"}


def test_whoever_follows_takes_in_what_is_written_unseen_and_what_is_changed_later(world, application):
    stop = threading.Event()
    nothing_fills = WorkerReport(0, 0, 0, 0.0)
    follower = threading.Thread(target=follow, args=(world.backend, world.encoders, lambda _: nothing_fills, stop))
    follower.start()
    try:
        for text in ("written unseen", "changed unseen"):
            application.write("docs", OLD, d=text)
            end = time.monotonic() + 60
            while texts(world).get("d") != text:
                assert time.monotonic() < end, "it was not taken in"
                time.sleep(0.1)
    finally:
        stop.set()
        follower.join()


def test_nothing_is_looked_through_again_at_once(world):
    while world.backend.recapture():
        pass
    assert world.backend.recapture() is False


def test_everything_of_a_point_goes_with_it(world, application):
    application.store.give("docs", "a", SPARSE)
    migration = moved(world)
    assert application.store.others("live_rv2", "a") == SPARSE
    assert application.store.read("live_rv2", ["a"]).payloads == application.store.read("docs", ["a"]).payloads
    application.write("live_rv2", NEW, b="with more than a text")
    application.store.give("live_rv2", "b", SPARSE)
    look(world)
    migration.run()
    assert application.store.others("docs", "b") == SPARSE


def test_both_collections_are_kept_up_to_date_whichever_is_written(world, application):
    migration = moved(world)
    application.write("live_rv2", NEW, a="written where readers are")
    application.write("docs", OLD, b="written where they were", late="new there")
    look(world)
    migration.run()
    expected = {"a": "written where readers are", "b": "written where they were", "c": "text c", "late": "new there"}
    assert application.bodies("docs") == application.bodies("live_rv2") == texts(world) == expected
    page = application.store.read("docs", ["a"], vectors=True)
    np.testing.assert_allclose(page.vectors, OLD.encode(["written where readers are"]), atol=1e-6)


def test_what_is_deleted_is_deleted_everywhere(world, application):
    migration = moved(world)
    application.store.delete("live_rv2", ["a"])
    look(world)
    migration.run()
    assert set(texts(world)) == set(application.bodies("docs")) == {"b", "c"}


def test_points_that_were_lost_where_nobody_writes_are_made_again(world, application):
    migration = world.plan()
    migration.start()
    migration.run()
    application.store.delete("live_rv2", ["a"])
    assert any("holds 2 points, the ledger knows 3" in problem for problem in world.backend.check())
    look(world)
    migration.run()
    assert set(application.bodies("live_rv2")) == set(texts(world)) == {"a", "b", "c"}


def test_a_cutover_that_was_cut_off_behind_the_alias_is_written_down(world, application, place):
    migration = world.plan()
    migration.start()
    migration.run()
    migration.verify()
    application.store.point("live", "live_rv2")  # and nothing more
    world.close()
    with closing(World.open(place)) as later:
        assert later.active().phase == "serving"
        assert later.served == later.backend.ledger.record(1).target_generation


def test_release_leaves_what_serves_under_its_alias(world, application, place, folder):
    migration = moved(world)
    with pytest.raises(GateRefusedError, match="retire"):
        release(place)
    migration.retire(confirm=True)
    assert application.store.names() == ["docs", "live_rv2"]  # what was adopted is the user's
    assert "docs is dropped" in release(place, dry_run=True).notices
    assert release(place).table == "live_rv2"
    assert (application.store.names(), application.store.aliased("live")) == (["live_rv2"], "live_rv2")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("option", ["in_place", "fire_triggers"])
def test_what_speaks_of_tables_is_refused(world, place, option):
    with pytest.raises(InvalidArgumentError, match=f"leave out --{option.replace('_', '-')}"):
        release(place, **{option: True})


def test_a_collection_of_ones_own_has_nothing_to_give_back(place):
    with closing(World.create(place, 2)):
        pass
    with pytest.raises(StoreError, match="was not adopted"):
        release(place)
