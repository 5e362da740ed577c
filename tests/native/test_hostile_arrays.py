"""Hostile arrays and numbers at every public function that takes some: refused by name, or taken as what they are."""

import copy
import pickle

import numpy as np
import pytest

import revector
from revector import (
    ExactIndex,
    HnswIndex,
    HnswSnapshot,
    LowRankMap,
    Procrustes,
    ResidualMLP,
    RidgeMap,
    ScoreMap,
    cosine_range,
    cosine_topk,
    load_map,
    normalize,
)
from revector.errors import InvalidArgumentError, NumericalError, RevectorError, ShapeError

D = 4
ROWS = np.random.default_rng(0).standard_normal((8, D)).astype(np.float32)
IDS = np.arange(8)
EXACT = ExactIndex(ROWS)
SCORES = ScoreMap.affine([0.0, 1.0], [0.0, 1.0])
MAP = Procrustes().fit(ROWS, ROWS)


class NoArray:
    def __array__(self, *args, **kwargs):
        raise KeyError("no array")


class NoRepr:
    def __repr__(self):
        raise RuntimeError("no repr")


def nested(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


NO_ARRAYS = {
    "None": None,
    "str": "abc",
    "bytes": b"abc",
    "int": 3,
    "bool": True,
    "a set": {1.0, 2.0},
    "a dict": {"a": 1},
    "a function": len,
    "no repr": NoRepr(),
    "raises": NoArray(),
    "0-d": np.array(1.5),
    "3-d": np.ones((2, 3, D)),
    "ragged": [[1.0], [1.0, 2.0]],
    "deep": nested(2000),
    "integers of 400 digits": [[10**400] * D],
    "strings": [["a"] * D],
    "objects": np.ones((2, D), object),
    "complex": np.ones((2, D), complex),
    "bools": np.ones((2, D), bool),
    "dates": np.zeros((2, D), "M8[s]"),
    "records": np.zeros((2, D), [("a", "f4"), ("b", "i2")]),
    "void": np.zeros((2, D), "V3"),
    "masked": np.ma.masked_greater(ROWS, 0),
    "NaN": np.full((8, D), np.nan),
    "infinity": np.full((8, D), np.inf),
}
NUMBERS = {
    "None": None,
    "str": "3",
    "2.0": 2.0,
    "float64": np.float64(2),
    "True": True,
    "numpy's True": np.True_,
    "negative": -1,
    "0": 0,
    "5,000 digits": 10**5000,
    "NaN": float("nan"),
    "list": [1],
    "array": np.array([2]),
    "complex": 1j,
}
NO_IDS = {
    **{name: value for name, value in NO_ARRAYS.items() if name != "int"},
    "floats": [1.0],
    "bools": [True],
    "of 5,000 digits": [10**5000],
    "above 2**63 - 1": np.array([2**63], np.uint64),
    "2-d": [[1]],
}
UNKNOWN_IDS = {"negative": [-1], "unknown": [99]}


def filled():
    return HnswIndex.build(ROWS, IDS, metric="l2")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "snapshot"
    filled().save_snapshot(path)
    return HnswSnapshot(path)


ARRAYS = {
    ("x", "normalize"): normalize,
    ("out", "normalize"): lambda v: normalize(ROWS, out=v if v is not None else "no default"),
    ("queries", "cosine_topk"): lambda v: cosine_topk(v, ROWS, 2),
    ("documents", "cosine_topk"): lambda v: cosine_topk(ROWS, v, 2),
    ("queries", "cosine_range"): lambda v: cosine_range(v, ROWS, 0.5),
    ("documents", "cosine_range"): lambda v: cosine_range(ROWS, v, 0.5),
    ("documents", "ExactIndex"): ExactIndex,
    ("queries", "ExactIndex.search"): lambda v: EXACT.search(v, 2),
    ("queries", "ExactIndex.range"): lambda v: EXACT.range(v, 0.5),
    ("vectors", "HnswIndex.build"): lambda v: HnswIndex.build(v, IDS),
    ("vectors", "HnswIndex.add"): lambda v: filled().add(v, IDS),
    ("vectors", "HnswIndex.serve_stale"): lambda v: filled().serve_stale(v),
    ("queries", "HnswIndex.search"): lambda v: filled().search(v, 2),
    ("queries", "HnswIndex.search_exact"): lambda v: filled().search_exact(v, 2),
    ("queries", "HnswIndex.range"): lambda v: filled().range(v, -1),
    ("rotation", "HnswIndex.rotate"): lambda v: filled().rotate(v),
    ("x", "Procrustes.transform"): MAP.transform,
    ("y", "Procrustes.inverse_transform"): MAP.inverse_transform,
    **{
        (side, f"{kind.__name__}.fit"): lambda v, kind=kind, side=side: kind().fit(
            **{"old": ROWS, "new": ROWS, side: v}
        )
        for kind in (Procrustes, RidgeMap, lambda: LowRankMap(2), ResidualMLP)
        for side in ("old", "new")
    },
}


@pytest.mark.parametrize("value", NO_ARRAYS.values(), ids=NO_ARRAYS)
@pytest.mark.parametrize(("name", "call"), [(name, call) for (name, _), call in ARRAYS.items()], ids=map(str, ARRAYS))
def test_what_is_not_a_matrix_of_finite_floats_is_refused_by_name(name, call, value):
    with pytest.raises(RevectorError, match=rf"\b{name}\b"):
        call(value)


FINE = {
    "one row": ROWS[:1],
    "no rows": np.empty((0, D), np.float32),
    "a list": ROWS.tolist(),
    "columns first": np.asfortranarray(ROWS),
    "backwards": ROWS[::-1, ::-1],
    "every second": np.repeat(ROWS, 2, axis=0)[::2, ::-1],
    "big-endian": ROWS.astype(">f4"),
    "big-endian float64": ROWS.astype(">f8"),
    "long double": ROWS.astype(np.longdouble),
    "float16": ROWS.astype(np.float16),
    "read-only": np.broadcast_to(ROWS[0], (3, D)),
}


@pytest.mark.parametrize("value", FINE.values(), ids=FINE)
def test_matrices_of_any_layout_give_what_plain_ones_give(value):
    plain = np.ascontiguousarray(np.asarray(value), dtype=np.float32)
    np.testing.assert_allclose(normalize(value), normalize(plain), rtol=1e-6)
    np.testing.assert_array_equal(cosine_topk(value, ROWS, 3)[1], cosine_topk(plain, ROWS, 3)[1])
    np.testing.assert_array_equal(filled().search(value, 3)[1], filled().search(plain, 3)[1])
    np.testing.assert_allclose(MAP.transform(value), MAP.transform(plain), rtol=1e-6)


def test_big_endian_float64_keeps_its_range():
    rows = np.full((2, D), 1e200)
    np.testing.assert_allclose(normalize(rows.astype(">f8")), normalize(rows))


def test_what_float32_cannot_hold_is_refused_and_not_called_infinite():
    with pytest.raises(NumericalError, match="queries holds a number that is too large for float32"):
        EXACT.search(np.full((1, D), 1e200), 1)


SEARCHES = {
    "cosine_topk": lambda s, k: cosine_topk(ROWS, ROWS, k),
    "ExactIndex.search": lambda s, k: EXACT.search(ROWS, k),
    "HnswIndex.search": lambda s, k: filled().search(ROWS, k),
    "HnswIndex.search_exact": lambda s, k: filled().search_exact(ROWS, k),
    "HnswSnapshot.search": lambda s, k: s.search(ROWS, k),
    "HnswSnapshot.search_exact": lambda s, k: s.search_exact(ROWS, k),
}


@pytest.mark.parametrize("k", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_k_that_is_not_a_positive_integer_is_refused(search, k, snapshot):
    with pytest.raises(InvalidArgumentError, match=r"^k is "):
        search(snapshot, k)


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_no_search_has_more_results_than_there_are_vectors(search, snapshot):
    scores, found = search(snapshot, 10**18)
    assert scores.shape == found.shape == (8, 8)
    assert (np.sort(found) == IDS).all()


COUNTS = {
    "ef": lambda v: filled().search(ROWS, 2, ef=v if v is not None else "no default"),
    "threads": lambda v: filled().search(ROWS, 2, threads=v if v is not None else "no default"),
    "sample": lambda v: filled().check(sample=v),
    "dim": HnswIndex,
    "m": lambda v: HnswIndex(D, m=v),
    "ef_construction": lambda v: HnswIndex(D, ef_construction=v),
    "n": revector.set_num_threads,
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize(("name", "call"), COUNTS.items(), ids=COUNTS)
def test_other_numbers_are_positive_integers_too(name, call, value):
    with pytest.raises(InvalidArgumentError, match=rf"^{name} is "):
        call(value)


IDS_OF = {
    "HnswIndex.build": ("ids", lambda v: HnswIndex.build(ROWS[:1], v)),
    "HnswIndex.add": ("ids", lambda v: filled().add(ROWS[:1], v)),
    "HnswIndex.mark_deleted": ("ids", lambda v: filled().mark_deleted(v)),
    "HnswIndex.get_vectors": ("ids", lambda v: filled().get_vectors(v)),
    "HnswIndex.search": ("allowed", lambda v: filled().search(ROWS, 2, allowed=v if v is not None else "no default")),
}


@pytest.mark.parametrize("value", NO_IDS.values(), ids=NO_IDS)
@pytest.mark.parametrize(("name", "call"), IDS_OF.values(), ids=IDS_OF)
def test_what_are_not_ids_is_refused_by_name(name, call, value):
    with pytest.raises((InvalidArgumentError, ShapeError), match=rf"\b{name}\b"):
        call(value)


@pytest.mark.parametrize("value", UNKNOWN_IDS.values(), ids=UNKNOWN_IDS)
@pytest.mark.parametrize("verb", ["mark_deleted", "unmark_deleted", "get_vectors"])
def test_an_unknown_id_is_told_with_where_the_ids_are(verb, value):
    with pytest.raises(InvalidArgumentError, match=rf"id {value[0]} is not in the index; ids\(\) lists what is"):
        getattr(filled(), verb)(value)


NO_OUT = {
    "float64": np.empty((8, D)),
    "big-endian": np.empty((8, D), ">f4"),
    "a list": [[0.0] * D] * 8,
    "too narrow": np.empty((8, D - 1), np.float32),
    "flat": np.empty(8 * D, np.float32),
    "columns first": np.empty((8, D), np.float32, order="F"),
    "backwards": np.empty((8, D), np.float32)[::-1],
    "one row for all": np.lib.stride_tricks.as_strided(np.empty(D, np.float32), (8, D), (0, 4)),
    "read-only": np.broadcast_to(np.float32(0), (8, D)),
}


@pytest.mark.parametrize("out", NO_OUT.values(), ids=NO_OUT)
def test_rows_are_written_to_arrays_of_float32_alone(out):
    with pytest.raises((InvalidArgumentError, ShapeError), match=r"^out "):
        normalize(ROWS, out=out)


WORDS = {
    "precision": lambda v: cosine_topk(ROWS, ROWS, 2, precision=v),
    "device": lambda v: cosine_topk(ROWS, ROWS, 2, device=v),
    "metric": lambda v: HnswIndex(D, metric=v),
    "dtype": lambda v: filled().save_snapshot("nowhere", dtype=v),
    "rescore": lambda v: filled().save_snapshot("nowhere", rescore=v),
    "renormalize": lambda v: MAP.transform(ROWS, renormalize=v),
}


@pytest.mark.parametrize("value", [None, 1, "", "no", ["l2"], {}, ROWS], ids=str)
@pytest.mark.parametrize(("name", "call"), WORDS.items(), ids=WORDS)
def test_words_and_flags_are_refused_by_name(name, call, value):
    with pytest.raises(InvalidArgumentError, match=rf"^{name} is "):
        call(value)


PATHS = {
    "save": lambda v: filled().save(v),
    "load": lambda v: HnswIndex.load(v, D),
    "load_faiss": HnswIndex.load_faiss,
    "save_snapshot": lambda v: filled().save_snapshot(v),
    "HnswSnapshot": HnswSnapshot,
    "Procrustes.save": MAP.save,
    "load_map": load_map,
    "ScoreMap.load": ScoreMap.load,
}


@pytest.mark.parametrize("path", [None, 3.5, ["a"], "a\0b", "\ud800", ROWS], ids=ascii)
@pytest.mark.parametrize("call", PATHS.values(), ids=PATHS)
def test_what_cannot_be_a_path_is_refused(call, path):
    with pytest.raises(InvalidArgumentError, match=r"^path is "):
        call(path)


@pytest.mark.parametrize("value", [v for n, v in NO_ARRAYS.items() if n not in ("None", "bools")])
@pytest.mark.parametrize("kind", [Procrustes, RidgeMap])
def test_weights_that_are_not_numbers_are_refused_by_name(kind, value):
    with pytest.raises(RevectorError, match=r"\bweights\b"):
        kind().fit(ROWS, ROWS, weights=value)


NO_SCORES = {n: v for n, v in NO_ARRAYS.items() if n not in ("int", "bool", "0-d", "3-d", "bools", "NaN", "infinity")}


@pytest.mark.parametrize("value", NO_SCORES.values(), ids=NO_SCORES)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("scores", SCORES.translate),
        ("old", SCORES.threshold),
        ("old", lambda v: ScoreMap.affine(v, [1.0, 2.0])),
        ("new", lambda v: ScoreMap.isotonic([1.0, 2.0], v)),
        ("old", lambda v: ScoreMap(v, (1.0,))),
        ("slope", lambda v: ScoreMap((0.0,), (1.0,), v)),
    ],
)
def test_scores_that_are_not_numbers_are_refused_by_name(name, call, value):
    with pytest.raises(RevectorError, match=rf"\b{name}\b"):
        call(value)


@pytest.mark.parametrize("value", [None, "0.5", float("nan"), True, [0.5], 1j], ids=str)
def test_a_least_score_is_a_number(value, snapshot):
    for name, call in (
        ("threshold", lambda: cosine_range(ROWS, ROWS, value)),
        ("threshold", lambda: EXACT.range(ROWS, value)),
        ("least_score", lambda: filled().range(ROWS, value)),
        ("target_recall", lambda: snapshot.tune(value)),
    ):
        with pytest.raises(InvalidArgumentError, match=f"^{name} is "):
            call()


def test_a_single_vector_and_a_single_id_may_stand_alone(snapshot):
    index = HnswIndex(D)
    index.add(ROWS[0], 7)
    index.add(ROWS[1].tolist(), np.int32(8))
    for searched in (index.search(ROWS[0], 1), index.search_exact(ROWS[0], 1, allowed=7)):
        assert searched[1].tolist() == [[7]]
    index.mark_deleted(7)
    assert index.ids().tolist() == [8]
    assert snapshot.search(ROWS[3], 1)[1].tolist() == EXACT.search(ROWS[3], 1)[1].tolist() == [[3]]


def test_an_exact_search_may_be_among_some(snapshot):
    index = filled()
    index.mark_deleted([5])
    for searched in (index, snapshot):
        expected = searched.search(ROWS, 2, allowed=[1, 2, 5])
        np.testing.assert_array_equal(searched.search_exact(ROWS, 2, allowed=[1, 2, 5])[1], expected[1])


def test_threads_change_no_result(snapshot):
    index, ids = filled(), np.arange(100, 108)
    for limit in (1, 2, 10**6):
        np.testing.assert_array_equal(index.search(ROWS, 3, threads=limit)[1], index.search(ROWS, 3)[1])
        np.testing.assert_array_equal(snapshot.search(ROWS, 3, threads=limit)[1], snapshot.search(ROWS, 3)[1])
    index.add(ROWS + 100, ids, threads=1)
    assert len(index.rebuild(threads=1)) == len(HnswIndex.build(ROWS, IDS, threads=2)) + 8


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda index: pickle.loads(pickle.dumps(index))}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_a_copy_of_an_index_is_the_same_index_and_one_of_its_own(copied, metric):
    index = HnswIndex.build(ROWS, IDS + 5, metric=metric, m=4, seed=3)
    index.mark_deleted([6])
    other = copied(index)
    assert repr(other) == repr(index)
    np.testing.assert_array_equal(other.search(ROWS, 7)[1], index.search(ROWS, 7)[1])
    other.unmark_deleted([6])
    assert (len(other), len(index)) == (8, 7)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_snapshots_and_exact_indexes_can_be_copied(copied, snapshot):
    np.testing.assert_array_equal(copied(snapshot).search(ROWS, 3)[1], snapshot.search(ROWS, 3)[1])
    np.testing.assert_array_equal(copied(EXACT).search(ROWS, 3)[1], EXACT.search(ROWS, 3)[1])
    with pytest.raises(InvalidArgumentError, match="int8 does not keep the rows"):
        copied(ExactIndex(ROWS, precision="int8"))


@pytest.mark.peers
def test_sparse_matrices_and_tensors_are_refused_by_name():
    sparse, torch = pytest.importorskip("scipy.sparse"), pytest.importorskip("torch")
    tensor = torch.from_numpy(ROWS)
    for value in (
        sparse.csr_matrix(ROWS),
        sparse.coo_array(ROWS),
        tensor.to_sparse(),
        tensor.clone().requires_grad_(),
        tensor.to("meta"),
        tensor.to(torch.int64),
        tensor.to(torch.complex64),
    ):
        for name, call in (("x", normalize), ("queries", lambda v: filled().search(v, 2)), ("x", MAP.transform)):
            with pytest.raises(InvalidArgumentError, match=rf"^{name}\b"):
                call(value)
