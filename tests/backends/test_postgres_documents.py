"""Documents in PostgreSQL: what it cannot hold, who waits for whom, and filters over jsonb."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from revector import Collection
from revector.backends.conformance.samples import new_generation, put
from revector.backends.conformance.threads import meanwhile
from revector.backends.contracts import content_hash
from revector.backends.filters import parse_where
from revector.errors import InvalidArgumentError, StoreError, UnknownDocumentError
from revector.testing import HashEncoder

pytest.importorskip("psycopg", reason="the extra postgres is not installed")

from revector.backends.opening import open_backend
from revector.backends.postgres.database import driver_of
from revector.backends.postgres.filters import translate
from revector.backends.postgres.values import LONGEST_ID


@pytest.fixture(scope="module")
def kind():
    return "postgres"


@pytest.fixture
def backend(places):
    backend = open_backend(places / "docs")
    yield backend
    backend.close()


@pytest.fixture
def documents(backend):
    return backend.documents


class UnaskedEncoder(HashEncoder):
    def encode(self, texts, *, kind="document"):
        raise AssertionError("something was embedded")


@pytest.mark.parametrize(
    ("id_", "text", "metadata", "said"),
    [
        ("a", "nul \0", None, "the text of 'a' has a NUL .* as character 4"),
        ("a", "text", {"x": "nul \0"}, "the metadata of 'a' has a NUL"),
        ("a" * (LONGEST_ID + 1), "text", None, "2,693 bytes of UTF-8"),
        ("é" * LONGEST_ID, "text", None, "5,384 bytes of UTF-8"),
    ],
)
def test_what_cannot_be_stored_is_told_before_anything_is_embedded(places, id_, text, metadata, said):
    with Collection.open(places / "docs", UnaskedEncoder(8)) as collection:
        with pytest.raises(InvalidArgumentError, match=said):
            collection.upsert(["first", id_], ["other", text], [None, metadata])
        assert len(collection) == 0


def test_an_id_may_be_as_long_as_the_index_takes(documents):
    letters = np.random.default_rng(0).integers(33, 127, LONGEST_ID).astype("u1").tobytes().decode()  # not compressible
    (written,) = documents.upsert([letters], ["text"])
    assert documents.by_id([letters]) == [written]


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "\\", "1e+23", '"1e+23"', "\\1e+23"])
def test_what_only_looks_like_something_else_in_json_is_stored(documents, text):
    metadata = {text: [text, {text: text}, 1e23]}
    assert documents.upsert(["a"], ["text"], [metadata])[0].metadata == metadata


def test_what_a_document_says_already_is_not_written_again(backend, documents):
    def versions():
        with backend.snapshot() as connection:
            return driver_of(connection).execute("SELECT id, ctid::text FROM documents ORDER BY id").fetchall()

    written = documents.upsert(["a", "b"], ["one", "two"], [{"x": 1}, None])
    before = versions()
    assert documents.upsert(["b", "a"], ["two", "one"], [{}, {"x": 1}]) == written[::-1]
    assert documents.upsert(["a", "b"], ["one", "two"]) == written
    assert versions() == before


def test_new_keys_follow_the_order_of_the_call_and_known_documents_take_none(documents):
    (known,) = documents.upsert(["m"], ["one"])
    for text in ("two", "three"):
        documents.upsert(["m"], [text])
    last, changed, first = documents.upsert(["z", "m", "a"], ["x", "four", "y"])
    assert [last.key, changed.key, first.key] == [known.key + 1, known.key, known.key + 2]


# Beside each other


def _put_vectors(backend, documents):
    put(backend, backend.generations.all()[0], documents)


WRITES = {
    "upsert": lambda backend, documents: backend.documents.upsert([d.id for d in documents], ["new"] * len(documents)),
    "delete": lambda backend, documents: backend.documents.delete([d.id for d in documents]),
    "count": lambda backend, documents: backend.documents.record_access([d.key for d in documents]),
    "rehash": lambda backend, documents: backend.documents.rehash(
        [(d.key, d.content_hash, content_hash("new")) for d in documents]
    ),
    "put vectors": _put_vectors,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_documents_are_locked_in_the_order_of_their_ids_whatever_that_of_the_call(backend, write):
    """Whoever waits for "m" has not locked "z", though it is older and was named first: so nobody waits for both."""
    new_generation(backend)
    listed = backend.documents.upsert(["z", "m", "a"], ["1", "2", "3"])
    ended = []

    def work():
        try:
            ended.append(write(backend, listed))
        except UnknownDocumentError:  # there is no "m" any more
            ended.append(None)

    other = threading.Thread(target=work)
    with backend.transaction():
        backend.documents.delete(["m"])
        other.start()
        other.join(0.2)
        assert not ended
        backend.documents.delete(["z"])
    other.join()
    assert len(ended) == 1


def test_new_documents_are_inserted_in_the_order_of_their_ids(backend):
    ended = []
    other = threading.Thread(target=lambda: ended.append(backend.documents.upsert(["z", "m", "a"], ["1", "2", "3"])))
    with backend.transaction():
        backend.documents.upsert(["m"], ["first"])
        other.start()
        other.join(0.2)
        backend.documents.upsert(["z"], ["first"])
    other.join()
    assert [document.text for document in ended[0]] == ["1", "2", "3"]


def test_metadata_that_somebody_inserts_meanwhile_is_kept(backend, documents):
    def first():
        documents.upsert(["a"], ["theirs"], [{"x": 1}])

    (written,) = meanwhile(backend, first, lambda: documents.upsert(["a"], ["ours"]))
    assert (written.text, written.metadata) == ("ours", {"x": 1})


def test_a_document_that_somebody_deletes_meanwhile_comes_back_with_a_new_key(backend, documents):
    (before,) = documents.upsert(["a"], ["text"], [{"x": 1}])
    (after,) = meanwhile(backend, lambda: documents.delete(["a"]), lambda: documents.upsert(["a"], ["text"]))
    assert (after.key > before.key, after.metadata) == (True, {})


def test_a_search_is_counted_while_its_document_is_deleted(backend, documents):
    kept, gone = documents.upsert(["a", "b"], ["one", "two"])
    answer = meanwhile(
        backend, lambda: documents.delete(["b"]), lambda: documents.record_access([kept.key, gone.key, kept.key])
    )
    assert not isinstance(answer, StoreError)
    assert documents.hit_counts() == [(2, 1)]


# Filters


def test_an_index_of_the_users_own_serves_a_filter(backend):
    wheres = [{"tenant": "a"}, {"tenant": {"in": ["a", 1]}}, {"tenant": {">": 2020}}]
    with backend.transaction() as connection:
        driver = driver_of(connection)
        driver.execute("CREATE INDEX by_tenant ON documents ((metadata -> 'tenant'))")
        driver.execute("SET LOCAL enable_seqscan = off")  # which there is nothing to be saved by yet
        for condition, values in (translate(parse_where(where)) for where in wheres):
            plan = driver.execute(f"EXPLAIN SELECT key FROM documents WHERE {condition}", values).fetchall()
            assert "by_tenant" in str(plan)


NAMES = ("x", "größe", "a.b", "0", '"', "%s", "%(x)s", "a\\")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
NEAR = st.sampled_from([0, 1, 1.0, -0.0, True, "1", "true", "", 2**53, 2.0**53, 2**53 + 1, 10**18, 1e18, 1e23, 1e300])
SCALARS = st.none() | NEAR | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**62), 2**62) | TEXTS
FIELDS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(
    lambda names: ".".join(re.sub(r"([.\\])", r"\\\1", name) for name in names)
)
METADATA = st.dictionaries(
    st.sampled_from(NAMES),
    st.recursive(
        SCALARS | st.integers(-(2**80), 2**80),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        max_leaves=3,
    ),
    max_size=4,
)
CONDITIONS = st.one_of(
    SCALARS,
    st.dictionaries(st.sampled_from(["==", "!="]), SCALARS, min_size=1),
    st.dictionaries(
        st.sampled_from(["<", "<=", ">", ">="]),
        SCALARS.filter(lambda value: value is not None and not isinstance(value, bool)),
        min_size=1,
        max_size=2,
    ),
    st.fixed_dictionaries({"in": st.lists(SCALARS, max_size=4)}),
    st.fixed_dictionaries({"exists": st.booleans()}),
)
FILTERS = st.recursive(
    st.dictionaries(FIELDS, CONDITIONS, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"and": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=2)}),
    ),
    max_leaves=3,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(METADATA, min_size=10, max_size=30), st.lists(FILTERS, min_size=10, max_size=20))
def test_metadata_come_back_and_filters_find_what_they_describe(backend, fields, filters):
    ids = [str(place) for place in range(len(fields))]
    written = backend.documents.upsert(ids, ids, fields)
    assert [document.metadata for document in written] == fields
    keys = [document.key for document in written]
    for where in map(parse_where, filters):
        expected = [document.key for document in written if where.matches(document.metadata)]
        assert backend.documents.matching(where, keys).tolist() == expected
