"""HnswSnapshot: an index in a file that is searched where it lies."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from revector import HnswIndex, HnswSnapshot
from revector.errors import CorruptIndexError, InvalidArgumentError, NumericalError, ShapeError, UnsupportedIndexError

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((3_000, 64), dtype=np.float32)
QUERIES = RNG.standard_normal((50, 64), dtype=np.float32)
IDS = np.arange(3_000)[::-1] * 5


@pytest.fixture(scope="module")
def index():
    made = HnswIndex.build(ROWS, IDS)
    made.mark_deleted([10, 20])
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_what_is_found_is_scored_in_float32(index, dtype, tmp_path):
    index.save_snapshot(tmp_path / "index", dtype=dtype)
    snapshot = HnswSnapshot(tmp_path / "index")
    snapshot.verify()
    assert (len(snapshot), snapshot.dim, snapshot.metric, snapshot.dtype) == (2_998, 64, "cosine", dtype)
    assert snapshot.rescores == (dtype != "float32")
    assert 25 in snapshot
    assert 10 not in snapshot
    assert 1 not in snapshot
    truth, near = index.search_exact(QUERIES, 10)
    np.testing.assert_array_equal(snapshot.search_exact(QUERIES, 10)[1], near)
    scores, found = snapshot.search(QUERIES, 10, ef=200)
    np.testing.assert_array_equal(snapshot.get_vectors(found[0]), index.get_vectors(found[0]))
    expected = (index.search(QUERIES, 10, ef=200)[0] >= truth[:, -1:] - 1e-6).mean()
    assert (scores >= truth[:, -1:] - 1e-6).mean() > expected - 0.01
    own = (index.get_vectors(found[0]) * QUERIES[0]).sum(1) / np.linalg.norm(QUERIES[0])
    np.testing.assert_allclose(scores[0], own, atol=1e-6)


def test_int8_without_float32_takes_a_third_of_the_space_and_finds_most(index, tmp_path):
    index.save(tmp_path / "hnswlib")
    index.save_snapshot(tmp_path / "index", dtype="int8", rescore=False)
    # 64 + 8 bytes rounded up to 128, and links, beside 256 and links
    assert (tmp_path / "index").stat().st_size < 0.7 * (tmp_path / "hnswlib").stat().st_size
    snapshot = HnswSnapshot(tmp_path / "index")
    assert not snapshot.rescores
    near = index.search_exact(QUERIES, 10)[1]
    found = snapshot.search(QUERIES, 10, ef=400)[1]
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, near, strict=True)]) > 0.9


def test_tune_finds_the_breadth_that_a_recall_takes(index, tmp_path):
    index.save_snapshot(tmp_path / "index")
    snapshot = HnswSnapshot(tmp_path / "index")
    ef = snapshot.tune(0.9, QUERIES)
    least = snapshot.search_exact(QUERIES, 10)[0][:, -1:]
    assert (snapshot.search(QUERIES, 10, ef=ef)[0] >= least - 1e-6).mean() >= 0.9
    assert snapshot.tune(0.5) <= snapshot.tune(0.95)


def test_only_allowed_ids_are_found(index, tmp_path):
    index.save_snapshot(tmp_path / "index")
    snapshot = HnswSnapshot(tmp_path / "index")
    few = [5, 10, 15, 77]
    np.testing.assert_array_equal(np.sort(snapshot.search(QUERIES[:1], 3, allowed=few)[1][0]), [-1, 5, 15])
    half = IDS[::2]
    assert np.isin(snapshot.search(QUERIES, 5, allowed=half)[1], half).all()


def test_threads_search_side_by_side(index, tmp_path):
    index.save_snapshot(tmp_path / "index")
    snapshot = HnswSnapshot(tmp_path / "index")
    expected = snapshot.search(QUERIES, 5)[1]
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: snapshot.search(QUERIES, 5)[1], range(20)):
            np.testing.assert_array_equal(found, expected)


def test_opening_takes_no_memory_for_vectors(tmp_path):
    rows = RNG.standard_normal((20_000, 512), dtype=np.float32)
    HnswIndex.build(rows, np.arange(20_000), m=4, ef_construction=20).save_snapshot(tmp_path / "index")
    program = """
import sys, re, pathlib
from revector import HnswSnapshot
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
before = resident()
snapshot = HnswSnapshot(sys.argv[1])
print(resident() - before, len(snapshot))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "index")], stdout=subprocess.PIPE, text=True, check=True
    )
    grown_kb, size = map(int, done.stdout.split())
    assert size == 20_000
    assert (tmp_path / "index").stat().st_size > 50_000_000
    assert grown_kb < 8_000


def test_a_new_file_leaves_the_old_one_to_those_who_have_it_open(index, tmp_path):
    index.save_snapshot(tmp_path / "index")
    snapshot = HnswSnapshot(tmp_path / "index")
    before = snapshot.search(QUERIES, 5)[1]
    HnswIndex.build(ROWS[:100], IDS[:100]).save_snapshot(tmp_path / "index")
    np.testing.assert_array_equal(snapshot.search(QUERIES, 5)[1], before)
    assert len(HnswSnapshot(tmp_path / "index")) == 100


def test_bad_arguments_are_refused(index, tmp_path):
    path = tmp_path / "index"
    with pytest.raises(InvalidArgumentError, match="dtype is 'int4', expected one of"):
        index.save_snapshot(path, dtype="int4")
    assert not path.exists()
    large = HnswIndex.build(ROWS * 1e5, IDS, metric="l2")
    with pytest.raises(NumericalError, match="above 65,504"):
        large.save_snapshot(path, dtype="float16")
    assert not list(tmp_path.iterdir())
    index.save_snapshot(path)
    snapshot = HnswSnapshot(path)
    with pytest.raises(ShapeError):
        snapshot.search(QUERIES[:, :5], 3)
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        snapshot.search(QUERIES, 0)
    with pytest.raises(InvalidArgumentError, match=r"id 10 is not in the snapshot.*; ids\(\) lists"):
        snapshot.get_vectors([10])
    with pytest.raises(FileNotFoundError):
        HnswSnapshot(tmp_path / "nowhere")
    index.save(tmp_path / "hnswlib")
    with pytest.raises(UnsupportedIndexError, match="looks like a file of hnswlib"):
        HnswSnapshot(tmp_path / "hnswlib")


def _is_sound(snapshot):
    try:
        snapshot.verify()
    except CorruptIndexError:
        return False
    return True


def test_damage_is_found_when_opening_or_by_verify(index, tmp_path):
    path = tmp_path / "index"
    index.save_snapshot(path)
    whole = path.read_bytes()
    for size in [*range(0, 300, 13), *range(300, len(whole), 40_001), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptIndexError, match="offset"):
            HnswSnapshot(path)
    refused = 0
    for at in np.random.default_rng(1).integers(0, len(whole), 200):
        changed = bytearray(whole)
        changed[at] ^= 0x41
        path.unlink()
        path.write_bytes(changed)
        try:
            snapshot = HnswSnapshot(path)
        except CorruptIndexError:
            refused += 1
            continue
        assert len(snapshot.search(QUERIES, 3)[1]) == 50
        if not _is_sound(snapshot):
            refused += 1
    assert refused > 150  # the rest hits the zeros that fill up rows, which checksums cover, or lies between sections
