"""The verbs of a migration beside somebody who writes: nobody waits long, and no verb takes memory with the size."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from worlds import World, places_of

DOCUMENTS = 30_000
LONGEST_WAIT_SECONDS = 0.5
MOST_GROWTH_MB = 60

# A writer in a process of its own, which says at the end how long a write took at most.
PROBE = """
import select, sys, time
from revector.backends.opening import open_backend
backend = open_backend(sys.argv[1])
key = backend.documents.next_key(0)
longest = 0.0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    backend.documents.record_access([key])
    longest = max(longest, time.monotonic() - began)
print(longest)
"""


class Probe:
    """Somebody who writes beside us."""

    def __init__(self, path):
        command = [sys.executable, "-c", textwrap.dedent(PROBE), str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdout.readline()

    def longest_wait(self):
        return float(self._process.communicate("\n")[0])


def _memory_mb(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


@pytest.fixture(scope="module")
def path(kind, tmp_path_factory):
    with places_of(kind, tmp_path_factory.mktemp("live")) as places:
        world = World.create(places / "live.db")
        for start in range(0, DOCUMENTS, 5000):
            world.write({f"d{place}": f"text number {place}" for place in range(start, start + 5000)})
        world.close()
        yield places / "live.db"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_writer_waits_long_for_a_verb_and_no_verb_reads_the_collection_into_memory(path):
    world = World.open(path)
    migration = world.plan(retention_seconds=0)
    verbs = {
        "start": migration.start,
        "run": migration.run,
        "verify": migration.verify,
        "cutover": migration.cutover,
        "rollback": migration.rollback,
        "start again": migration.start,
        "run again": migration.run,
        "verify again": migration.verify,
        "cutover again": migration.cutover,
        "retire": lambda: migration.retire(confirm=True),
    }
    waits, growth = {}, {}
    for name, verb in verbs.items():
        probe, before = Probe(path), _memory_mb("VmRSS")
        verb()
        waits[name], growth[name] = probe.longest_wait(), _memory_mb("VmRSS") - before
    world.close()
    del waits["run"], waits["run again"], growth["run"]  # the inner loop of the workers has tests of its own
    assert max(waits.values()) < LONGEST_WAIT_SECONDS, waits
    assert max(growth.values()) < MOST_GROWTH_MB, growth
