"""A collection written into files: what is there in each format, and that nothing is replaced or left half-written."""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import CancelledError, InvalidArgumentError, MissingExtraError
from revector.formats.rows import read_documents
from revector.spaces import EmbeddingSpace
from revector.testing import HashEncoder
from worlds import KINDS

OLD = HashEncoder(8, seed=1, name="old")
IDS = ["a", "b\nc", "日本", '"quoted"', " "]
TEXTS = ["plain", "two\nlines\u2028", "日本語", 'say "yes"\\', "x" * 5_000]
METADATA = [{}, {"year": 2020, "tags": ["a", "b"]}, {"日": "本"}, {"nested": {"deep": None}}, {"pi": 3.5}]


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(IDS, TEXTS, METADATA)
        yield docs


def _vectors():
    return OLD.encode(TEXTS)


def test_json_lines_hold_everything_to_the_last_bit(docs, tmp_path):
    made = docs.export(tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert [(row["id"], row["text"], row["metadata"]) for row in rows] == list(zip(IDS, TEXTS, METADATA, strict=True))
    np.testing.assert_array_equal(np.array([row["vector"] for row in rows], dtype=np.float32), _vectors())
    assert EmbeddingSpace.from_json(json.loads((tmp_path / "out.jsonl.space.json").read_text())) == OLD.space
    assert (made.documents, made.without_vector, len(made.files)) == (5, 0, 2)
    assert made.bytes == sum(file.stat().st_size for file in tmp_path.glob("out*"))


def test_parquet_holds_everything_to_the_last_bit(docs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    docs.export(tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table["id"].to_pylist() == IDS
    assert table["text"].to_pylist() == TEXTS
    assert [json.loads(each) for each in table["metadata"].to_pylist()] == METADATA
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), _vectors())
    assert EmbeddingSpace.from_json(json.loads(table.schema.metadata[b"revector_space"])) == OLD.space


def test_a_matrix_has_its_rows_beside_it(docs, tmp_path):
    docs.export(tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy", mmap_mode="r"), _vectors())
    rows = [json.loads(line) for line in (tmp_path / "out.npy.rows.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert rows == [
        {"id": id_, "text": text, "metadata": fields} for id_, text, fields in zip(IDS, TEXTS, METADATA, strict=True)
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "npy", "parquet"])
def test_a_document_without_a_vector_is_told(docs, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    docs._backend.documents.upsert(["without"], ["a text"])
    made = docs.export(tmp_path / f"out.{suffix}")
    assert (made.documents, made.without_vector) == (6, 1)
    if suffix == "npy":
        assert len(np.load(tmp_path / "out.npy")) == 5
    else:
        assert list(read_documents(tmp_path / f"out.{suffix}"))[-1].id == "without"


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_what_was_written_can_be_added_again(docs, places, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    docs.export(tmp_path / f"out.{suffix}")
    rows = list(read_documents(tmp_path / f"out.{suffix}"))
    assert [(row.id, row.text, row.metadata) for row in rows] == list(zip(IDS, TEXTS, METADATA, strict=True))


def test_progress_goes_to_the_end(docs, tmp_path, monkeypatch):
    monkeypatch.setattr("revector.exporting._DOCUMENTS_AT_ONCE", 2)
    seen = []
    docs.export(tmp_path / "out.npy", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert np.load(tmp_path / "out.npy").shape == (5, 8)


def test_one_that_is_called_off_leaves_nothing(docs, tmp_path):
    stop = threading.Event()
    stop.set()
    for suffix in ("jsonl", "npy"):
        with pytest.raises(CancelledError):
            docs.export(tmp_path / f"out.{suffix}", stop=stop)
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("name", ["out", "out.csv", "out.npy.gz", "", ".jsonl", "nowhere/out.npy", "a\0b.npy", 3])
def test_a_file_that_cannot_be_written_is_named(docs, tmp_path, name):
    place = tmp_path / name if isinstance(name, str) and "\0" not in name else name
    with pytest.raises(InvalidArgumentError):
        docs.export(place)
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("there", ["out.npy", "out.npy.rows.jsonl", "out.npy.space.json"])
def test_nothing_is_replaced(docs, tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(InvalidArgumentError, match="there already"):
        docs.export(tmp_path / "out.npy")
    assert [file.name for file in tmp_path.glob("out*")] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_an_empty_collection_is_an_empty_file(places, tmp_path):
    with Collection.open(places / "docs.db", OLD) as docs:
        for suffix in ("jsonl", "npy"):
            assert docs.export(tmp_path / f"{suffix}.{suffix}").documents == 0
    assert np.load(tmp_path / "npy.npy").shape == (0, 8)


def test_parquet_without_its_library_says_how_to_install_it(docs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'revector\[parquet\]'"):
        docs.export(tmp_path / "out.parquet")
    assert list(tmp_path.glob("out*")) == []


def test_a_collection_that_is_only_read_can_be_exported(docs, places, tmp_path):
    with Collection.open(places / "docs.db", encoders=[OLD], read_only=True) as reading:
        assert reading.export(tmp_path / "out.npy").documents == len(IDS)
