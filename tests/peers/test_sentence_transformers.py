"""The encoder beside sentence-transformers itself, over documentation that is written nowhere in the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import models as tokenizer_models

from revector import Encoder, _core
from revector.encoders.sentence_transformers import SentenceTransformersEncoder
from revector.encoders.sources import load_encoder
from revector.errors import DeviceUnavailableError, EncoderError, InvalidArgumentError
from revector.formats.judgements import Corpus

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
    documents, queries = list(docstring_corpus.documents.values())[:100], list(docstring_corpus.queries.values())
    for folder in folders:
        ours, theirs = (
            Encoder.from_pretrained(folder, precision="float32"),
            peer.SentenceTransformer(str(folder), device="cpu"),
        )
        expected = theirs.encode_document(documents, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode(documents), expected, rtol=0, atol=1e-5)
        expected = theirs.encode_query(queries, normalize_embeddings=True)
        np.testing.assert_allclose(ours.encode(queries, kind="query"), expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def by_torch(minilm_folder: Path) -> SentenceTransformersEncoder:
    pytest.importorskip("sentence_transformers")
    return SentenceTransformersEncoder.from_pretrained(minilm_folder, device="cpu")


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model of a family that the core does not know: a tiny GPT-2 with a Dense layer."""
    peer, transformers = pytest.importorskip("sentence_transformers"), pytest.importorskip("transformers")
    from sentence_transformers import models

    folder = tmp_path_factory.mktemp("gpt")
    tokenizer = Tokenizer(tokenizer_models.WordLevel({"[UNK]": 0, "a": 1, "b": 2, "find": 3}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[UNK]")
    config = transformers.GPT2Config(vocab_size=4, n_embd=16, n_layer=2, n_head=2, n_positions=32, eos_token_id=None)
    transformers.GPT2Model(config).save_pretrained(folder / "body")
    fast.save_pretrained(folder / "body")
    pipeline = [
        models.Transformer(str(folder / "body"), max_seq_length=20),
        models.Pooling(16, pooling_mode="lasttoken"),
        models.Dense(16, 8),
    ]
    peer.SentenceTransformer(modules=pipeline, device="cpu", prompts={"query": "find ", "document": ""}).save(
        str(folder / "model")
    )
    return folder / "model"


def test_by_torch_is_the_same_space_and_the_same_rows_as_native(
    by_torch: SentenceTransformersEncoder, minilm_folder: Path, docstring_corpus: Corpus
) -> None:
    native = Encoder.from_pretrained(minilm_folder, precision="float32")
    texts = list(docstring_corpus.documents.values())[:20]
    assert by_torch.space == native.space
    np.testing.assert_allclose(by_torch.encode(texts), native.encode(texts), rtol=0, atol=1e-5)


def test_a_model_the_core_does_not_know_is_run_by_torch(gpt: Path) -> None:
    with pytest.raises(EncoderError, match="sentence-transformers encoder"):
        load_encoder(str(gpt))
    encoder = load_encoder(f"sentence-transformers:{gpt}")
    peer = pytest.importorskip("sentence_transformers").SentenceTransformer(str(gpt), device="cpu")
    texts = ["a b", "b", "a a a a"]
    expected = peer.encode(["find " + text for text in texts], normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(texts, kind="query"), expected, atol=1e-5)
    assert (encoder.space.dimension, encoder.space.pooling, encoder.space.max_length) == (8, "lasttoken", 20)
    assert encoder.space.query_prefix == "find "


def test_its_space_is_its_content_and_its_source_leads_back(gpt: Path, tmp_path: Path) -> None:
    encoder = SentenceTransformersEncoder.from_pretrained(gpt, device="cpu", dimensions=4, max_length=5)
    assert load_encoder(encoder.source or "").space == encoder.space
    copy = shutil.copytree(gpt, tmp_path / "copy")
    moved = SentenceTransformersEncoder.from_pretrained(copy, device="cpu", dimensions=4, max_length=5)
    assert moved.space.fingerprint == encoder.space.fingerprint
    dense = next(copy.glob("*_Dense/model.safetensors"))
    content = bytearray(dense.read_bytes())
    content[-4] ^= 1
    dense.write_bytes(content)
    changed = SentenceTransformersEncoder.from_pretrained(copy, device="cpu", dimensions=4, max_length=5)
    assert changed.space.fingerprint != encoder.space.fingerprint


def test_half_precision_is_the_same_space_and_nearly_the_same_rows(
    by_torch: SentenceTransformersEncoder, minilm_folder: Path
) -> None:
    half = SentenceTransformersEncoder.from_pretrained(minilm_folder, device="cpu", precision="bfloat16")
    assert half.space == by_torch.space
    texts = ["how to bake bread", "how to mend a bicycle", "a"]
    rows = half.encode(texts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    cosines = (rows * by_torch.encode(texts)).sum(axis=1)
    assert 0.99 < cosines.min() < 1 - 1e-6  # and it was done in half precision


def test_a_model_in_memory_is_identified_by_its_weights(gpt: Path) -> None:
    model = pytest.importorskip("sentence_transformers").SentenceTransformer(str(gpt), device="cpu")
    before = SentenceTransformersEncoder(model)
    assert before.source is None
    assert SentenceTransformersEncoder(model).space == before.space
    next(model.parameters()).data[0, 0] += 1
    assert SentenceTransformersEncoder(model).space != before.space


def test_what_can_not_be_loaded_or_run_says_so(tmp_path: Path, minilm_folder: Path) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(EncoderError, match="sentence-transformers cannot load"):
        SentenceTransformersEncoder.from_pretrained(tmp_path / "nowhere", device="cpu")
    with pytest.raises(InvalidArgumentError, match="device is 'warp'"):
        SentenceTransformersEncoder.from_pretrained(minilm_folder, device="warp")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceUnavailableError, match="no CUDA device"):
            SentenceTransformersEncoder.from_pretrained(minilm_folder, device="cuda")


def test_a_static_model_runs_too(tmp_path: Path) -> None:
    peer = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import StaticEmbedding

    tokenizer = Tokenizer(tokenizer_models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(1).standard_normal((3, 6), dtype=np.float32)
    peer.SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu").save(
        str(tmp_path / "static")
    )
    encoder = SentenceTransformersEncoder.from_pretrained(tmp_path / "static", device="cpu")
    mean = table[1:].mean(axis=0)
    np.testing.assert_allclose(encoder.encode(["a b"])[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert encoder.space.max_length is None
