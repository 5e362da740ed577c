"""Forks of a process that is inside a local index: its child opens what it cannot share, and waits for nobody."""

from __future__ import annotations

import os

import pytest

from children import in_child
from index_worlds import BuildsHeldUp, small_graphs
from revector.collection import Collection
from revector.testing import HashEncoder

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
N = 300


@pytest.fixture
def docs(tmp_path):
    with Collection.open(tmp_path / "docs.db", HashEncoder(32)) as docs:
        docs.upsert([f"d{i}" for i in range(N)], [f"text number {i}" for i in range(N)])
        docs.search("text number 1")
        yield docs


@pytest.fixture
def index(docs, monkeypatch):
    """The index of the collection, with a graph."""
    small_graphs(monkeypatch)
    docs._backend.index.prepare(docs._serving.read().serving)
    return docs._backend.index.of(docs._serving.read().serving)


def finds(docs):
    return docs.search("text number 7", k=1)[0].id == "d7"


def test_a_graph_that_nobody_is_inside_is_shared_with_the_child(docs, index):
    graph = index._current.held.segments[0].whole
    assert in_child(lambda: finds(docs) and index._current.held.segments[0].whole is graph)


def test_a_graph_that_another_thread_was_inside_is_opened_again(docs, index):
    graph = index._current.held.segments[0].whole
    with index._in_use():
        assert in_child(lambda: finds(docs) and index._current.held.segments[0].whole is not graph)
    assert index._current.held.segments[0].whole is graph


def test_a_child_of_a_process_that_builds_does_not_wait_for_that_thread(docs, index, monkeypatch):
    builds = BuildsHeldUp(monkeypatch)
    docs.upsert([f"more{i}" for i in range(100)], [f"more text {i}" for i in range(100)])
    finds(docs)
    assert builds.begun.wait(20)
    of_parent = index._thread
    assert in_child(lambda: finds(docs) and index._thread is not of_parent)
    builds.let_go()


LOCKS = {
    "index": lambda index, docs: index._current._refreshing,
    "builds": lambda index, docs: index._starting,
    "uses": lambda index, docs: index._counting,
    "indexes": lambda index, docs: docs._backend.index._guard,
}


@pytest.mark.parametrize("which", LOCKS)
def test_a_lock_that_a_thread_holds_during_the_fork_is_free_in_the_child(docs, index, which):
    def searches_and_writes():
        docs.upsert(["child"], ["written by the child"])
        return finds(docs) and docs.search("written by the child", k=1)[0].id == "child"

    with LOCKS[which](index, docs):
        assert in_child(searches_and_writes)
