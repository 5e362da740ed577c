"""torch tensors as documents and queries: read where they are, whatever their dtype."""

import logging

import numpy as np
import pytest

from revector import ExactIndex, cosine_topk

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.peers


def tensor(n, dtype, seed=0):
    return torch.randn((n, 96), generator=torch.Generator().manual_seed(seed)).to(dtype)


def nearest(queries, documents, k):
    """The k best rows and their cosines, in float64."""
    unit = [torch.nn.functional.normalize(rows.double(), dim=1) for rows in (queries, documents)]
    return [found.numpy() for found in torch.topk(unit[0] @ unit[1].T, k)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_are_searched_without_a_copy(dtype, caplog):
    queries, documents = tensor(20, torch.float32), tensor(3000, getattr(torch, dtype), seed=1)
    with caplog.at_level(logging.INFO, "revector"):
        scores, rows = cosine_topk(queries, documents, 5)
    assert not caplog.records
    expected_scores, expected_rows = nearest(queries, documents, 5)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-7)
    packed_scores, packed_rows = ExactIndex(documents).search(queries, 5)
    np.testing.assert_array_equal(packed_rows, rows)
    np.testing.assert_array_equal(packed_scores, scores)


def test_bfloat16_queries_are_taken_and_the_copy_is_said(caplog):
    queries, documents = tensor(20, torch.bfloat16), tensor(500, torch.float32, seed=1)
    with caplog.at_level(logging.INFO, "revector"):
        _, rows = cosine_topk(queries, documents, 5)
    assert "copied" in caplog.text
    np.testing.assert_array_equal(rows, nearest(queries, documents, 5)[1])


def test_a_tensor_of_columns_is_copied_and_the_copy_is_said(caplog):
    queries, documents = tensor(20, torch.float32), tensor(96, torch.bfloat16, seed=1).T.contiguous().T
    with caplog.at_level(logging.INFO, "revector"):
        _, rows = cosine_topk(queries, documents, 5)
    assert "copied" in caplog.text
    np.testing.assert_array_equal(rows, nearest(queries, documents, 5)[1])
