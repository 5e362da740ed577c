"""Workers killed at every write of Chroma and LanceDB: whatever is left, another one completes."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from test_faults import _ACTS, _CHILD, complete

from chroma_server import ChromaServer, chroma_command
from revector.migration.strategies import Background
from worlds import NEW, OLD, World

_serial = itertools.count()


@pytest.fixture(scope="module", params=["chroma", "lancedb"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def url(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp(kind)
    if kind == "lancedb":
        pytest.importorskip("lancedb", reason="pip install 'revector[lancedb]'")
        yield f"lancedb://{folder}/tables"
        return
    if chroma_command() is None:
        pytest.skip("there is no program 'chroma'")
    server = ChromaServer(folder)
    yield server.url
    server.kill()


@pytest.mark.parametrize("act", ["run", "cutover", "write", "delete"])
def test_a_worker_that_is_killed_at_any_write_leaves_what_another_one_completes(url, tmp_path, act):
    prepare, code = _ACTS[act]
    for after in range(1, 50):
        name = f"coll{next(_serial)}"
        place = f"{url}?ledger={tmp_path}/{name}.db#{name}"
        with closing(World.create(place, 6)) as world:
            prepare(world, strategy=Background(batch=3), retention_seconds=0)
        child = _CHILD.format(tests=str(Path(__file__).parents[1]), after=after, place=place, act=code)
        done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        with closing(World.open(place)) as world:
            complete(world, code)
            assert_sound(world)
        if done.returncode == 0:
            assert after > 1 or act == "cutover"  # without an alias a cut-over writes the ledger alone
            return
    pytest.fail("it never ended")


def assert_sound(world):
    """Every generation that is read has one vector of the present text of each document."""
    backend, record = world.backend, world.backend.ledger.record(1)
    assert world.served == record.serving_generation
    encoders = {encoder.space.fingerprint: encoder for encoder in (OLD, NEW)}
    texts = {d.id: d.text for batch in backend.documents.scan() for d in batch}
    for generation in backend.generations.all():
        if generation.id in (world.served, record.target_generation):
            found = world.vectors(generation.id)
            assert found.keys() == texts.keys()
            expected = encoders[generation.space.fingerprint].encode(list(texts.values()))
            np.testing.assert_allclose(np.array([found[id_] for id_ in texts]), expected, atol=1e-6)
            assert backend.generations.count_stale(generation.id) == 0
            assert backend.store.count(backend.collections[generation.id]) == len(texts)
