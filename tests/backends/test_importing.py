"""Documents that come with vectors: the same as were exported, and none that another model has made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from revector.collection import Collection
from revector.errors import InvalidArgumentError, SpaceMismatchError
from revector.formats.rows import read_documents
from revector.testing import HashEncoder
from worlds import KINDS

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(8, seed=2, name="new")
IDS = ["a", "b\nc", "日本"]
TEXTS = ["plain words", "two\nlines", "日本語 text"]
METADATA = [{"title": "A", "year": 2020}, {"nested": {"deep": None}}, {}]


class Unasked(HashEncoder):
    """A model that must not be needed."""

    def encode(self, texts, *, kind="document"):
        raise AssertionError("it is asked")


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(IDS, TEXTS, METADATA)
        yield docs


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "npy"])
def test_what_was_exported_is_imported_without_embedding(docs, places, tmp_path, suffix):
    file = tmp_path / f"out.{suffix}"
    docs._backend.documents.upsert(["bare"], ["no vector"])
    docs.export(file)
    seen = []
    with Collection.open(places / "other.db", Unasked(8, seed=1, name="old")) as other:
        made = other.import_vectors(file, on_progress=seen.append)
        expected = (3, 0) if suffix == "npy" else (4, 1)  # a matrix has no row without a vector
        assert (made.documents, made.without_vector, seen) == (*expected, [expected[0]])
        found = other.documents(IDS)
        assert [(d.text, d.metadata) for d in found] == list(zip(TEXTS, METADATA, strict=True))
        serving = other._serving.read().serving.id
        rows = other._backend.generations.vectors(serving, [document.key for document in found])[1]
        np.testing.assert_array_equal(rows, OLD.encode(TEXTS))
        assert other._backend.generations.count_stale(serving) == made.without_vector


def test_vectors_of_another_space_are_refused_by_what_the_file_says(docs, places, tmp_path):
    docs.export(tmp_path / "out.jsonl")
    with Collection.open(places / "other.db", NEW) as other:
        with pytest.raises(SpaceMismatchError, match=r"need the space new"):
            other.import_vectors(tmp_path / "out.jsonl")
        assert len(other) == 0


def test_a_file_that_does_not_name_its_space_is_tried(docs, places, tmp_path):
    docs.export(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl.space.json").unlink()
    with Collection.open(places / "other.db", NEW) as other:
        with pytest.raises(SpaceMismatchError, match="are not those of new"):
            other.import_vectors(tmp_path / "out.jsonl")
        assert len(other) == 0
    with Collection.open(places / "same.db", OLD) as same:
        assert same.import_vectors(tmp_path / "out.jsonl").documents == 3


def test_a_row_with_a_vector_of_another_kind_is_named(docs, tmp_path):
    rows = [{"id": "x", "text": "t", "vector": [1.0] * 8}, {"id": "y", "text": "t", "vector": "no"}]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(InvalidArgumentError, match=r"rows\.jsonl:2: 'vector' is 'no', expected numbers"):
        docs.import_vectors(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("name", ["bad.npy", "bad.parquet", "bad.jsonl", "bad.txt", "nowhere.npy"])
def test_a_file_that_is_something_else_is_refused(docs, tmp_path, name):
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"something else")
    (tmp_path / "bad.jsonl.space.json").write_text("{")
    with pytest.raises(InvalidArgumentError, match=name.partition(".")[0]):
        docs.import_vectors(tmp_path / name)


def test_a_matrix_and_rows_that_do_not_fit_are_refused(docs, tmp_path):
    docs.export(tmp_path / "out.npy")
    np.save(tmp_path / "out.npy", np.ones((4, 8), np.float32))
    with pytest.raises(InvalidArgumentError, match="more vectors than documents"):
        docs.import_vectors(tmp_path / "out.npy")


def test_a_folder_of_beir_holds_the_documents(docs, tmp_path):
    made = docs.export(tmp_path / "out.beir")
    rows = [json.loads(line) for line in (tmp_path / "out.beir" / "corpus.jsonl").read_text().split("\n")[:-1]]
    assert rows[0] == {"_id": "a", "title": "A", "text": "plain words", "metadata": {"year": 2020}}
    assert (made.documents, [row["_id"] for row in rows]) == (3, IDS)
    again = list(read_documents(tmp_path / "out.beir" / "corpus.jsonl", title_apart=True))
    assert [row.text for row in again] == TEXTS
