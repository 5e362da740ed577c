"""HnswIndex.load_faiss: graphs that faiss wrote are searched, changed and saved like any; damaged files are refused."""

import struct
from pathlib import Path

import numpy as np
import pytest

from revector import HnswIndex, HnswSnapshot
from revector.errors import CorruptIndexError, InvalidArgumentError, UnsupportedIndexError

FOLDER = Path(__file__).parent.parent / "golden" / "faiss"
GOLDEN = np.load(FOLDER / "vectors.npz")
ROWS, QUERIES, NEAREST = GOLDEN["rows"], GOLDEN["queries"], GOLDEN["nearest"]


@pytest.mark.parametrize(
    ("name", "asked", "metric", "m"),
    [
        ("l2", None, "l2", 4),
        ("l2", "cosine", "cosine", 4),
        ("ip", None, "ip", 8),
        ("ip", "ip", "ip", 8),
        ("ip", "cosine", "cosine", 8),
    ],
)
def test_a_graph_of_faiss_finds_what_is_nearest(name, asked, metric, m, tmp_path):
    index = HnswIndex.load_faiss(FOLDER / f"{name}.faiss", metric=asked)
    assert (len(index), index.dim, index.metric, index.m, index.ef_construction) == (120, 6, metric, m, 40)
    np.testing.assert_array_equal(index.ids(), np.arange(120))
    np.testing.assert_allclose(index.get_vectors([3, 119]), ROWS[[3, 119]], rtol=1e-6)
    assert (index.search(QUERIES, 5, ef=60)[1] == NEAREST).mean() > 0.97
    assert index.check().unreachable == 0
    index.add(QUERIES, np.arange(120, 140))
    index.save(tmp_path / "index")
    assert len(HnswIndex.load(tmp_path / "index", 6, metric=metric)) == 140


def test_the_ids_of_an_id_map_are_labels():
    index = HnswIndex.load_faiss(FOLDER / "id_map.faiss")
    np.testing.assert_array_equal(index.ids(), np.arange(120) * 10 + 7)
    assert (index.search(QUERIES, 5, ef=60)[1] == NEAREST * 10 + 7).mean() > 0.95


def test_an_empty_graph_can_grow():
    index = HnswIndex.load_faiss(FOLDER / "empty.faiss")
    assert len(index) == 0
    index.add(ROWS, np.arange(120))
    assert (index.search(QUERIES, 5, ef=60)[1] == NEAREST).mean() > 0.97


def test_a_sound_file_of_another_kind_is_not_supported_and_not_called_corrupt():
    with pytest.raises(UnsupportedIndexError, match=r"'IxF2' \(IndexFlatL2\) is not supported, expected IndexHNSWFlat"):
        HnswIndex.load_faiss(FOLDER / "flat.faiss")


@pytest.mark.parametrize(
    ("letters", "name"),
    [
        (b"IwFl", "IndexIVFFlat"),
        (b"IwPQ", "IndexIVFPQ"),
        (b"IxPq", "IndexPQ"),
        (b"IHNs", "IndexHNSWSQ"),
        (b"IxPT", "IndexPreTransform"),
        (b"IBxF", "IndexBinaryFlat"),
        (b"Izzz", "not known here"),
    ],
)
def test_the_kind_that_is_not_supported_is_named(letters, name, tmp_path):
    path = tmp_path / "index"
    path.write_bytes(letters + (FOLDER / "l2.faiss").read_bytes()[4:])
    with pytest.raises(UnsupportedIndexError, match=rf"'{letters.decode()}' \(.*{name}\) is not supported"):
        HnswIndex.load_faiss(path)


def test_the_kind_within_an_id_map_is_named(tmp_path):
    whole, path = bytearray((FOLDER / "id_map.faiss").read_bytes()), tmp_path / "index"
    at = whole.index(b"IHNf")
    whole[at : at + 4] = b"IHNp"
    path.write_bytes(whole)
    with pytest.raises(UnsupportedIndexError, match=rf"offset {at}: .*'IHNp' \(IndexHNSWPQ\)"):
        HnswIndex.load_faiss(path)


@pytest.mark.parametrize(("ids", "message"), [((-5, 7), "id -5, expected 0 or more"), ((7, 7), "id 7 occurs twice")])
def test_ids_that_faiss_allows_and_we_do_not_are_not_called_corrupt(ids, message, tmp_path):
    whole, path = (FOLDER / "id_map.faiss").read_bytes(), tmp_path / "index"
    path.write_bytes(whole[:-16] + struct.pack("2q", *ids))
    with pytest.raises(UnsupportedIndexError, match=message):
        HnswIndex.load_faiss(path)


def test_files_of_other_programs_are_told_where_they_can_be_read(tmp_path):
    index, ours, snapshot = HnswIndex.build(ROWS, np.arange(120)), tmp_path / "index", tmp_path / "snapshot"
    index.save(ours)
    index.save_snapshot(snapshot)
    for refused in (
        lambda: HnswIndex.load(FOLDER / "l2.faiss", 6),
        lambda: HnswIndex.load(snapshot, 6),
        lambda: HnswIndex.load_faiss(ours),
        lambda: HnswIndex.load_faiss(snapshot),
        lambda: HnswSnapshot(ours),
        lambda: HnswSnapshot(FOLDER / "l2.faiss"),
    ):
        with pytest.raises(UnsupportedIndexError, match=r"expected|begins with"):
            refused()


def test_what_is_no_such_graph_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="the file's metric is inner product"):
        HnswIndex.load_faiss(FOLDER / "ip.faiss", metric="l2")
    with pytest.raises(FileNotFoundError):
        HnswIndex.load_faiss(tmp_path / "nowhere")
    path = tmp_path / "index"
    damaged = bytearray((FOLDER / "ip.faiss").read_bytes())
    damaged[-24:] = struct.pack("6f", *[2.0] * 6)
    path.write_bytes(damaged)
    with pytest.raises(InvalidArgumentError, match=r"vector 119 has the length 4\.8.*expected 1"):
        HnswIndex.load_faiss(path, metric="cosine")
    assert len(HnswIndex.load_faiss(path)) == 120


@pytest.mark.parametrize("name", ["l2", "id_map"])
def test_a_file_cut_short_or_too_long_is_refused(name, tmp_path):
    whole, path = (FOLDER / f"{name}.faiss").read_bytes(), tmp_path / "index"
    for size in [*range(0, 700, 7), *range(700, len(whole), 101), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptIndexError, match="offset"):
            HnswIndex.load_faiss(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(CorruptIndexError, match="1 bytes too many"):
        HnswIndex.load_faiss(path)


def test_any_changed_byte_gives_an_index_or_an_error(tmp_path):
    whole, path = (FOLDER / "id_map.faiss").read_bytes(), tmp_path / "index"
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(whole), 600):
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            index = HnswIndex.load_faiss(path)
            assert len(index.search(QUERIES, 3)[1]) == 20
        except (CorruptIndexError, InvalidArgumentError):
            refused += 1
    assert refused > 50
