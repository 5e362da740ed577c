"""The encoder beside sentence-transformers itself, over documentation that is written nowhere in the tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from revector import Encoder, _core
from revector.demo.corpus import Corpus

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # torch's and transformers' own
    pytest.mark.skipif(_core.active_isa() == "scalar", reason="minutes on the scalar kernels"),
]


@pytest.fixture(scope="module")
def folders(minilm_folder: Path) -> list[Path]:
    """MiniLM, and whatever $REVECTOR_PEER_MODELS names (a list like $PATH)."""
    return [minilm_folder, *(Path(p) for p in os.environ.get("REVECTOR_PEER_MODELS", "").split(os.pathsep) if p)]


def test_rows_equal_those_of_sentence_transformers(folders: list[Path], docstring_corpus: Corpus) -> None:
    peer = pytest.importorskip("sentence_transformers")
    documents, queries = list(docstring_corpus.documents.values()), list(docstring_corpus.queries.values())
    for folder in folders:
        ours, theirs = Encoder.from_pretrained(folder, precision="float32"), peer.SentenceTransformer(str(folder), device="cpu")
        expected = theirs.encode_document(documents, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode(documents), expected, rtol=0, atol=1e-5)
        expected = theirs.encode_query(queries, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode(queries, kind="query"), expected, rtol=0, atol=1e-5)
