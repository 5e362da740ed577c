"""What each verb says it would do, in each phase, held to a golden text; and that none of them does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.testing import HashEncoder

GOLDEN = Path(__file__).parents[1] / "golden" / "dry_runs.txt"
OLD, NEW, THIRD = (HashEncoder(8 + 4 * seed, seed=seed, name=name) for seed, name in enumerate(("old", "new", "third")))
VERBS = ("start", "run", "verify", "cutover", "rollback", "retire", "pause", "resume", "retry")


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        yield docs


def _foreseen(migration):
    return [str(migration.foresee(verb)) for verb in VERBS]


def _phases(docs):
    """Take a migration from phase to phase; yield it at each of them, with what is to be said there."""
    yield "without a migration", [str(docs.foresee(NEW)), str(docs.foresee(OLD))]
    migration = docs.migrate(NEW)
    yield "planned", [*_foreseen(migration), str(docs.foresee(THIRD))]
    migration.start()
    yield "filling", _foreseen(migration)
    migration.pause()
    yield "paused", [str(migration.foresee(verb)) for verb in ("run", "pause", "resume")]
    migration.resume()
    migration.run()
    yield "proving", _foreseen(migration)
    migration.verify()
    docs.depends("cache", sql="SELECT 1")
    yield "verified", [str(migration.foresee("cutover"))]
    migration.cutover()
    yield "serving", [*_foreseen(migration), str(migration.foresee("retire", confirm=True, force=True))]
    migration.rollback()
    yield "rolled back", _foreseen(migration)
    migration.retire(confirm=True)
    yield "retired", _foreseen(migration)


def test_what_is_said_is_the_golden_text(docs):
    said = [f"== {name}\n" + "\n".join(texts) for name, texts in _phases(docs)]
    assert "\n\n".join(said) + "\n" == GOLDEN.read_text()


def test_nothing_is_done(docs):
    backend = docs._backend

    def everything():
        generations = [(each.id, backend.generations.count(each.id)) for each in backend.generations.all()]
        return docs.events(), generations, backend.ledger.notes.under("")

    for phase in _phases(docs):
        before = everything()
        migration = docs.migration
        if migration is not None:
            _foreseen(migration)
        assert everything() == before, phase


def test_a_verb_that_is_not_one_is_refused(docs):
    migration = docs.migrate(NEW)
    with pytest.raises(InvalidArgumentError, match="verb is 'leap'"):
        migration.foresee("leap")
    with pytest.raises(InvalidArgumentError, match="'sure' is not an option"):
        migration.foresee("retire", sure=True)
