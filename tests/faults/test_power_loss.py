"""The power goes at an arbitrary moment: what the disk holds then opens, is sound, and goes on to the same end."""

from __future__ import annotations

import random
import threading

import pytest
from test_crash_points import CrashingWrites, _assert_sound

from revector.ledger.state import Phase
from revector.migration.strategies import Background
from worlds import NEW, World

DOCUMENTS, COPIES = 12, 60


class PowerLosses(CrashingWrites):
    """Copies the files of a database between its writes and commits, a random few of them, as a power loss leaves them.

    Every commit is on the disk when it returns (``synchronous = FULL``). The disk may hold any part of what was written
    since the write or commit before, and a torn end. The shared memory is gone. `written` counts the writes that had
    returned. Threads take turns, since more than one of them commits while a migration runs.
    """

    def __init__(self, database, path, folder, rng):
        super().__init__(database, after=0)
        self._path, self._folder, self._rng = path, folder, rng
        self._log = path.with_name(path.name + "-wal")
        self._database = path.read_bytes()
        self._turn = threading.Lock()
        self.copies = []
        self.torn = 0
        self.written = 0
        self._before = self._log.stat().st_size, self.written

    def _count(self):
        with self._turn:
            size = self._log.stat().st_size
            if len(self.copies) < COPIES and self._rng.random() < 0.2:
                self._copy(*self._before, size)
            self._before = size, self.written

    def _copy(self, least, written, most):
        place = self._folder / f"{len(self.copies)}" / self._path.name
        place.parent.mkdir()
        place.write_bytes(self._database)
        held = self._rng.randint(least, most)
        end = self._rng.randbytes(self._rng.choice([0, 7, 24, 5_000]))
        place.with_name(self._log.name).write_bytes(self._log.read_bytes()[:held] + end)
        self.torn += least < held < most
        self.copies.append((place, written))

    def assert_no_checkpoint(self):
        """Assert that all was in the log throughout: else a copy would not be of one moment."""
        assert self._path.read_bytes() == self._database


def _to_the_end(world):
    """Take the migration to its end from wherever it stands; where there is none yet, make it."""
    migration = world.active()
    if migration is None and world.vectors(world.served)["d0"].shape == (NEW.space.dimension,):
        return  # it had ended
    migration = migration or world.plan(strategy=Background(batch=3), retention_seconds=0)
    while (phase := migration.phase) is not Phase.RETIRED:
        if phase in (Phase.PLANNED, Phase.ROLLED_BACK):
            migration.start()
        elif phase is Phase.FILLING:
            migration.run()
        elif phase is Phase.PROVING:
            migration.run()
            migration.verify()
            migration.cutover()
        else:
            migration.run()
            migration.retire(confirm=True)


BEFORE = {f"d{place}": f"text number {place}" for place in range(DOCUMENTS)}
WRITTEN = {"d1": "changed", "new": "written while documents move"}
LATER = {"d2": "changed", "late": "written after the cut-over"}
TEXTS = (BEFORE, BEFORE | WRITTEN, BEFORE | WRITTEN | LATER)
"""What the collection holds after each of the writes."""


def _journey(world, losses):
    """A whole migration, there and back and there again, with writes on the way."""
    migration = world.plan(strategy=Background(batch=3), retention_seconds=0)
    migration.start()
    world.write(WRITTEN, encoders=[])
    losses.written += 1
    migration.run()
    migration.verify()
    migration.cutover()
    world.write(LATER)
    losses.written += 1
    migration.rollback()
    migration.start()
    _to_the_end(world)


def _texts(world):
    return {document.id: document.text for batch in world.backend.documents.scan() for document in batch}


@pytest.fixture(scope="module")
def kind():
    return "sqlite"


@pytest.mark.parametrize("seed", [0, 1])
def test_a_power_loss_at_any_moment_loses_no_commit_and_the_migration_ends_as_without(tmp_path, seed, record_property):
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "docs.db"
    world = World.create(path, DOCUMENTS)
    losses = PowerLosses(world.backend.database, path, tmp_path, random.Random(seed))
    _journey(world, losses)
    losses.assert_no_checkpoint()
    world.close()
    assert len(losses.copies) == COPIES
    assert losses.torn > 0  # commits of which a part was on the disk
    record_property("moments", COPIES)
    for copy, written in losses.copies:
        lost = World.open(copy)
        lost.backend.ledger.release_all()  # whoever held leases ended with the power; here, it is this process
        assert _texts(lost) in TEXTS[written : written + 2]
        if lost.active() is not None:
            _assert_sound(lost)
        _to_the_end(lost)
        lost.assert_exact(lost.served, NEW)
        assert [generation.id for generation in lost.backend.generations.all()] == [lost.served]
        lost.close()
