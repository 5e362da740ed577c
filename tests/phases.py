"""Collections in every phase of a migration: what is tested in one of them is tested in all."""

from __future__ import annotations

from contextlib import contextmanager

from revector.collection import Collection
from revector.errors import EncoderError
from revector.testing import HashEncoder

OLD = HashEncoder(64, seed=1, name="old")


class Reluctant(HashEncoder):
    """Does not embed every other text as a document, as a service that is out of reach now and then."""

    reluctant = False

    def encode(self, texts, *, kind="document"):
        if self.reluctant and kind == "document" and any(self._refuses(text) for text in texts):
            raise EncoderError("not now")
        return super().encode(texts, kind=kind)

    @staticmethod
    def _refuses(text):
        return sum(text.encode()) % 2 == 0


NOT_MIGRATING = "at rest"
PHASES = (NOT_MIGRATING, "planned", "filling", "half filled", "proving", "serving", "rolled back", "retired")


def make_collection(phase, place):
    """Make an empty collection whose migration stands in a phase."""
    with Collection.open(place, OLD) as docs:
        if phase != NOT_MIGRATING:
            _move(docs, docs.migrate(HashEncoder(96, seed=2, name="new"), retention_seconds=0.0), phase)


@contextmanager
def opened(phase, place):
    """Yield a collection that was made in a phase; while it is half filled, its new model refuses every other text."""
    new = Reluctant(96, seed=2, name="new")
    new.reluctant = phase == "half filled"
    with Collection.open(place, encoders=[OLD, new]) as docs:
        yield docs


def _move(docs, migration, phase):
    """Take a migration to a phase with some documents, which are deleted again."""
    docs.upsert([str(n) for n in range(40)], [f"text number {n}" for n in range(40)])
    for step in _STEPS[phase]:
        step(migration)
    docs.delete(docs.ids())
    expected = {"half filled": "filling", "rolled back": "rolled_back"}.get(phase, phase)
    assert migration.phase.value.lower() == expected


def _verified(migration):
    assert migration.verify(sample=5).passed


def _start(migration):
    migration.start()


def _run(migration):
    migration.run()


def _cut_over(migration):
    migration.cutover()


def _roll_back(migration):
    migration.rollback()


def _retire(migration):
    migration.retire(confirm=True)


_PROVING = (_start, _run)
_SERVING = (*_PROVING, _verified, _cut_over)
_STEPS = {
    "planned": (),
    "filling": (_start,),
    "half filled": (_start,),
    "proving": _PROVING,
    "serving": _SERVING,
    "rolled back": (*_SERVING, _roll_back),
    "retired": (*_SERVING, _retire),
}
