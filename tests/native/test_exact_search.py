"""ExactIndex, cosine_range, filters and stored types, beside float64 numpy."""

import logging

import numpy as np
import pytest

from revector import ExactIndex, cosine_range, cosine_topk
from revector.errors import InvalidArgumentError, NumericalError, ShapeError


def rows(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32)


def cosines(queries, documents):
    q, n = np.float64(queries), np.float64(documents)
    return (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (n / np.linalg.norm(n, axis=1, keepdims=True)).T


@pytest.fixture(scope="module")
def documents():
    return rows(5000, 96, 1)


@pytest.mark.parametrize("queries", [1, 40, 400])
def test_an_index_finds_what_float64_finds(documents, queries):
    asked = rows(queries, 96, 2)
    expected = cosines(asked, documents)
    scores, indices = ExactIndex(documents).search(asked, 10)
    np.testing.assert_array_equal(indices, np.argsort(-expected, axis=1)[:, :10])
    np.testing.assert_allclose(scores, np.take_along_axis(expected, indices, 1), atol=1e-7)
    once = cosine_topk(asked, documents, 10)
    np.testing.assert_array_equal(once[0], scores)
    np.testing.assert_array_equal(once[1], indices)


def test_results_do_not_depend_on_the_number_of_threads(documents):
    from revector import _core

    asked, threads = rows(300, 96, 3), _core.num_threads()
    found = []
    try:
        for n in (1, 2, 5):
            _core.set_num_threads(n)
            found.append(ExactIndex(documents).search(asked, 7))
    finally:
        _core.set_num_threads(threads)
    for limit in (1, 2, 10**6):
        found.append(ExactIndex(documents).search(asked, 7, threads=limit))
        found.append(cosine_topk(asked, documents, 7, threads=limit))
    for scores, indices in found[1:]:
        np.testing.assert_array_equal(scores, found[0][0])
        np.testing.assert_array_equal(indices, found[0][1])


def test_a_range_does_not_depend_on_the_number_of_threads(documents):
    asked = rows(30, 96, 3)
    expected = cosine_range(asked, documents, 0.2)
    for found in (cosine_range(asked, documents, 0.2, threads=1), ExactIndex(documents).range(asked, 0.2, threads=1)):
        for part, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(part, wanted)


def test_no_threads_at_all_are_refused(documents):
    with pytest.raises(InvalidArgumentError, match="threads is 0, expected an integer of at least 1"):
        cosine_topk(documents, documents, 3, threads=0)


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_stored_types_are_read_in_place(documents, dtype, caplog):
    stored = (documents * 20).astype(dtype)
    with caplog.at_level(logging.INFO, "revector"):
        found = cosine_topk(rows(9, 96, 4), stored, 5)
    assert not caplog.records
    expected = cosine_topk(rows(9, 96, 4), stored.astype(np.float32), 5)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(ExactIndex(stored).search(rows(9, 96, 4), 5)[1], expected[1])


def test_a_copy_is_logged(documents, caplog):
    with caplog.at_level(logging.INFO, "revector"):
        cosine_topk(rows(2, 96), documents.astype(np.float64), 1)
        cosine_topk(rows(2, 48), documents[:, ::2], 1)
    assert [record.getMessage().split()[:3] for record in caplog.records] == [["documents", "is", "copied"]] * 2


def test_only_allowed_documents_are_found(documents):
    allowed = np.zeros(len(documents), bool)
    allowed[7::50] = True
    asked = rows(20, 96, 5)
    expected = np.flatnonzero(allowed)[np.argsort(-cosines(asked, documents[allowed]), axis=1)[:, :4]]
    index = ExactIndex(documents)
    np.testing.assert_array_equal(index.search(asked, 4, allowed=allowed)[1], expected)
    np.testing.assert_array_equal(cosine_topk(asked, documents, 4, allowed=allowed)[1], expected)
    assert index.search(asked, 1000, allowed=allowed)[1].shape == (20, 100)
    assert index.search(asked, 3, allowed=np.zeros(len(documents), bool))[1].shape == (20, 0)


def test_a_range_holds_everything_from_the_threshold_up(documents):
    asked = rows(6, 96, 6)
    scores, indices, offsets = cosine_range(asked, documents, 0.2)
    expected = cosines(asked, documents) >= 0.2
    np.testing.assert_array_equal(np.diff(offsets), expected.sum(axis=1))
    for query in range(6):
        part = slice(offsets[query], offsets[query + 1])
        assert set(indices[part]) == set(np.flatnonzero(expected[query]))
        assert (np.diff(scores[part]) <= 0).all()
    for one, other in zip(ExactIndex(documents).range(asked, 0.2), (scores, indices, offsets), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_an_index_of_lower_precision_lets_go_of_the_rows(precision):
    documents, asked = rows(900, 64, 7), rows(5, 64, 8)
    expected = cosine_topk(asked, documents, 3, precision=precision)
    index = ExactIndex(documents, precision=precision)
    documents[:] = 0
    np.testing.assert_array_equal(index.search(asked, 3)[1], expected[1])
    assert (len(index), index.dimension) == (900, 64)


def test_bad_input_is_refused_with_what_was_expected(documents):
    index = ExactIndex(documents)
    with pytest.raises(ShapeError, match="queries have 95 columns and documents 96"):
        index.search(rows(1, 95), 1)
    with pytest.raises(InvalidArgumentError, match="k is 0"):
        index.search(rows(1, 96), 0)
    with pytest.raises(InvalidArgumentError, match="precision is 'int4'"):
        ExactIndex(documents, precision="int4")
    with pytest.raises(InvalidArgumentError, match="expected bool"):
        index.search(rows(1, 96), 1, allowed=np.ones(len(documents), np.int64))
    with pytest.raises(ShapeError, match=r"allowed has shape \(3,\), expected \(5000,\)"):
        cosine_topk(rows(1, 96), documents, 1, allowed=np.ones(3, bool))
    with pytest.raises(InvalidArgumentError, match="documents has dtype uint16"):
        ExactIndex(np.ones((3, 4), np.uint16))
    with pytest.raises(InvalidArgumentError, match="NaN"):
        cosine_range(rows(1, 96), documents, float("nan"))
    bad = documents.copy()
    bad[4321, 5] = np.inf
    with pytest.raises(NumericalError, match="row 4321"):
        ExactIndex(bad)
