"""Unit rows and exact cosine search against float64."""

import subprocess
import sys

import numpy as np
import pytest

from revector import _core, cosine_topk, normalize
from revector.errors import DeviceUnavailableError, InvalidArgumentError, NumericalError, ShapeError

DIMENSIONS = [1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 384, 768, 1536]


def rows(n, d, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def exact_cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_normalize_matches_float64(d, dtype):
    x = rows(5, d, dtype=dtype)
    expected = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(normalize(x), expected, atol=2e-7)


def test_normalize_takes_strided_rows_and_writes_in_place():
    wide = rows(10, 40)
    part = wide[::2, 3:20]
    expected = normalize(part.copy())
    np.testing.assert_array_equal(normalize(part), expected)
    np.testing.assert_array_equal(normalize(np.asfortranarray(part)), expected)
    assert normalize(part, out=part) is part
    np.testing.assert_array_equal(wide[::2, 3:20], expected)


def test_normalize_keeps_zero_rows_and_accepts_no_rows():
    x = rows(3, 8)
    x[1] = 0
    assert not normalize(x)[1].any()
    assert normalize(np.empty((0, 8), np.float32)).shape == (0, 8)
    assert normalize(np.empty((3, 0), np.float32)).shape == (3, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_normalize_names_the_row_that_is_not_finite(bad):
    x = rows(6, 8)
    x[4, 2] = bad
    with pytest.raises(NumericalError, match="row 4"):
        normalize(x)


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.zeros(3, np.float32), ShapeError),
        (np.zeros((2, 2), np.int64), InvalidArgumentError),
        (np.zeros((2, 2), complex), InvalidArgumentError),
        ([["a", "b"]], InvalidArgumentError),
    ],
)
def test_normalize_refuses_what_is_not_a_matrix_of_floats(x, error):
    with pytest.raises(error, match="x has"):
        normalize(x)


def test_normalize_refuses_a_wrong_or_read_only_out():
    x = rows(3, 4)
    with pytest.raises(ShapeError, match="out"):
        normalize(x, out=np.empty((3, 5), np.float32))
    with pytest.raises(InvalidArgumentError, match="float64"):
        normalize(x, out=np.empty((3, 4)))
    frozen = np.empty((3, 4), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writ"):
        normalize(x, out=frozen)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("n_queries", [1, 2, 13])
def test_topk_matches_float64(d, n_queries):
    queries, documents = rows(n_queries, d, 1), rows(777, d, 2)
    scores, indices = cosine_topk(queries, documents, 5)
    exact = exact_cosine(queries, documents)
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, indices, 1), scores, atol=1e-6)


def test_topk_breaks_ties_by_lower_index_and_clips_k():
    documents = np.ones((5, 3), np.float32)
    scores, indices = cosine_topk(np.ones((1, 3)), documents, 9)
    assert indices.tolist() == [[0, 1, 2, 3, 4]]
    np.testing.assert_allclose(scores, 1, atol=1e-6)


def test_topk_of_nothing_is_empty():
    scores, indices = cosine_topk(rows(2, 4), np.empty((0, 4), np.float32), 3)
    assert scores.shape == indices.shape == (2, 0)
    assert cosine_topk(np.empty((0, 4), np.float32), rows(5, 4), 3)[1].shape == (0, 3)


def test_a_zero_row_is_similar_to_nothing():
    documents = rows(4, 6)
    documents[2] = 0
    scores, indices = cosine_topk(rows(1, 6, 3), documents, 4)
    assert scores[0][indices[0] == 2] == 0


def test_topk_refuses_bad_arguments():
    with pytest.raises(ShapeError, match="columns"):
        cosine_topk(rows(1, 4), rows(3, 5), 1)
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        cosine_topk(rows(1, 4), rows(3, 4), 0)
    with pytest.raises(InvalidArgumentError, match="precision"):
        cosine_topk(rows(1, 4), rows(3, 4), 1, precision="int4")
    bad = rows(3, 4)
    bad[1, 1] = np.nan
    with pytest.raises(NumericalError, match="documents: row 1"):
        cosine_topk(rows(1, 4), bad, 1)


def test_arrays_of_other_libraries_come_in_through_dlpack():
    class Tensor:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = rows(4, 8)
    np.testing.assert_array_equal(normalize(Tensor(x)), normalize(x))


@pytest.mark.parametrize("isa", _core.available_isas())
def test_a_forced_instruction_set_is_used(isa):
    code = "from revector import _core; print(_core.active_isa())"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"REVECTOR_ISA": isa}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == isa


def test_an_unknown_instruction_set_is_refused_loudly():
    code = "import revector, numpy; revector.normalize(numpy.ones((1, 2)))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"REVECTOR_ISA": "mmx"}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "REVECTOR_ISA is 'mmx'" in run.stderr


def test_topk_on_the_gpu_equals_topk_on_the_cpu():
    queries, documents = rows(300, 100, 1), rows(70_000, 100, 2)
    documents[50_000] = documents[3]  # a tie across chunks
    queries[0] = documents[3]
    if not _core.cuda_available():
        with pytest.raises(DeviceUnavailableError, match="CUDA"):
            cosine_topk(queries, documents, 10, device="cuda")
        pytest.skip("no CUDA plugin or no GPU here; the refusal was tested")
    scores, indices = cosine_topk(queries, documents, 10, device="cuda")
    expected_scores, expected_indices = cosine_topk(queries, documents, 10)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
    assert (indices == expected_indices).mean() > 0.999
    assert indices[0, :2].tolist() == [3, 50_000]


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidArgumentError, match="device is 'tpu'"):
        cosine_topk(rows(1, 4), rows(3, 4), 1, device="tpu")
