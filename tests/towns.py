"""A collection in PostgreSQL that moves to the model of a service, and ways to kill those who move it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress

from revector import Collection
from revector.encoders.service.openai import OpenAIEncoder
from revector.ledger.owners import is_dead
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder
from services import DIMENSION, MODEL, honest

DOCUMENTS, BATCH, LEASE_SECONDS = 1200, 8, 15.0
OLD = HashEncoder(8, seed=1, name="old")
PATIENCE_SECONDS = 120.0
HELD = "SELECT document_key, lease_owner FROM jobs WHERE lease_owner IS NOT NULL"


def awaited(question, seconds=PATIENCE_SECONDS):
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
    return found


def slowly(exchange):
    """Embed after a moment that leaves time for mischief."""
    time.sleep(0.1)
    honest(exchange)


class Town:
    """A collection that moves to the model of a service, which notes what it embeds."""

    def __init__(self, place, service):
        self.place, self.service = str(place), service
        self.docs = Collection.open(self.place, OLD)
        self.texts = {f"d{number}": f"text number {number}" for number in range(DOCUMENTS)}
        self.docs.upsert(list(self.texts), list(self.texts.values()))
        self.backend = self.docs._backend
        model = OpenAIEncoder("free", base_url=service.url, known_dimension=DIMENSION, max_texts_per_request=BATCH)
        self.migration = self.docs.migrate(model, strategy=Background(batch=BATCH, lease_seconds=LEASE_SECONDS))
        self.migration.start()
        self.generation = self.migration.record.target_generation
        self.embedded.clear()

    @property
    def embedded(self):
        """How often each text was embedded; the canary texts are not counted."""
        ours = set(self.texts.values())
        batches = list(self.service.exchanges)
        return Counter(text for exchange in batches for text in exchange.texts if text in ours)

    @property
    def landed(self):
        return self.backend.generations.count(self.generation)

    def held(self):
        """Return the owner of each document that is under lease, by its text."""
        with self.backend.snapshot() as connection:
            owners = dict(connection.connection.driver_connection.execute(HELD).fetchall())
        return {d.text: owners[d.key] for d in self.backend.documents.by_key(list(owners))}

    def workers(self):
        """Return the process ids of those who hold something, by owner."""
        return {owner: int(owner.split(":")[1]) for owner in set(self.held().values())}

    def kill_a_worker(self, choose=min):
        """Kill one that holds something; return the texts that it had in hand."""
        owner, process = choose(awaited(self.workers).items())
        os.kill(process, signal.SIGKILL)
        awaited(lambda: is_dead(owner))
        return {text for text, holder in self.held().items() if holder == owner}

    def of_the_dead(self):
        """Return the texts that are in the hands of processes that have ended."""
        return {text for text, owner in self.held().items() if is_dead(owner)}

    def write(self, names):
        """Give documents another text."""
        self.texts |= {name: f"{self.texts[name]} again" for name in names}
        self.docs.upsert(list(names), [self.texts[name] for name in names])

    def assert_moved(self):
        """Every document has one vector of its present text, and is ready for the cut-over."""
        assert str(self.migration.phase) == "proving"
        with self.backend.snapshot():
            assert self.backend.generations.count_stale(self.generation) == 0
            assert self.landed == len(self.texts) == len(self.docs)
            keys = {d.key: d.text for batch in self.backend.documents.scan() for d in batch}
            found = [row for part in self.backend.generations.scan(self.generation) for row in zip(*part, strict=True)]
        assert sorted(keys[int(key)] for key, _ in found) == sorted(self.texts.values())
        expected = MODEL.encode([keys[int(key)] for key, _ in found])
        assert max(abs(vector - row).max() for (_, vector), row in zip(found, expected, strict=True)) < 1e-6


@contextmanager
def meanwhile(mischief):
    """Do something in a thread beside the block; what it raised is raised at the end."""
    failed = []

    def do():
        try:
            mischief()
        except BaseException as error:
            traceback.print_exc()  # the block may wait for ever now
            failed.append(error)

    thread = threading.Thread(target=do)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def driver(place, address, *options):
    """Run the command in a process of its own; what is left of it at the end is killed."""
    command = [sys.executable, "-m", "revector", "run", place, "--ray", address, "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def outcome(process):
    """Wait for the command; return what it has said."""
    said, complained = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, complained
    return json.loads(said)
