"""Forks of a process that has a collection open: whatever its threads do, both sides search and write on."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import revector
from children import elsewhere, in_child
from revector import _forks
from revector.collection import Collection
from revector.errors import StoreError
from revector.testing import HashEncoder

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
N = 300


@pytest.fixture
def path(places):
    return places / "docs.db"


@pytest.fixture
def docs(path):
    with Collection.open(path, HashEncoder(32)) as docs:
        docs.upsert([f"d{i}" for i in range(N)], [f"text number {i}" for i in range(N)])
        docs.search("text number 1")
        yield docs


def finds(docs, i=7):
    return docs.search(f"text number {i}", k=1)[0].id == f"d{i}"


def writes(docs, name):
    docs.upsert([name], [f"written by {name}"])
    return docs.search(f"written by {name}", k=1)[0].id == name


def searches_and_writes(docs, name):
    return finds(docs) and writes(docs, name)


@contextmanager
def busy(*works):
    """Threads that do something over and over."""
    done, failures = threading.Event(), []

    def repeat(work):
        turn = 0
        while not done.is_set():
            turn += 1
            try:
                work(turn)
            except BaseException as error:
                failures.append(error)
                return

    threads = [elsewhere(lambda work=work: repeat(work)) for work in works]
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_a_child_searches_and_writes(docs):
    assert in_child(lambda: searches_and_writes(docs, "child"))
    assert searches_and_writes(docs, "parent")
    assert len(docs) == N + 2
    assert docs.check().problems == ()


def test_a_child_of_a_process_that_writes_and_searches_does_both(docs, path):
    def write(turn):
        docs.upsert([f"w{turn % 50}"], [f"turn {turn}"])

    def reopens_and_writes():
        with Collection.open(path, HashEncoder(32)) as again:
            return searches_and_writes(again, "again")

    with busy(write, lambda turn: docs.search(f"text number {turn % N}"), lambda turn: docs.search("w")):
        for turn in range(8):
            assert in_child(lambda turn=turn: searches_and_writes(docs, f"child{turn}"))
            assert in_child(reopens_and_writes)
    assert docs.check().problems == ()
    assert finds(docs)


def test_a_fork_waits_for_the_transaction_of_another_thread(docs, path):
    inside = threading.Event()

    def write():
        with docs._backend.transaction():
            inside.set()
            time.sleep(0.3)

    thread = elsewhere(write)
    inside.wait(20)
    assert in_child(lambda: writes(docs, "child"))
    thread.join(20)
    assert writes(docs, "parent")


def test_a_collection_opened_before_workers_are_forked_serves_in_each(docs):
    """As gunicorn does with preload."""

    def worker(name):
        return all(searches_and_writes(docs, f"{name}-{turn}") for turn in range(5))

    answers = []
    forks = [elsewhere(lambda n=n: answers.append(in_child(lambda: worker(f"worker{n}"), 60))) for n in range(4)]
    for fork in forks:
        fork.join(60)
    assert answers == [True] * 4
    assert len(docs) == N + 20
    assert docs.check().problems == ()


_inherited: list[Collection] = []


def _work_of_a_pool(turn):
    return searches_and_writes(_inherited[0], f"job{turn}")


def test_a_pool_of_forked_processes_uses_the_collection_of_its_parent(docs):
    _inherited[:] = [docs]
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map_async(_work_of_a_pool, range(12)).get(60) == [True] * 12
    assert len(docs) == N + 12


def test_a_child_of_a_child_searches_and_writes(docs):
    assert in_child(lambda: writes(docs, "child") and in_child(lambda: searches_and_writes(docs, "grandchild")))
    assert len(docs) == N + 2


def test_what_a_child_writes_after_its_parent_closed_is_kept(path):
    docs = Collection.open(path, HashEncoder(32))
    docs.upsert(["first"], ["the first text"])
    reading, writing = os.pipe()

    def child():
        started = writes(docs, "before")
        os.read(reading, 1)
        ended = writes(docs, "after")
        docs.close()
        return started and ended

    answers = []
    fork = elsewhere(lambda: answers.append(in_child(child)))
    while len(docs) < 2 and fork.is_alive():
        fork.join(0.01)
    docs.close()
    os.write(writing, b".")
    fork.join(30)
    with Collection.open(path, HashEncoder(32)) as again:
        assert (answers, sorted(again.ids())) == ([True], ["after", "before", "first"])


def test_a_child_made_inside_a_transaction_is_told_at_once_and_spoils_nothing(docs, path):
    def is_told():
        began = time.monotonic()
        for use in (lambda: len(docs), lambda: Collection.open(path, HashEncoder(32))):
            with pytest.raises(StoreError, match="forked inside a transaction"):
                use()
        return time.monotonic() - began < 5

    with docs._backend.transaction():
        docs.upsert(["x"], ["in the transaction"])
        assert in_child(is_told)
    assert finds(docs)
    assert len(docs) == N + 1


def test_a_child_that_leaves_its_parents_transaction_does_not_end_it(docs):
    with docs._backend.transaction():
        docs.upsert(["x"], ["in the transaction"])
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            docs.upsert(["y"], ["after the fork"])
    if os.getpid() != parent:
        os._exit(0)
    assert len(docs) == N + 2
    assert docs.check().problems == ()


def test_a_child_made_after_all_patience_is_told(docs, monkeypatch):
    monkeypatch.setattr(_forks, "PATIENCE_SECONDS", 0.1)
    inside, release = threading.Event(), threading.Event()

    def write():
        with docs._backend.transaction():
            inside.set()
            release.wait(30)

    def is_told():
        with pytest.raises(StoreError, match="forked inside a transaction"):
            docs.search("text number 7")
        return True

    thread = elsewhere(write)
    inside.wait(20)
    assert in_child(is_told)
    release.set()
    thread.join(20)
    assert writes(docs, "parent")


LOCKS = {
    "accesses": lambda docs: docs._searcher.behind._changed,
    "encoders": lambda docs: docs._encoders._lock,
}


@pytest.mark.parametrize("which", LOCKS)
def test_a_lock_that_a_thread_holds_during_the_fork_is_free_in_the_child(docs, which):
    with LOCKS[which](docs):
        assert in_child(lambda: searches_and_writes(docs, "child"))


def test_searches_of_the_parent_are_counted_once(docs):
    def count():
        docs._searcher.behind.flush()
        return sum(fact.hits for fact in docs._backend.documents.facts())

    before = count()
    docs.search("text number 7", k=1)

    def child():
        docs._searcher.behind.flush()
        return True

    assert in_child(child)
    assert count() == before + 1


def test_every_module_that_makes_a_lock_renews_it_in_a_child():
    source = Path(revector.__file__).parent
    makes = re.compile(r"threading\.(R?Lock|Condition|(Bounded)?Semaphore|Barrier)\(")
    forgotten = [
        path.name
        for path in source.rglob("*.py")
        if makes.search(text := path.read_text(encoding="utf-8")) and "renew_in_child(" not in text
    ]
    assert forgotten == []
