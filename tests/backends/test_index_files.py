"""Index files: taken in, moved to another model, and replaced by a file of the same kind."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest

from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.index_files import IndexFileKind
from revector.backends.opening import kind_of
from revector.collection import Collection
from revector.errors import GateRefusedError, InvalidArgumentError, NoCollectionError, StoreError
from revector.index import HnswIndex
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
N = 300
TEXTS = [f"text number {place}" for place in range(N)]
LABELS = np.arange(N) * 10 + 7


def write_hnswlib(path, rows):
    HnswIndex.build(rows, LABELS, m=9, ef_construction=70).save(path)


def read_hnswlib(path):
    index = HnswIndex.load(path, NEW.space.dimension)
    assert (index.m, index.ef_construction) == (9, 70)
    return index.ids(), index.get_vectors(index.ids())


def write_faiss(path, rows, *, mapped=True):
    faiss = pytest.importorskip("faiss")
    graph = faiss.IndexHNSWFlat(rows.shape[1], 6, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 55
    index = faiss.IndexIDMap2(graph) if mapped else graph
    index.add_with_ids(rows, LABELS) if mapped else index.add(rows)
    faiss.write_index(index, str(path))


def read_faiss(path):
    import faiss

    index = faiss.read_index(str(path))
    graph = faiss.downcast_index(index.index)
    assert (type(index).__name__, graph.hnsw.efConstruction, graph.hnsw.nb_neighbors(1)) == ("IndexIDMap2", 55, 6)
    return faiss.vector_to_array(index.id_map), graph.reconstruct_n(0, graph.ntotal)


def write_usearch(path, rows):
    usearch = pytest.importorskip("usearch.index")
    index = usearch.Index(ndim=rows.shape[1], metric="cos", dtype="f32", connectivity=24)
    index.add(LABELS, rows)
    index.save(str(path))


def read_usearch(path):
    from usearch.index import Index

    index = Index.restore(str(path))
    assert index.connectivity == 24
    keys = np.array(list(index.keys), np.int64)
    return keys, np.array(index.get(keys))


KINDS = {
    "hnswlib": (write_hnswlib, read_hnswlib),
    "faiss": (write_faiss, read_faiss),
    "usearch": (write_usearch, read_usearch),
}


@pytest.fixture
def documents(tmp_path):
    rows = [
        {"doc": f"d{place}", "title": TEXTS[place], "body": None, "at": int(label), "year": 2020}
        for place, label in enumerate(LABELS)
    ]
    (tmp_path / "documents.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path / "documents.jsonl"


def adopted(url, documents, label="at", **options):
    kind = kind_of(url)
    table = TableToAdopt(str(documents), "doc", ("title,body",), label)
    options = {"dry_run": False, "accept_unidentified": False, "tell": str, **options}
    return kind.adopt(url, table, [OLD], **options)


def released(url, **options):
    options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False, **options}
    return kind_of(url).release(url, tell=str, **options)


def migrate(url, *, adding=True):
    with Collection.open(url, encoders=[OLD, NEW]) as docs:
        if adding:
            docs.upsert(["added"], ["a text that was added"])
        docs.delete(["d3"])
        migration = docs.migrate(NEW)
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
        migration.retire(confirm=True, force=True)


@pytest.mark.parametrize("scheme", KINDS)
def test_a_file_is_replaced_by_one_of_another_model_with_its_parameters(scheme, tmp_path, documents):
    write, read = KINDS[scheme]
    write(tmp_path / "docs.index", OLD.encode(TEXTS))
    url = f"{scheme}://{tmp_path}/docs.index?ledger={tmp_path}/docs.db"
    made = adopted(url, documents)
    assert made.contents == {"vectors": N}
    assert made.identification["best"]["model"] == "old"
    migrate(url)
    before = (tmp_path / "docs.index").read_bytes()
    assert released(url, dry_run=True).vectors == N
    assert (tmp_path / "docs.index").read_bytes() == before
    released(url)
    labels, rows = read(tmp_path / "docs.index")
    named = [json.loads(line) for line in (tmp_path / "docs.index.ids.jsonl").read_text().splitlines()]
    ids = {row["label"]: row["id"] for row in named}
    assert set(ids) == set(labels.tolist()) == {*LABELS.tolist(), LABELS[-1] + 1} - {LABELS[3]}
    texts = {"added": "a text that was added", **{f"d{place}": text for place, text in enumerate(TEXTS)}}
    expected = NEW.encode([texts[ids[label]] for label in labels.tolist()])
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["docs.index", "docs.index.ids.jsonl", "documents.jsonl"]


@pytest.mark.parametrize("scheme", ["npy", "faiss"])
def test_rows_without_labels_are_counted_anew(scheme, tmp_path, documents):
    rows = OLD.encode(TEXTS)
    if scheme == "npy":
        np.save(tmp_path / "docs.npy", rows)
    else:
        write_faiss(tmp_path / "docs.npy", rows, mapped=False)
    url = f"{scheme}://{tmp_path}/docs.npy?ledger={tmp_path}/docs.db"
    adopted(url, documents, label=None)
    migrate(url)
    assert "known by its place" in released(url).notices[0]
    ids = [json.loads(line)["id"] for line in (tmp_path / "docs.npy.ids.jsonl").read_text().splitlines()]
    assert ids == [*(f"d{place}" for place in range(N) if place != 3), "added"]
    if scheme == "npy":
        texts = [*(text for place, text in enumerate(TEXTS) if place != 3), "a text that was added"]
        np.testing.assert_allclose(np.load(tmp_path / "docs.npy"), NEW.encode(texts), atol=1e-6)


def test_a_parquet_file_keeps_its_other_columns(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    times = pa.array([1_700_000_000_000 + place for place in range(N)], pa.timestamp("ms", "UTC"))
    rows = {
        "id": [f"d{place}" for place in range(N)],
        "text": TEXTS,
        "at": times,
        "embedding": OLD.encode(TEXTS).tolist(),
    }
    parquet.write_table(pa.table(rows), tmp_path / "docs.parquet")
    url = f"parquet://{tmp_path}/docs.parquet?ledger={tmp_path}/docs.db"
    kind_of(url).adopt(
        url,
        TableToAdopt(str(tmp_path / "docs.parquet"), "id", ("text",)),
        [OLD],
        dry_run=False,
        accept_unidentified=False,
        tell=str,
    )
    migrate(url, adding=False)
    released(url)
    found = parquet.read_table(tmp_path / "docs.parquet")
    kept = [place for place in range(N) if place != 3]
    assert found["at"].to_pylist() == times.take(pa.array(kept)).to_pylist()
    expected = NEW.encode([TEXTS[place] for place in kept])
    np.testing.assert_allclose(np.array(found["embedding"].to_pylist()), expected, atol=1e-6)


def test_a_parquet_file_has_no_row_for_what_was_added(tmp_path):
    parquet, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    rows = {"id": [f"d{place}" for place in range(N)], "text": TEXTS, "vector": OLD.encode(TEXTS).tolist()}
    parquet.write_table(pa.table(rows), tmp_path / "docs.parquet")
    url = f"parquet://{tmp_path}/docs.parquet?ledger={tmp_path}/docs.db"
    table = TableToAdopt(str(tmp_path / "docs.parquet"), "id", ("text",))
    kind_of(url).adopt(url, table, [OLD], dry_run=False, accept_unidentified=False, tell=str)
    migrate(url)
    with pytest.raises(StoreError, match="no rows for documents that were added"):
        released(url)
    assert parquet.read_table(tmp_path / "docs.parquet")["vector"].to_pylist() == rows["vector"]


def test_what_was_not_adopted_cannot_be_opened(tmp_path):
    with pytest.raises(NoCollectionError, match="was not adopted"):
        Collection.open(f"faiss://{tmp_path}/docs.faiss?ledger={tmp_path}/docs.db", OLD)


def test_vectors_of_a_model_that_was_not_named_are_refused_and_leave_nothing(tmp_path, documents):
    write_hnswlib(tmp_path / "docs.bin", HashEncoder(8, seed=9).encode(TEXTS))
    url = f"hnswlib://{tmp_path}/docs.bin?ledger={tmp_path}/docs.db"
    with pytest.raises(InvalidArgumentError, match="--accept-unidentified"):
        adopted(url, documents)
    assert not (tmp_path / "docs.db").exists()


def test_an_adoption_that_was_cut_off_is_done_again(tmp_path, documents, monkeypatch):
    write_hnswlib(tmp_path / "docs.bin", OLD.encode(TEXTS))
    url = f"hnswlib://{tmp_path}/docs.bin?ledger={tmp_path}/docs.db"

    def stop(line):
        if "documents" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopted(url, documents, tell=stop)
    with pytest.raises(NoCollectionError):
        Collection.open(url, encoders=[OLD])
    adopted(url, documents)
    with closing(IndexFileKind.open(url)) as backend:
        assert backend.generations.count(1) == N
    with pytest.raises(StoreError, match="is a collection already"):
        adopted(url, documents)


def test_a_release_that_fails_leaves_the_file_as_it_was(tmp_path, documents, monkeypatch):
    write_hnswlib(tmp_path / "docs.bin", OLD.encode(TEXTS))
    before = (tmp_path / "docs.bin").read_bytes()
    url = f"hnswlib://{tmp_path}/docs.bin?ledger={tmp_path}/docs.db"
    adopted(url, documents)

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("revector.backends.index_files.releasing._to_disk", full)
    with pytest.raises(StoreError, match="No space left"):
        released(url)
    assert (tmp_path / "docs.bin").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
    with Collection.open(url, encoders=[OLD]) as docs:
        assert len(docs) == N


def test_a_release_in_the_middle_of_a_migration_is_refused(tmp_path, documents):
    write_hnswlib(tmp_path / "docs.bin", OLD.encode(TEXTS))
    url = f"hnswlib://{tmp_path}/docs.bin?ledger={tmp_path}/docs.db"
    adopted(url, documents)
    with Collection.open(url, encoders=[OLD, NEW]) as docs:
        docs.migrate(NEW).start()
    with pytest.raises(GateRefusedError, match="is filling"):
        released(url)


def test_a_file_of_another_kind_is_named(tmp_path, documents):
    faiss = pytest.importorskip("faiss")
    packed = faiss.index_factory(8, "PQ4x4")
    packed.train(OLD.encode(TEXTS))
    faiss.write_index(packed, str(tmp_path / "docs.faiss"))
    with pytest.raises(StoreError, match="IndexPQ, expected IndexFlat or IndexHNSWFlat"):
        adopted(f"faiss://{tmp_path}/docs.faiss?ledger={tmp_path}/docs.db", documents)
