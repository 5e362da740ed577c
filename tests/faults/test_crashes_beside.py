"""A crash at every single write of a collection whose points are in a store: of the ledger, and of the store itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from test_crash_points import STEPS, Crash, CrashingWrites, _prepared

from revector.errors import IllegalTransitionError, MigrationError, UnknownDocumentError
from worlds import NEW, OLD, World

_ENCODERS = {encoder.space.fingerprint: encoder for encoder in (OLD, NEW)}
_WRITES = ("create", "drop", "put", "delete", "point", "unalias")


class CrashingStore(CrashingWrites):
    """Raises `Crash` in place of the n-th write of the ledger or the store; a batch of points is cut off half-way."""

    def __init__(self, world, after):
        super().__init__(world.backend.database, after)
        for name in _WRITES:
            setattr(world.backend.store, name, self._cut_off(getattr(world.backend.store, name)))

    def _cut_off(self, write):
        def written(name, *arguments, **options):
            self.left -= 1
            if self.left == 0:
                if write.__name__ in ("put", "delete"):
                    half = (len(arguments[0]) + 1) // 2
                    write(name, *(each[:half] for each in arguments), **options)
                raise Crash
            return write(name, *arguments, **options)

        return written


def _assert_nothing_is_miscalled(world):
    """Whatever the ledger calls by the present text of a document is the vector of that text."""
    world.backend.ledger.notes.keep("looked", "at")  # whoever writes next looks after what was cut off
    for generation in world.backend.generations.all():
        for documents in world.backend.documents.scan():
            by_key = {document.key: document for document in documents}
            keys, vectors = world.backend.generations.vectors(generation.id, list(by_key), current=True)
            if len(keys):
                texts = [by_key[key].text for key in keys.tolist()]
                expected = _ENCODERS[generation.space.fingerprint].encode(texts)
                np.testing.assert_allclose(vectors, expected, atol=1e-6)


def _assert_sound(world):
    """Alias and phase agree, in the store as well; every document has its point in every generation, and no other."""
    backend, record = world.backend, world.backend.ledger.record(1)
    assert world.served == record.serving_generation
    assert backend.store.aliased("docs") == backend.collections[world.served]
    live = {world.served, record.target_generation} & set(backend.collections)
    for generation in live:
        assert backend.generations.count_stale(generation) == 0
        assert backend.ledger.jobs.counts(generation).total == 0
        assert backend.store.count(backend.collections[generation]) == backend.documents.count()
    assert set(backend.store.names()) == set(backend.collections.values())


def _come_back(world, act):
    """Repeat the step, unless nothing is left of it to do, and let the work go on where there is a migration."""
    with suppress(IllegalTransitionError, UnknownDocumentError):
        act(world)
    with suppress(IllegalTransitionError):  # it serves already, or is over
        world.migration(1).start()
    with suppress(MigrationError):  # it is over
        world.migration(1).run()
    for generation in world.backend.generations.all():
        if generation.id != world.served and generation.id != world.backend.ledger.record(1).target_generation:
            world.backend.generations.drop(generation.id)  # left by a step that was cut off: nobody reads it
    while world.backend.reclaim():
        pass


@pytest.fixture(scope="module")
def kind():
    return "memory-beside"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_was_cut_off_at_any_write_leaves_no_vector_that_is_miscalled(
    places, step, monkeypatch, record_property
):
    monkeypatch.setattr("revector.migration.asking.DOCUMENTS_A_SLICE", 2)
    monkeypatch.setattr("revector.migration.asking.REQUESTS_A_SLICE", 2)
    phase, act = STEPS[step]
    for after in range(1, 300):
        _prepared(places / after, phase)
        world = World.open(places / after)
        crashing = CrashingStore(world, after)
        try:
            act(world)
        except Crash:
            world.close()
        else:
            assert after > 2
            crashing.stop()
            world.close()
            record_property("moments", after - 1)
            return
        with closing(World.open(places / after)) as world:
            _assert_nothing_is_miscalled(world)
            _come_back(world, act)
            _assert_nothing_is_miscalled(world)
            _assert_sound(world)
    pytest.fail("the step never ended")


_CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from revector.backends.qdrant.store import QdrantStore
from worlds import World
world, put, left = World.open({place!r}), QdrantStore.put, {after}

def cut_off(self, name, ids, vectors, payloads, **options):
    global left
    left -= 1
    if left == 0:
        half = len(ids) // 2
        put(self, name, ids[:half], vectors[:half], payloads[:half], **options)
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, name, ids, vectors, payloads, **options)

QdrantStore.put = cut_off
{act}
world.close()
"""


@pytest.mark.parametrize("act", ["world.active().run()", "world.write({'d1': 'changed', 'more': 'text'})"])
def test_a_process_that_is_killed_amid_a_batch_leaves_no_vector_that_is_miscalled(tmp_path, act):
    """The local mode of Qdrant keeps what was written of a batch."""
    pytest.importorskip("qdrant_client", reason="pip install 'revector[qdrant]'")
    for after in range(1, 50):
        folder = tmp_path / str(after)
        place = f"qdrant://{folder}?ledger={folder}.db#docs"
        world = World.create(place, 6)
        world.started()
        world.close()
        code = _CHILD.format(tests=str(Path(__file__).parents[1]), place=place, after=after, act=act)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        with closing(World.open(place)) as world:
            _assert_nothing_is_miscalled(world)
            world.active().run()
            _assert_nothing_is_miscalled(world)
            _assert_sound(world)
        if done.returncode == 0:
            assert after > 1
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
    pytest.fail("it never ended")
