"""Somebody in another process holds the write lock: whoever only reads takes no longer for that."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from revector import Collection
from revector.testing import HashEncoder

MODEL, NEW = HashEncoder(16, seed=1), HashEncoder(24, seed=2)
HELD_SECONDS = 5.0

HOLD = f"""
import sys, time
from revector.backends.opening import open_backend
with open_backend(sys.argv[1]).exclusive():
    print("held", flush=True)
    time.sleep({HELD_SECONDS})
"""


@contextmanager
def lock_held(path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    try:
        yield
        assert holder.poll() is None, "the lock was given back before the end"
    finally:
        holder.kill()
        holder.communicate()


@pytest.fixture(params=["idle", "filling"])
def path(request, places):
    path = places / "held.db"
    with Collection.open(path, MODEL) as docs:
        docs.upsert([f"d{i}" for i in range(200)], [f"text number {i}" for i in range(200)])
        if request.param == "filling":
            docs.migrate(NEW).start()
    return path


def test_opening_searching_and_closing_do_not_wait_for_a_writer(path):
    with lock_held(path):
        began = time.monotonic()
        with Collection.open(path, MODEL, encoders=[NEW]) as docs:
            opened = time.monotonic() - began
            found = [docs.search(f"text number {i}", 5)[0].id for i in range(100)]
            searched = time.monotonic() - began - opened
        closed = time.monotonic() - began - opened - searched
    assert found == [f"d{i}" for i in range(100)]
    assert max(opened, searched, closed) < HELD_SECONDS / 2


@pytest.mark.parametrize("encoder", [None, MODEL], ids=["without an encoder", "with an encoder"])
def test_asking_what_is_there_does_not_wait_for_a_writer(path, encoder):
    with lock_held(path):
        began = time.monotonic()
        with Collection.open(path, encoder, encoders=[MODEL]) as docs:
            found = docs.documents(["d1"]), docs.check()
            if docs.migration:
                docs.migration.status()
        assert time.monotonic() - began < HELD_SECONDS / 2
    assert all(found)
