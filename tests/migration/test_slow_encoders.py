"""An encoder may be a service that takes minutes to answer: nothing is asked of it inside a transaction."""

from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.opening import open_backend
from revector.collection import Collection
from revector.encoders import at_hand as encoders
from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import SpaceMismatchError
from revector.migration.strategies.background import Background
from revector.testing import HashEncoder
from services import Service, honest, running
from worlds import AskedInsideError, OutsideEncoder

TEXTS = {f"d{i}": f"text number {i} of many" for i in range(80)}
QRELS = {"q1": {"d1": 1}, "q2": {"d2": 1}}
QUERIES = {"q1": "number 1", "q2": "number 2"}


class Patient(OutsideEncoder):
    """Checks, at each question, that somebody else could write at once; it can be loaded from its source."""

    elsewhere = None

    @property
    def source(self):
        self._require_no_transaction()
        return f"patient:{self._space.dimension}"

    def _require_no_transaction(self):
        super()._require_no_transaction()
        if self.elsewhere is not None:
            with self.elsewhere.exclusive(5.0):
                pass


@pytest.fixture
def path(places, monkeypatch):
    monkeypatch.setattr(Patient, "databases", type(OutsideEncoder.databases)())
    monkeypatch.setattr(encoders, "load_encoder", lambda source: Patient(int(source.partition(":")[2])))
    with closing(open_backend(places / "docs.db")) as elsewhere:
        monkeypatch.setattr(Patient, "elsewhere", elsewhere)
        yield places / "docs.db"


def _opened(path, *arguments, **options):
    collection = Collection.open(path, *arguments, **options)
    Patient.databases.add(collection._backend.database)
    return collection


def _use(docs, new):
    """Write, search and ask whatever can be asked in any phase."""
    docs.upsert(["d3", new], [f"another text {new}", f"text {new}"])
    docs.delete([new])
    docs.search(["text number 7", "many"], k=3)
    docs.info(["d1"])
    docs.check()


def test_no_encoder_is_asked_inside_a_transaction_in_a_whole_life(path):
    with _opened(path, Patient(8)) as docs:
        docs.upsert(list(TEXTS), list(TEXTS.values()))
        _use(docs, "idle")
        docs.assess(Patient(12), QUERIES, QRELS, max_documents=20)
        docs.plan(Patient(12))
        docs.pilot(Patient(12), share=1.0)
        docs.migrate(Patient(12), strategy=Background(batch=16))
    for step in ("start", "pause", "resume", "search", "run", "verify", "cutover", "rollback", "start", "run"):
        with _opened(path) as docs:  # each time with models that have to be loaded
            docs.search("number 7") if step == "search" else getattr(docs.migration, step)()
            _use(docs, f"after {step}")
    with _opened(path, Patient(8), encoders=[Patient(12)]) as docs:
        docs.migration.verify()
        docs.migration.cutover()
        _use(docs, "serving")
        docs.migration.retire(confirm=True, force=True)
        _use(docs, "retired")
        assert docs.serving_space.dimension == 12


def test_an_encoder_of_another_space_is_refused_without_a_lock(path):
    _opened(path, Patient(8)).close()
    with pytest.raises(SpaceMismatchError):
        _opened(path, Patient(12))


def test_the_encoder_of_these_tests_notices(path):
    with _opened(path, Patient(8)) as docs, docs._backend.snapshot(), pytest.raises(AskedInsideError):
        docs.search("text")


def test_somebody_else_writes_while_a_service_thinks(places):
    path, asked, written = places / "docs.db", [], []

    def slow(exchange):
        asked.append(exchange)
        elsewhere.documents.record_access([1])
        written.append(exchange)
        honest(exchange)

    with Collection.open(path, HashEncoder(8)) as docs:
        docs.upsert(list(TEXTS)[:9], list(TEXTS.values())[:9])
    with running(Service(otherwise=slow)) as service, closing(open_backend(path)) as elsewhere:
        with Collection.open(path, encoders=[HashEncoder(8)]) as docs:
            docs.migrate(OpenAIEncoder("m", base_url=service.url)).start()
        for verb in ("search", "run", "verify", "cutover"):
            with Collection.open(path, encoders=[HashEncoder(8)]) as docs:
                docs.load_models()
                docs.search("text number 3") if verb == "search" else getattr(docs.migration, verb)()
        with Collection.open(path, OpenAIEncoder("m", base_url=service.url)) as docs:
            docs.upsert(["new"], ["a text that is new"])
    assert len(asked) == len(written) > 5
