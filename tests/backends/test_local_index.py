"""The graphs beside a database: built behind searches, shared by processes, never trusted when they do not add up."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from index_worlds import DIMENSION, SECONDS, BuildsHeldUp, IndexWorld, forbid_building, graph_files, small_graphs
from revector.backends.local_index import builder, current, following
from revector.backends.local_index.local import LocalIndex
from revector.backends.local_index.segments import named
from revector.backends.sqlite import SqliteBackend
from revector.backends.sqlite.generations import SqliteGenerations
from revector.errors import StoreError
from revector.index import HnswSnapshot
from revector.ledger.owners import new_owner


@pytest.fixture(params=["cosine", "dot"])
def world(request, tmp_path, monkeypatch):
    small_graphs(monkeypatch)
    found = IndexWorld(tmp_path, metric=request.param)
    yield found
    found.backend.close()


@pytest.fixture
def graphs(tmp_path, monkeypatch):
    """A world with three graphs and a rest, which has seen updates and deletions."""
    small_graphs(monkeypatch)
    found = IndexWorld(tmp_path)
    for name, n in (("a", 260), ("b", 130), ("c", 70), ("d", 20)):
        found.put_many(name, n)
        found.put([f"a{i}" for i in range(n // 20)])
        found.delete([f"{name}{n - 1}"])
        view = found.settle()
    assert (len(view.segments), len(view.rest) > 0, view.dead > 0) == (3, True, True)
    yield found
    found.backend.close()


def sizes(view):
    return [len(segment) for segment in view.segments]


# What is found


def test_what_was_written_before_a_search_is_found_and_what_was_deleted_is_not(world):
    a, b = world.put(["a", "b"])
    assert (world.find(a), world.find(b)) == ([a], [b])
    (c,) = world.put(["c"])
    assert world.find(c) == [c]
    world.delete(["b"])
    assert set(world.find(c, 5)) == {a, c}


def test_an_empty_generation_finds_nothing(world):
    assert world.index.search(world.generation, np.ones((2, DIMENSION), np.float32), 3)[1].shape == (2, 0)


def test_a_document_written_and_deleted_between_two_searches_does_no_harm(world):
    (a,) = world.put(["a"])
    world.find(a)
    world.put(["b"])
    world.delete(["b"])
    assert world.find(a, 2) == [a]


def test_a_vector_that_is_written_again_is_found_by_its_new_value_alone(graphs):
    (key,) = graphs.put(["a7"])
    assert graphs.find(key) == [key]
    assert graphs.find(key, len(graphs.live)).count(key) == 1


@pytest.mark.parametrize("k", [1, 10, 400])
def test_answers_are_those_of_exact_search_whatever_holds_the_vectors(graphs, k):
    queries = graphs.random.standard_normal((20, DIMENSION)).astype(np.float32)
    scores, keys = graphs.index.search(graphs.generation, queries, k)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert (keys == graphs.exact(queries, k)).mean() > 0.99


def test_no_vector_becomes_harder_to_find_while_a_generation_grows(tmp_path, monkeypatch):
    small_graphs(monkeypatch, rest_limit=200)
    world, recalls, segments = IndexWorld(tmp_path), [], []
    steps = ((0.1, 400), (0.25, 600), (0.5, 1000), (0.75, 1000), (1.0, 1000))
    for share, n in steps:
        for start in range(0, n, 200):
            world.put([f"{share}-{i}" for i in range(start, start + 200)])
            world.put([f"0.1-{i}" for i in world.random.choice(199, 20, replace=False)])
            world.delete([f"{share}-{start + 199}"])
            view = world.settle()
        recalls.append(world.recall())
        segments.append(len(view.segments))
    assert min(recalls) >= 0.98
    assert max(segments) > 1
    world.backend.close()


def test_k_hits_come_back_after_most_of_a_collection_was_deleted(graphs, monkeypatch):
    forbid_building(monkeypatch)
    graphs.index.of(graphs.generation)._not_before = time.monotonic() + 60
    graphs.delete([f"a{i}" for i in range(5, 259)])
    graphs.delete([f"b{i}" for i in range(5, 129)])
    (key, *_) = graphs.live
    assert set(graphs.find(key, len(graphs.live))) == set(graphs.live)


def test_a_search_inside_a_transaction_sees_it_and_others_do_not(world):
    world.put_many("a", 3)

    def lose_a_transaction():
        with world.backend.transaction():
            (b,) = world.put(["b"])
            assert world.find(b) == [b]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lose_a_transaction()
    b, vector = world.live.popitem()
    assert b not in world.index.search(world.generation, vector[None], 10)[1]
    (c,) = world.put(["c"])  # at the point that the lost transaction had reached
    assert world.find(c) == [c]


def test_searches_run_beside_writes(world):
    (a,) = world.put(["a"])
    wrong, done = [], threading.Event()

    def search():
        while not done.is_set() and not wrong:
            try:
                if world.find(a) != [a]:
                    wrong.append("not found")
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(30):
        world.put_many(f"b{i}-", 10)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert set(world.find(a, 301)) == set(world.live)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_in_whatever_order_two_processes_find_what_is_there(tmp_path, monkeypatch, seed):
    small_graphs(monkeypatch, rest_limit=16)
    world = IndexWorld(tmp_path, metric=("cosine", "dot")[seed % 2], seed=seed)
    other = SqliteBackend.open(world.path / "docs.db")
    random = np.random.default_rng(seed)
    serial = iter(range(10**6))

    def some(n):
        ids = list(world.backend.documents.ids())
        return random.choice(ids, min(n, len(ids)), replace=False).tolist()

    steps = [
        lambda: world.put([f"d{next(serial)}" for _ in range(random.integers(1, 40))]),
        lambda: world.put(some(5)),
        lambda: world.delete(some(random.integers(1, 12))),
        lambda: world.settle(),
        lambda: world.settle(other.index),
        lambda: world.index.prepare(world.generation),
        lambda: other.index.close(),
        lambda: world.put([]),
    ]
    for _ in range(60):
        steps[random.choice(len(steps), p=[0.3, 0.15, 0.15, 0.15, 0.1, 0.05, 0.05, 0.05])]()
        queries = random.standard_normal((1, DIMENSION)).astype(np.float32)
        for index in (world.index, other.index) if random.random() < 0.5 else (world.index,):
            _, keys = index.search(world.generation, queries, len(world.live) + 1)
            assert sorted(keys[0].tolist()) == sorted(world.live)
            known, vectors = index.vectors(world.generation, list(world.live))
            assert known.all()
            expected = np.array(list(world.live.values())).reshape(len(world.live), DIMENSION)
            if world.space.metric == "cosine":
                expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
            np.testing.assert_allclose(vectors, expected, atol=1e-6)
    other.close()
    world.backend.close()


# Vectors by their keys


def test_vectors_are_those_of_the_backend_wherever_they_are(graphs):
    keys = [*graphs.live, 10**6]
    known, vectors = graphs.index.vectors(graphs.generation, keys)
    expected = np.stack(list(graphs.live.values()))
    assert known.tolist() == [True] * len(graphs.live) + [False]
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_vectors_of_a_snapshot_are_those_of_its_moment(world):
    (a,) = world.put(["a"])
    before = world.live[a]
    with world.backend.snapshot():
        thread = threading.Thread(target=lambda: (world.put(["a"]), world.find(a)))
        thread.start()
        thread.join(SECONDS)
        _, vectors = world.index.vectors(world.generation, [a])
    np.testing.assert_allclose(vectors[0] / np.linalg.norm(vectors[0]), before / np.linalg.norm(before), atol=1e-6)


def test_a_search_inside_a_snapshot_is_of_its_moment_while_others_go_on(world):
    keys = world.put_many("a", 5)
    world.find(keys[0])
    query = world.live[keys[0]][None]

    def write():
        for i in range(3):
            world.find(world.put([f"b{i}"])[0])
        world.delete(["a1"])
        world.find(keys[0])

    with world.backend.snapshot():
        world.index.search(world.generation, query, 9)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(SECONDS)
        assert set(world.index.search(world.generation, query, 9)[1][0]) == set(keys)


def test_vectors_are_not_read_from_the_backend(graphs, monkeypatch):
    monkeypatch.setattr(SqliteGenerations, "vectors", None)
    other = graphs.backend.generations.create(graphs.space, None)
    graphs.put(["a1"], other)  # another generation's writes do not matter
    assert graphs.index.vectors(graphs.generation, list(graphs.live))[0].all()


# Building


def test_few_vectors_need_no_graph(world, monkeypatch):
    forbid_building(monkeypatch)
    world.put_many("a", builder.REST_LIMIT - 1)
    world.settle()
    assert not graph_files(world.folder)


def test_a_search_is_answered_at_once_while_a_graph_is_built(world, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    keys = world.put_many("a", 300)
    world.find(keys[0])
    assert builds.begun.wait(SECONDS)
    times = []
    for i in range(50):
        (key,) = world.put([f"b{i}"])
        began = time.perf_counter()
        assert world.find(key) == [key]
        times.append(time.perf_counter() - began)
    builds.let_go()
    assert np.median(times) < 0.1  # the build has not ended yet
    assert sizes(world.settle()) == [300]


def test_a_search_does_not_wait_for_the_write_lock(graphs):
    held, found = threading.Event(), []

    def write():
        with graphs.backend.transaction():
            held.set()
            found.append(done.wait(SECONDS))

    done, writer = threading.Event(), threading.Thread(target=write)
    writer.start()
    held.wait(SECONDS)
    (key, *_) = graphs.live
    assert graphs.find(key) == [key]
    done.set()
    writer.join()
    assert found == [True]


def test_each_graph_is_larger_than_all_that_follow_it(tmp_path, monkeypatch):
    small_graphs(monkeypatch)
    world = IndexWorld(tmp_path)
    for i in range(25):
        world.put_many(f"{i}-", 64)
        found = sizes(world.settle())
        assert all(size > sum(found[place + 1 :]) for place, size in enumerate(found))
    assert len(found) <= 1 + np.log2(25)
    world.backend.close()


def test_a_vector_takes_part_in_few_builds(tmp_path, monkeypatch):
    small_graphs(monkeypatch)
    built, build = [], HnswSnapshot.build

    def counting(*args, expected, **options):
        built.append(expected)
        return build(*args, expected=expected, **options)

    monkeypatch.setattr(HnswSnapshot, "build", counting)
    world = IndexWorld(tmp_path)
    for i in range(32):
        world.put_many(f"{i}-", 64)
        world.settle()
    assert sum(built) <= 32 * 64 * (1 + np.log2(32))
    world.backend.close()


def test_graphs_that_are_mostly_dead_are_built_anew(graphs):
    graphs.delete([f"a{i}" for i in range(259)])
    graphs.delete([f"b{i}" for i in range(129)])
    view = graphs.settle()
    assert (view.dead, len(view)) == (0, len(graphs.live))


def test_deletions_that_a_graph_knows_of_are_not_kept(graphs):
    graphs.delete([f"a{i}" for i in range(100)])
    assert graphs.settle().rest.weight < builder.REST_LIMIT


def test_files_that_are_no_longer_used_are_removed(graphs):
    names = named(graphs.backend.index_note(graphs.generation.id))
    assert graph_files(graphs.folder) == sorted(f"1.{name.token}.graph" for name in names)


def test_a_failed_build_costs_a_warning(world, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(HnswSnapshot, "build", full)
    keys = world.put_many("a", 100)
    assert world.find(keys[3]) == [keys[3]]
    world.wait()
    assert "was not built: [Errno 28]" in caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning(world, caplog):
    world.folder.write_text("in the way")
    keys = world.put_many("a", 100)
    assert world.index.prepare(world.generation).built == 0
    assert world.find(keys[3]) == [keys[3]]
    assert "was not built" in caplog.text


def test_closing_calls_a_build_off(world, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    world.find(world.put_many("a", 100)[0])
    assert builds.begun.wait(SECONDS)
    began = time.monotonic()
    world.index.close()
    assert time.monotonic() - began < 5
    assert not list(world.folder.iterdir())


def test_a_collection_that_is_only_read_builds_nothing(world, monkeypatch):
    world.put_many("a", 100)
    world.index.close()
    forbid_building(monkeypatch)
    reader = SqliteBackend.open(world.path / "docs.db", read_only=True)
    (key, *_) = world.live
    assert reader.index.prepare(world.generation).built == 0
    assert world.find(key, index=reader.index) == [key]
    reader.close()
    assert not world.folder.exists()


def test_a_collection_that_is_only_read_uses_the_graphs_that_there_are(graphs):
    reader = SqliteBackend.open(graphs.path / "docs.db", read_only=True)
    (key, *_) = graphs.live
    assert graphs.find(key, index=reader.index) == [key]
    assert sizes(graphs.view(reader.index)) == sizes(graphs.view())
    reader.close()


EXIT = """
import sys, time
import numpy as np
from revector.backends.local_index import builder
from revector.backends.sqlite import SqliteBackend
from revector.index import HnswSnapshot
build = HnswSnapshot.build
def slowly(*args, progress, **options):
    while True:
        time.sleep(0.02)
        progress(0.5)
HnswSnapshot.build, builder.REST_LIMIT = slowly, 64
backend = SqliteBackend.open(sys.argv[1])
backend.index.search(backend.generations.get(1), np.ones((1, 16), np.float32), 1)
time.sleep(0.2)
"""


def test_a_process_that_ends_without_closing_does_not_wait_for_a_build(world):
    world.put_many("a", 100)
    world.index.close()
    command = [sys.executable, "-c", EXIT, str(world.path / "docs.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_that_only_reads_does_not_try_to_mend(graphs, monkeypatch):
    graphs.index.close()
    (graphs.folder / graph_files(graphs.folder)[0]).unlink()
    reader = SqliteBackend.open(graphs.path / "docs.db", read_only=True)
    (key, *_) = graphs.live
    assert graphs.find(key, index=reader.index) == [key]
    assert reader.index.of(graphs.generation)._thread is None
    reader.close()


# Several processes


@pytest.fixture
def elsewhere(world):
    """The index of the same file in another process, as far as that is seen from here."""
    other = SqliteBackend.open(world.path / "docs.db")
    yield other.index
    other.close()


def test_one_process_builds_and_all_use_the_graph(world, elsewhere, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    keys = world.put_many("a", 300)
    world.find(keys[0])
    assert builds.begun.wait(SECONDS)
    world.find(keys[1], index=elsewhere)
    world.wait(elsewhere)
    forbid_building(monkeypatch)
    builds.let_go()
    world.settle()
    view = world.settle(elsewhere)
    assert (sizes(view), len(view.rest)) == ([300], 0)
    assert world.find(keys[7], index=elsewhere) == [keys[7]]


def test_a_graph_of_another_process_comes_into_use_without_reading_what_it_holds_again(world, elsewhere, monkeypatch):
    world.find(world.put_many("a", 60)[0], index=elsewhere)
    world.put_many("a", 20)  # the same ids: written again
    world.put_many("b", 60)
    world.settle()
    read, changes_since = [], SqliteGenerations.changes_since

    def counting(self, generation, seq):
        changes = changes_since(self, generation, seq)
        read.append(len(changes.keys))
        return changes

    monkeypatch.setattr(SqliteGenerations, "changes_since", counting)
    view = world.settle(elsewhere)
    assert (sizes(view), len(view.rest), sum(read)) == ([120], 0, 80)
    assert set(world.find(next(iter(world.live)), 120, index=elsewhere)) == set(world.live)


RACE = """
import sys, time
import numpy as np
from revector.backends.local_index import builder, following
from revector.backends.sqlite import SqliteBackend
builder.REST_LIMIT, following.RETRY_SECONDS = 64, 0.05
backend = SqliteBackend.open(sys.argv[1])
generation = backend.generations.get(1)
built, build = 0, builder.HnswSnapshot.build
def counting(*args, **options):
    global built
    built += 1
    return build(*args, **options)
builder.HnswSnapshot.build = counting
index = backend.index.of(generation)
for _ in range(200):
    index.search(np.ones((1, 16), np.float32), 1)
    if index._current.held.segments:
        break
    time.sleep(0.02)
print(built, len(index._current.held.segments))
backend.close()
"""


def test_two_processes_build_once(world):
    world.put_many("a", 300)
    world.index.close()
    command = [sys.executable, "-c", RACE, str(world.path / "docs.db")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].split() for process in processes]
    assert sorted(built for built, _ in answers) == ["0", "1"]
    assert [segments for _, segments in answers] == ["1", "1"]


def test_the_lease_of_a_builder_that_was_killed_is_taken_over(world):
    died = [sys.executable, "-c", "import sys; from revector.ledger.owners import new_owner; print(new_owner())"]
    owner = subprocess.run(died, capture_output=True, text=True, check=True).stdout.strip()
    world.backend.ledger.leases.acquire("index:1", owner, 600)
    world.put_many("a", 100)
    assert sizes(world.settle()) == [100]


def test_what_a_killed_builder_left_is_removed_by_the_next(world):
    world.folder.mkdir()
    left = [world.folder / name for name in ("1.0a.graph", "1.0a.voids", "1.0b.graph.tmp-1-0")]
    for file in left:
        file.write_bytes(b"left")
    world.put_many("a", 100)
    world.settle()
    assert not any(file.exists() for file in left)


def test_preparing_waits_for_the_builder_of_another_process(world, monkeypatch):
    owner = new_owner()
    world.backend.ledger.leases.acquire("index:1", owner, 600)
    world.put_many("a", 100)
    released = threading.Timer(0.5, lambda: world.backend.ledger.leases.release("index:1", owner))
    released.start()
    assert world.index.prepare(world.generation).built == 100
    released.join()


# Before a generation serves


def test_preparing_makes_one_graph_of_everything_once(graphs, monkeypatch):
    prepared = graphs.index.prepare(graphs.generation)
    assert (prepared.vectors, prepared.built) == (len(graphs.live), len(graphs.live))
    assert sizes(graphs.view()) == [len(graphs.live)]
    graphs.put_many("e", 20)
    forbid_building(monkeypatch)
    again = graphs.index.prepare(graphs.generation)
    assert (again.vectors, again.built) == (len(graphs.live), 0)


def test_preparing_few_vectors_builds_nothing(world):
    world.put_many("a", builder.SCAN_LIMIT)
    assert world.index.prepare(world.generation).built == 0


def test_what_is_written_while_a_generation_is_prepared_is_found(world, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    world.put_many("a", 100)
    preparing = threading.Thread(target=world.index.prepare, args=(world.generation,))
    preparing.start()
    assert builds.begun.wait(SECONDS)
    a, *_ = world.put(["a1", "b1"])
    world.delete(["a2"])
    builds.let_go()
    preparing.join(SECONDS)
    assert world.find(a) == [a]
    assert set(world.find(a, 200)) == set(world.live)


def test_preparing_a_large_rest_does_not_read_it_into_memory(world, monkeypatch):
    world.put_many("a", 300)
    monkeypatch.setattr(SqliteGenerations, "changes_since", None)
    with pytest.raises(TypeError):
        world.settle()
    monkeypatch.undo()
    small_graphs(monkeypatch)
    assert world.index.prepare(world.generation).built == 300


# Whether a search takes about the usual time


def test_a_generation_is_covered_until_its_rest_outgrows_what_is_measured_quickly(world, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    monkeypatch.setattr(following, "COVERED_SECONDS", 0.0)
    covered = []
    for i in range(4):
        world.find(world.put_many(f"{i}-", 60)[0])
        covered.append(world.index.covers(world.generation))
    builds.let_go()
    assert covered == [True, True, False, False]
    world.settle()
    monkeypatch.setattr(following, "NOT_COVERED_SECONDS", 0.0)
    world.index.of(world.generation)._covered_until = 0.0
    assert world.index.covers(world.generation)


def test_what_would_take_long_to_read_is_not_covered_and_read_behind_searches(world, monkeypatch):
    monkeypatch.setattr(following, "READ_LIMIT", 50)
    world.put_many("b", 60)
    assert not world.index.covers(world.generation)
    world.wait()
    world.index.of(world.generation)._covered_until = 0.0
    assert world.index.covers(world.generation)


def test_a_search_that_need_not_see_everything_leaves_much_to_a_thread_behind_it(world, monkeypatch):
    monkeypatch.setattr(following, "LAG_LIMIT", 20)
    first = world.put(["a"])
    world.find(first[0])
    late = world.put_many("b", 60)
    query = world.live[late[0]][None]
    assert world.index.search(world.generation, query, 1, fresh=False)[1][0].tolist() == first
    deadline = time.monotonic() + SECONDS
    while world.index.search(world.generation, query, 1, fresh=False)[1][0].tolist() != late[:1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_search_that_need_not_see_everything_sees_the_little_that_is_new(world):
    world.find(world.put(["a"])[0])
    (late,) = world.put(["b"])
    assert world.index.search(world.generation, world.live[late][None], 1, fresh=False)[1][0].tolist() == [late]


# A rest that does not fit into memory


def test_a_generation_whose_rest_does_not_fit_into_memory_is_read_by_each_search(graphs, monkeypatch):
    graphs.index.close()
    for file in graphs.folder.iterdir():
        file.unlink()
    monkeypatch.setattr(current, "MEMORY_LIMIT_BYTES", 100 * DIMENSION * 4)
    monkeypatch.setattr(following, "_lower_priority", lambda: time.sleep(0.2))
    assert graphs.recall() == 1.0
    assert graphs.view() is None
    assert graphs.index.vectors(graphs.generation, list(graphs.live))[0].all()
    graphs.wait()
    assert sizes(graphs.settle()) == [len(graphs.live)]


# Files that do not add up


def _damage(how):
    def damage(world):
        path = world.folder / graph_files(world.folder)[0]
        content = bytearray(path.read_bytes())
        how(path, content)

    return damage


def _swap(path, _content):
    other = sorted(path.parent.glob("*.graph"))[1]
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


DAMAGE = {
    "truncated": _damage(lambda path, content: path.write_bytes(content[:-7])),
    "empty": _damage(lambda path, content: path.write_bytes(b"")),
    "header": _damage(lambda path, content: path.write_bytes(b"x" + content[1:])),
    "missing": _damage(lambda path, content: path.unlink()),
    "no voids": _damage(lambda path, content: path.with_suffix(".voids").unlink()),
    "other voids": _damage(lambda path, content: path.with_suffix(".voids").write_bytes(b"\1" * 8)),
    "swapped": _damage(_swap),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_files_that_are_not_those_the_database_names_are_not_searched_and_built_anew(graphs, how, caplog):
    graphs.index.close()
    DAMAGE[how](graphs)
    assert graphs.recall() >= 0.99
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["WARNING"]
    assert graphs.settle().reason == ""
    assert graphs.recall() >= 0.99
    assert graphs.index.notice(graphs.generation)


def _garble_vectors(path, content):
    content[len(content) * 2 // 3] ^= 0x40
    path.write_bytes(content)


def test_damage_inside_a_graph_is_found_by_a_check_and_mended(graphs):
    graphs.index.close()
    _damage(_garble_vectors)(graphs)
    assert len(graphs.index.check(graphs.generation).damage) == 1
    graphs.settle()
    assert graphs.index.check(graphs.generation).problems == ()


def test_damage_that_a_search_meets_is_not_searched_again(graphs):
    graphs.index.close()
    path = graphs.folder / graph_files(graphs.folder)[0]
    content = bytearray(path.read_bytes())
    content[4096 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4096)
    path.write_bytes(content)
    assert graphs.recall() >= 0.99


def test_a_sound_index_has_no_problems(graphs):
    health = graphs.index.check(graphs.generation)
    assert (health.live, health.graphs, health.problems) == (len(graphs.live), 3, ())
    assert health.recall > 0.99


def test_files_of_generations_that_are_gone_are_removed(graphs):
    graphs.backend.generations.drop(graphs.generation.id)
    graphs.index.prune()
    assert not list(graphs.folder.iterdir())


def test_files_of_earlier_releases_are_ignored_and_removed(world):
    world.folder.mkdir()
    for name in ("1.hnsw", "1.json", "1.hnsw.0a.part"):
        (world.folder / name).write_bytes(b"{}")
    world.backend.keep_index_note(1, "0123456789abcdef0123456789abcdef")
    keys = world.put_many("a", 20)
    assert world.find(keys[3]) == [keys[3]]
    world.index.close()
    assert not list(world.folder.iterdir())


def test_an_index_that_cannot_be_named_because_of_a_writer_is_not_used(world, monkeypatch, caplog):
    def refuse(*_):
        raise StoreError("busy")

    monkeypatch.setattr(SqliteBackend, "keep_index_note", refuse)
    world.put_many("a", 100)
    assert world.index.prepare(world.generation).built == 0
    assert "was not built: busy" in caplog.text
    assert not list(world.folder.iterdir())


def test_two_indexes_may_follow_one_backend(world):
    other = LocalIndex(world.backend, world.folder)
    keys = world.put_many("a", 100)
    world.settle()
    assert world.find(keys[3], index=other) == [keys[3]]
    other.close()
