"""Folders as model2vec 0.10 writes them, of every kind of tokeniser and number, beside the package itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from revector import Encoder
from revector.encoders.native.tokenization.hostile import HOSTILE
from revector.formats.judgements import Corpus

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # the package's own
model2vec = pytest.importorskip("model2vec")

UNKNOWN = "[UNK]"
SIZES: dict[str, Any] = {"vocab_size": 600, "special_tokens": [UNKNOWN], "show_progress": False}
KINDS = {
    "WordLevel": (lambda: models.WordLevel(unk_token=UNKNOWN), lambda: trainers.WordLevelTrainer(**SIZES)),
    "WordPiece": (lambda: models.WordPiece(unk_token=UNKNOWN), lambda: trainers.WordPieceTrainer(**SIZES)),
    "BPE": (lambda: models.BPE(unk_token=UNKNOWN, fuse_unk=True), lambda: trainers.BpeTrainer(**SIZES)),
    "BPE of bytes": (models.BPE, lambda: trainers.BpeTrainer(**{**SIZES, "special_tokens": []})),
    "Unigram": (models.Unigram, lambda: trainers.UnigramTrainer(unk_token=UNKNOWN, **SIZES)),
    "Unigram without unknown": (models.Unigram, lambda: trainers.UnigramTrainer(**{**SIZES, "special_tokens": []})),
}


def trained(kind: str, texts: list[str]) -> Tokenizer:
    model, trainer = KINDS[kind]
    tokenizer = Tokenizer(model())
    if kind == "BPE of bytes":
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    elif kind.startswith("Unigram"):
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainer())
    return tokenizer


def saved(folder: Path, tokenizer: Tokenizer, *, clusters: int | None = None, dtype: str | None = None) -> Any:
    """Write a model of random rows; a few dimensions, so that one token too many is seen at once."""
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((tokenizer.get_vocab_size(), 24), dtype=np.float32)
    model = model2vec.StaticModel(rows, tokenizer, normalize=True, max_length=64)
    if clusters or dtype:
        model = model2vec.model.quantize_model(model, vocabulary_quantization=clusters, quantize_to=dtype)
    model.save_pretrained(folder)
    return model2vec.StaticModel.from_pretrained(folder)


def unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)


@pytest.fixture(scope="module")
def texts(docstring_corpus: Corpus) -> list[str]:
    return [*docstring_corpus.documents.values(), *HOSTILE]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokeniser_equals_model2vec(kind: str, texts: list[str], tmp_path: Path) -> None:
    peer = saved(tmp_path / "model", trained(kind, texts[:200]))
    if kind == "Unigram without unknown":  # HF tokenizers take no characters but those it was trained on
        texts = texts[:200]
    np.testing.assert_allclose(
        Encoder.from_pretrained(tmp_path / "model").encode(texts), unit(peer.encode(texts)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("clusters", [None, 100])
@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64"])
def test_every_kind_of_number_equals_model2vec(
    dtype: str, clusters: int | None, texts: list[str], tmp_path: Path
) -> None:
    peer = saved(tmp_path / "model", trained("WordPiece", texts[:200]), clusters=clusters, dtype=dtype)
    assert peer.embedding.dtype == dtype
    tolerance = 2e-3 if dtype == "float16" else 1e-5  # model2vec rounds its means to float16 as well
    found = Encoder.from_pretrained(tmp_path / "model").encode(texts)
    np.testing.assert_allclose(found, unit(peer.encode(texts)), rtol=0, atol=tolerance)
