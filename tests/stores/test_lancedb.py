"""LanceDB, in process."""

from __future__ import annotations

import datetime
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from revector.backends.conformance import BackendConformance, VectorStoreConformance
from revector.backends.lancedb import LanceKind
from revector.errors import InvalidArgumentError, StoreError

lancedb = pytest.importorskip("lancedb", reason="pip install 'revector[lancedb]'")


@pytest.fixture
def url(tmp_path):
    return f"lancedb://{tmp_path}/tables"


@pytest.fixture
def store(url):
    with closing(LanceKind.connect(url)) as store:
        yield store


@pytest.fixture
def users(tmp_path, store):
    """A table of an application, with columns of its own."""
    import pyarrow as pa

    rows = {
        "doc": pa.array([2, 10, 7]),
        "body": pa.array(["two", "ten", None]),
        "at": pa.array([datetime.datetime(2026, 1, 2, 3, 4)] * 3),
        "raw": pa.array([b"\x00\xff"] * 3),
        "tags": pa.array([["a"], [], ["b", "c"]]),
        "embedding": pa.array(np.eye(3, 4, dtype=np.float32).tolist(), pa.list_(pa.float32(), 4)),
        "title_vector": pa.array(np.ones((3, 2), np.float32).tolist(), pa.list_(pa.float32(), 2)),
    }
    return lancedb.connect(tmp_path / "tables").create_table("users", pa.table(rows))


class TestLanceStore(VectorStoreConformance):
    """What every store of vectors promises."""


class TestLanceBackend(BackendConformance):
    """What every backend promises, of tables with a ledger in a file."""

    @pytest.fixture
    def backend(self, url, tmp_path):
        with closing(LanceKind.open(f"{url}?ledger={tmp_path}/docs.db#docs")) as backend:
            yield backend


def test_a_users_table_is_copied_with_all_its_columns(users, url):
    with closing(LanceKind.connect(f"{url}?id=doc&vector=embedding")) as store:
        store.create("new", 8, "cosine", like="users")
        pages = list(store.scan("users", batch=2, vectors=True))
        for page in pages:
            store.put("new", page.ids, np.ones((len(page.ids), 8), np.float32), page.payloads, like="users")
        assert [id_ for page in pages for id_ in page.ids] == ["2", "7", "10"]
        assert store.describe("new")["others"] == ["title_vector"]
    copied = lancedb.connect(Path(users.uri).parent).open_table("new").to_arrow().sort_by("doc")
    source = users.to_arrow().sort_by("doc")
    for name in ("doc", "body", "at", "raw", "tags", "title_vector"):
        assert copied[name].to_pylist() == source[name].to_pylist()
        assert copied.schema.field(name) == source.schema.field(name)


def test_a_table_whose_columns_are_not_clear_asks_for_them(users, store):
    with pytest.raises(StoreError, match=r"\?id=COLUMN"):
        store.describe("users")


def test_an_index_is_made_again_with_its_parameters(store):
    from lancedb.index import BTree, HnswSq

    store.create("old", 8, "cosine")
    rows = np.random.default_rng(0).standard_normal((600, 8), dtype=np.float32)
    ids = [str(place) for place in range(600)]
    store.put("old", ids, rows, [{}] * 600)
    table = store._named("old")
    table.create_index("vector", config=HnswSq(distance_type="cosine", m=12, ef_construction=90))
    table.create_index("id", config=BTree())
    store.create("new", 16, "cosine", like="old")
    store.put("new", ids, np.hstack([rows, rows]), [{}] * 600)
    store.settle("new")
    assert store.shape("new") == store.shape("old")
    assert store.shape("new").options["m"] == "12"
    found = [hits[0] for hits, _ in store.search("new", np.hstack([rows, rows])[:50], 1)]
    assert np.mean([id_ == own for id_, own in zip(found, ids, strict=False)]) > 0.95


def test_vectors_of_another_metric_are_refused(store):
    from lancedb.index import HnswSq

    rows = lancedb.connect(store.url.removeprefix("lancedb://")).create_table(
        "l2", [{"id": str(n), "vector": [float(n), 1.0]} for n in range(300)]
    )
    rows.create_index("vector", config=HnswSq(distance_type="l2"))
    with pytest.raises(StoreError, match="l2, expected cosine or dot"):
        store.describe("l2")


@pytest.mark.parametrize("wrong", ["lancedb://", "lancedb:///", "lancedb://me:pw@/folder"])
def test_a_url_without_a_folder_is_refused_without_its_password(wrong):
    with pytest.raises(InvalidArgumentError) as refused:
        LanceKind.connect(wrong)
    assert "pw" not in str(refused.value)


def test_a_table_does_not_get_the_name_of_the_one_that_was_adopted(url):
    with pytest.raises(InvalidArgumentError, match="cannot rename a table"):
        LanceKind.release(
            f"{url}#docs", allow_missing=False, in_place=True, fire_triggers=False, dry_run=True, tell=str
        )
