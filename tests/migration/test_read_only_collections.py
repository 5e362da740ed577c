"""Collections that are only read: all that reads works, whatever writes is refused before anything is embedded."""

from __future__ import annotations

import pytest

from revector.backends.opening import kind_of
from revector.collection import Collection
from revector.errors import InvalidArgumentError, ReadOnlyError
from revector.migration.filling.worker import Worker
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder

TEXTS = {f"d{i}": f"text number {i}" for i in range(12)}


class Counting(HashEncoder):
    """Counts the texts it is asked for, by kind."""

    def __init__(self, dimension):
        super().__init__(dimension)
        self.sent = {"document": 0, "query": 0}

    def encode(self, texts, *, kind="document"):
        self.sent[kind] += len(texts)
        return super().encode(texts, kind=kind)


def _make(path, phase="filling"):
    with Collection.open(path, HashEncoder(8)) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        docs.check()
        migration = docs.migrate(HashEncoder(12), strategy=Background(batch=4))
        verbs = {"planned": [], "filling": ["start"], "proving": ["start", "run"]}
        verbs["serving"] = [*verbs["proving"], "verify", "cutover"]
        for verb in verbs[phase]:
            getattr(migration, verb)()


def _content(path):
    """What there is to be changed: documents, how often they were found, vectors, alias, phase, events, jobs."""
    with Collection.open(path, encoders=[HashEncoder(8), HashEncoder(12)], read_only=True) as docs:
        backend = docs._backend
        generations = [generation.id for generation in backend.generations.all()]
        return (
            backend.documents.facts(),
            [(id_, backend.generations.count(id_), backend.ledger.jobs.counts(id_)) for id_ in generations],
            backend.generations.alias("live"),
            backend.ledger.record(1),
            backend.ledger.events(1),
        )


@pytest.fixture
def path(places):
    _make(places / "docs.db")
    return places / "docs.db"


@pytest.fixture
def encoders():
    return [Counting(8), Counting(12)]


@pytest.fixture
def docs(path, encoders):
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        yield docs


def test_whatever_reads_works(docs):
    hit = docs.search("text number 3", k=1)[0]
    assert (hit.id, len(docs), docs.documents(["d3"])[0].text) == ("d3", 12, "text number 3")
    assert (docs.check().problems, docs.info(["d3"])[0].dimension, docs.read_only) == ((), 8, True)
    assert (docs.migration.phase, docs.migration.failures()) == ("filling", [])
    assert docs.migration.status().target_jobs.pending == 12


def test_reading_changes_nothing(path, encoders):
    before = _content(path)
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        for _ in range(70):  # more searches than it takes to write the counts of accesses
            docs.search("text number 3")
        docs.check()
    assert _content(path) == before


WRITES = {
    "upsert": lambda docs: docs.upsert(["new"], ["a new text"]),
    "delete": lambda docs: docs.delete(["d1"]),
    "migrate": lambda docs: docs.migrate(HashEncoder(16)),
    "start": lambda docs: docs.migration.start(),
    "run": lambda docs: docs.migration.run(),
    "verify": lambda docs: docs.migration.verify(),
    "cutover": lambda docs: docs.migration.cutover(),
    "rollback": lambda docs: docs.migration.rollback(),
    "retire": lambda docs: docs.migration.retire(confirm=True, force=True),
    "pause": lambda docs: docs.migration.pause(),
    "resume": lambda docs: docs.migration.resume(),
    "retry_failed": lambda docs: docs.migration.retry_failed(),
    "worker": lambda docs: Worker(docs._backend, HashEncoder(8), 1).run(),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("phase", ["planned", "filling", "proving", "serving"])
def test_a_write_is_refused_before_anything_is_embedded(places, encoders, phase, write):
    path = places / "docs.db"
    _make(path, phase)
    before = _content(path)
    with Collection.open(path, encoders=encoders, read_only=True) as docs:
        with pytest.raises(ReadOnlyError, match="open it without") as caught:
            WRITES[write](docs)
        assert caught.value.path == docs._backend.place
    assert _content(path) == before
    assert all(encoder.sent == {"document": 0, "query": 0} for encoder in encoders)


def test_a_service_is_not_asked_for_its_space_before_a_refused_migration(docs):
    class Service(HashEncoder):
        space = property(lambda self: pytest.fail("asked"), lambda self, space: None)

    with pytest.raises(ReadOnlyError):
        docs.migrate(Service())


@pytest.mark.parametrize("encoder", [None, HashEncoder(8)], ids=["without an encoder", "with an encoder"])
def test_nothing_is_created_to_be_read(places, encoder):
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        Collection.open(places / "none.db", encoder, read_only=True)
    assert not kind_of(places / "none.db").is_there(places / "none.db")


@pytest.mark.parametrize("wrong", [None, 0, "yes"])
def test_read_only_is_yes_or_no(path, wrong):
    with pytest.raises(InvalidArgumentError, match="read_only"):
        Collection.open(path, read_only=wrong)


def test_a_reader_sees_what_a_writer_commits(path, docs):
    with Collection.open(path, HashEncoder(8)) as writer:
        writer.upsert(["new"], ["something else"])
        assert docs.search("something else", k=1)[0].id == "new"
