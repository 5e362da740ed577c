"""Every family of transformers beside sentence-transformers: random weights of odd sizes, and real models."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from revector import CrossEncoder, Encoder, _core

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # torch's and transformers' own
    pytest.mark.skipif(_core.active_isa() == "scalar", reason="minutes on the scalar kernels"),
]

torch = pytest.importorskip("torch")
peer = pytest.importorskip("sentence_transformers")

from families import FAMILIES, WORDS, make_model  # noqa: E402
from sentence_transformers.sentence_transformer import modules as parts  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden"
HOSTILE = 32  # texts of the golden file before its prose
MODELS = Path(os.environ.get("REVECTOR_MODELS", "~/.cache/revector-models")).expanduser()
# MiniLM is fetched; of the others those are tried that lie in $REVECTOR_MODELS.
REAL = {f"real-{name}": name for name in ("minilm", "bge", "mpnet") if name == "minilm" or (MODELS / name).exists()}
LENGTHS = (0, 1, 2, 17, 509, 510, 511, 512, 10_000)  # words or tokens; two special tokens come on top
EXTREMES = [LENGTHS.index(n) for n in (0, 1, 2, 511, 512, 10_000)]


class Compared(NamedTuple):
    folder: Path
    texts: list[str]
    expected: NDArray[np.float32]
    n_documents: int  # the last of the texts; those before are there for their lengths


def texts_of(lengths: tuple[int, ...], seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, n)) for n in lengths]
    return [*texts, "ba <pad> be", "  bi  unheard-of bo  "]


def golden_documents() -> list[str]:
    """Return documentation, for trained models are made for language."""
    with np.load(GOLDEN / "encoder.npz") as stored:
        texts: list[str] = json.loads(stored["texts"].tobytes())
    return texts[HOSTILE:]


def prose_of(folder: Path, lengths: tuple[int, ...]) -> list[str]:
    """Return passages of so many tokens each."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    documents, passages = golden_documents(), []
    for n in lengths:
        text = " ".join(documents)
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        passages.append(text[: offsets[n - 1][1]] if n else "")
        documents = documents[80:] + documents[:80]  # so that what models take of the passages has nothing in common
    assert [len(tokenizer.encode(text, add_special_tokens=False)) for text in passages] == list(lengths)
    return passages


def by_torch(folder: Path, texts: list[str]) -> NDArray[np.float32]:
    model = peer.SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return model.encode(texts, normalize_embeddings=True, batch_size=4)


def assert_equal(folder: Path, texts: list[str], expected: NDArray[np.float32] | None = None) -> None:
    found = Encoder.from_pretrained(folder, precision="float32").encode(texts)
    expected = by_torch(folder, texts) if expected is None else expected
    print(f"{folder.name}: max abs {np.abs(found - expected).max():.2g}")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def cosines(compared: Compared, precision: str) -> NDArray[np.float32]:
    encoder = Encoder.from_pretrained(compared.folder, precision=precision)
    assert encoder.precision == precision
    found = (encoder.encode(compared.texts) * compared.expected).sum(axis=1)
    of_documents, of_extremes = found[-compared.n_documents :].mean(), found[EXTREMES]
    print(f"{compared.folder.name} in {precision}: min {found.min():.6f}, documents in the mean {of_documents:.6f}")
    print(f"    extreme lengths in the mean {of_extremes.mean():.6f}: {of_extremes.round(5)}")
    return found


@pytest.fixture(scope="module", params=[*FAMILIES, *REAL])
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A model, texts of every length that matters, and their rows by torch, which alone takes long to make them."""
    name = request.param
    if name in REAL:
        real = request.getfixturevalue("minilm_folder") if REAL[name] == "minilm" else MODELS / REAL[name]
        folder, documents = real, golden_documents()[:100]
        texts = [*prose_of(folder, LENGTHS), *texts_of(())]
    else:
        folder, documents = make_model(name, tmp_path_factory.mktemp(name)), texts_of(tuple(range(3, 60)), seed=1)
        texts = texts_of(LENGTHS)
    texts += documents
    return Compared(folder, texts, by_torch(folder, texts), len(documents))


def test_every_family_and_real_models_equal_sentence_transformers(compared: Compared) -> None:
    assert_equal(compared.folder, compared.texts, compared.expected)


def test_bfloat16_stays_within_its_bound_of_torch_in_float32(compared: Compared) -> None:
    assert cosines(compared, "bfloat16").min() >= 0.9999


@pytest.fixture(scope="module")
def int8_cosines(compared: Compared) -> NDArray[np.float32]:
    return cosines(compared, "int8")


def test_int8_of_documents_is_in_the_mean_within_its_bound(
    compared: Compared, int8_cosines: NDArray[np.float32]
) -> None:
    assert int8_cosines[-compared.n_documents :].mean() >= 0.998


def test_int8_of_extreme_lengths_is_in_the_mean_within_its_bound(int8_cosines: NDArray[np.float32]) -> None:
    # A text of no words is nothing but special tokens, whose few outlier channels eight bits cannot hold.
    assert int8_cosines[EXTREMES].mean() >= 0.998


@pytest.mark.parametrize("weights", ["float16", "bfloat16"])
def test_half_precision_weights_in_shards_equal_sentence_transformers(weights: str, tmp_path: Path) -> None:
    folder = make_model("bert", tmp_path / weights, weights=getattr(torch, weights), max_shard_size="500KB")
    assert (folder / "model.safetensors.index.json").exists()
    assert_equal(folder, texts_of((1, 20)))


@pytest.mark.parametrize(
    "mode", ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("lasttoken", "mean", "cls")]
)
def test_every_pooling_equals_sentence_transformers(mode: str | tuple[str, ...], tmp_path: Path) -> None:
    transformer = parts.Transformer(str(make_model("roberta", tmp_path / "base")))
    pooling = parts.Pooling(312, pooling_mode=mode)
    peer.SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(tmp_path / "saved"))
    assert_equal(tmp_path / "saved", texts_of((0, 1, 2, 40)))


def test_dense_layers_equal_sentence_transformers(tmp_path: Path) -> None:
    transformer = parts.Transformer(str(make_model("distilbert", tmp_path / "base")))
    layers = [
        parts.Pooling(312, pooling_mode=("cls", "mean")),
        parts.Normalize(),
        parts.Dense(624, 128, activation_function=torch.nn.GELU()),
        parts.Dense(128, 70, bias=False, activation_function=torch.nn.Identity()),
        parts.Dense(70, 70),
        parts.Normalize(),
    ]
    peer.SentenceTransformer(modules=[transformer, *layers], device="cpu").save(str(tmp_path / "saved"))
    assert_equal(tmp_path / "saved", texts_of((0, 1, 2, 40)))


def assert_scores_equal(folder: Path, questions: Iterable[tuple[str, list[str]]], tolerance: float) -> None:
    ours = CrossEncoder.from_pretrained(folder)
    theirs = peer.CrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    for query, texts in questions:
        pairs = [(query, text) for text in texts]
        logits = theirs.predict(pairs, activation_fn=torch.nn.Identity(), batch_size=4)
        found = ours.score(query, texts, activation="none")
        print(f"{folder.name}: logits of spread {np.std(logits):.2g}, max abs {np.abs(found - logits).max():.2g}")
        assert found.shape == logits.shape
        np.testing.assert_allclose(found, logits, rtol=0, atol=tolerance)
        # What follows the logits knows nothing of lengths, so a few short texts do.
        np.testing.assert_allclose(ours.score(query, texts[:2]), theirs.predict(pairs[:2]), rtol=0, atol=tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_cross_encoders_equal_sentence_transformers(family: str, tmp_path: Path) -> None:
    folder = make_model(family, tmp_path / family, head="ForSequenceClassification", num_labels=1)
    # Three or four tokens are special: beside a query of 3 words texts of 506 or 505 fit, beside one of 360 those of
    # 149 or 148.
    questions = [
        ("", texts_of((0, 1, 17))),
        ("ba be bi", texts_of((0, 1, 2, 17, 505, 506, 507, 10_000))),
        (" ".join(WORDS * 3), texts_of((0, 148, 149, 150, 512, 10_000))),
    ]
    assert_scores_equal(folder, questions, 1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_cross_encoders_of_several_labels_equal_sentence_transformers(family: str, tmp_path: Path) -> None:
    folder = make_model(family, tmp_path / family, head="ForSequenceClassification", num_labels=3)
    assert_scores_equal(folder, [("ba be bi", texts_of((0, 1, 17, 100)))], 1e-4)


@pytest.mark.skipif(not (MODELS / "reranker").exists(), reason="needs a peer's model: reranker in $REVECTOR_MODELS")
def test_the_real_reranker_equals_sentence_transformers() -> None:
    folder = MODELS / "reranker"
    answers = [
        "Berlin has about 3.7 million inhabitants.",
        "Bread is made of flour.",
        "",
        "  spaces  ",
        "à la carte 中文",
    ]
    questions = [
        ("How many people live in Berlin?", [*answers, *texts_of(()), *prose_of(folder, (17, 502, 503, 10_000))]),
        ("word " * 700, [*answers, *prose_of(folder, (300, 10_000))]),
    ]
    assert_scores_equal(folder, questions, 1e-3)
