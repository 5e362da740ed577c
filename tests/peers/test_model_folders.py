"""Fields of a model folder: what sentence-transformers does about them is done, or refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers import models as tokenizer_models

from revector import Encoder, _core
from revector.encoders.sentence_transformers import SentenceTransformersEncoder
from revector.errors import EncoderError

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # torch's and transformers' own
    pytest.mark.skipif(_core.active_isa() == "scalar", reason="minutes on the scalar kernels"),
]

peer = pytest.importorskip("sentence_transformers")
torch = pytest.importorskip("torch")

from sentence_transformers.sentence_transformer import modules as parts  # noqa: E402

TEXTS = [
    "The Capital of France is Paris",
    "Zürich Café",
    "東京 tower",
    "one two three four " * 100 + "penguins",
    "a [MASK] of breadth and bread",
    "",
]
CONFIG, LIMITS, USE = "tokenizer_config.json", "sentence_bert_config.json", "config_sentence_transformers.json"
BREAD = {"content": "bread", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
PROMPTS = {"prompts": {"query": "find this: ", "document": "text: "}}


def write(path: Path, **fields: Any) -> None:
    present = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**present, **fields}))


@pytest.fixture
def folder(minilm_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(minilm_folder, tmp_path / "model")


@pytest.fixture(scope="module")
def plain(minilm_folder: Path) -> str:
    """Return the fingerprint of the folder as it is."""
    return Encoder.from_pretrained(minilm_folder).space.fingerprint


def assert_one_space(folder: Path) -> str:
    """Check that both encoders give the same rows under the same fingerprint, and return it."""
    native = Encoder.from_pretrained(folder, precision="float32")
    by_torch = SentenceTransformersEncoder.from_pretrained(folder, device="cpu")
    assert by_torch.space == native.space
    for kind in ("document", "query"):
        np.testing.assert_allclose(
            native.encode(TEXTS, kind=kind), by_torch.encode(TEXTS, kind=kind), rtol=0, atol=1e-5
        )
    return native.space.fingerprint


OBEYED = [
    [(CONFIG, {"do_lower_case": False})],
    [(CONFIG, {"strip_accents": False})],
    [(CONFIG, {"tokenize_chinese_chars": False})],
    [(CONFIG, {"truncation_side": "left"})],
    [(CONFIG, {"added_tokens_decoder": {"7852": BREAD}})],
    [(CONFIG, {"additional_special_tokens": ["bread"]})],
    [(CONFIG, {"extra_special_tokens": {"food_token": "bread"}})],
    [(CONFIG, {"bos_token": "bread"})],
    [("special_tokens_map.json", {"eos_token": "bread"})],
    [("added_tokens.json", {"bread": 7852})],
    [(LIMITS, {"max_seq_length": 7})],
    [(LIMITS, {"max_seq_length": None}), (CONFIG, {"model_max_length": 7})],
    [(LIMITS, {"do_lower_case": True}), (CONFIG, {"do_lower_case": False})],
    [(USE, {"truncate_dim": 64})],
    [(USE, PROMPTS)],
    [(USE, PROMPTS), ("1_Pooling/config.json", {"include_prompt": False})],
    [(USE, PROMPTS), ("1_Pooling/config.json", {"include_prompt": False}), (CONFIG, {"truncation_side": "left"})],
    [("config.json", {"layer_norm_eps": 0.1})],
    [("config.json", {"hidden_act": "relu"})],
]


@pytest.mark.parametrize("changes", OBEYED)
def test_an_obeyed_field_gives_the_rows_of_sentence_transformers_in_a_space_of_its_own(
    changes: list[tuple[str, dict[str, Any]]], folder: Path, plain: str
) -> None:
    for file, fields in changes:
        write(folder / file, **fields)
    assert assert_one_space(folder) != plain


IRRELEVANT = [
    (CONFIG, {"add_bos_token": True, "add_eos_token": True}),
    (CONFIG, {"max_length": 5, "stride": 2, "truncation": False, "padding": "max_length"}),
    (CONFIG, {"clean_up_tokenization_spaces": True, "chat_template": "{{x}}", "wordpieces_prefix": "@@"}),
    (CONFIG, {"tokenizer_class": "PreTrainedTokenizerFast"}),
    (CONFIG, {"never_split": ["bread"], "do_basic_tokenize": False, "keep_accents": True, "lowercase": False}),
    (CONFIG, {"pad_token": "[UNK]"}),
    (USE, {"similarity_fn_name": "dot"}),
    (USE, {"default_prompt_name": "query", "truncate_dim": 1000}),
    ("1_Pooling/config.json", {"include_prompt": False}),
]


@pytest.mark.parametrize(("file", "fields"), IRRELEVANT)
def test_an_irrelevant_field_changes_neither_rows_nor_space(
    file: str, fields: dict[str, Any], folder: Path, plain: str
) -> None:
    write(folder / file, **fields)
    assert assert_one_space(folder) == plain


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        (CONFIG, {"split_special_tokens": True}),
        (CONFIG, {"cls_token": "[SEP]"}),
        (LIMITS, {"query_length": 3}),
        (LIMITS, {"tokenizer_args": {"do_lower_case": False}}),
        (LIMITS, {"processing_kwargs": {"text": {"max_length": 5}}}),
        ("config.json", {"is_decoder": True}),
        ("config.json", {"hidden_act": "silu"}),
    ],
)
def test_what_only_torch_does_is_refused_by_name_and_another_space(
    file: str, fields: dict[str, Any], folder: Path, plain: str
) -> None:
    write(folder / file, **fields)
    with pytest.raises(EncoderError, match=f"{next(iter(fields))} is .*use the sentence-transformers encoder"):
        Encoder.from_pretrained(folder)
    assert SentenceTransformersEncoder.from_pretrained(folder, device="cpu").space.fingerprint != plain


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        (CONFIG, {"padding_side": "left"}),
        (CONFIG, {"model_input_names": ["input_ids"]}),
        (USE, {"similarity_fn_name": "manhattan"}),
        (USE, {"truncate_dim": "64"}),
    ],
)
def test_what_no_encoder_does_is_refused_by_both(file: str, fields: dict[str, Any], folder: Path) -> None:
    write(folder / file, **fields)
    for encoder in (Encoder, SentenceTransformersEncoder):
        with pytest.raises(EncoderError, match=f"{file}: {next(iter(fields))} is .*; edit the file"):
            encoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["dot", "euclidean"])
def test_a_model_in_memory_that_is_not_compared_by_the_cosine_is_refused(name: str, folder: Path) -> None:
    model = peer.SentenceTransformer(str(folder), device="cpu", similarity_fn_name=name)
    SentenceTransformersEncoder(model)  # which ends in unit rows
    del model[2]
    with pytest.raises(EncoderError, match=f"similarity_fn_name of the model is '{name}'"):
        SentenceTransformersEncoder(model)


def static(folder: Path, *, max_length: int | None = None) -> Path:
    """Save a StaticEmbedding of a few words."""
    words = ["[UNK]", "the", "capital", "of", "one", "two", "three", "four", "a", "bread"]
    tokenizer = Tokenizer(tokenizer_models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if max_length is not None:
        tokenizer.enable_truncation(max_length, direction="left")
    table = np.random.default_rng(1).standard_normal((len(words), 6), dtype=np.float32)
    embedding = parts.StaticEmbedding(tokenizer, embedding_weights=table)
    peer.SentenceTransformer(modules=[embedding], device="cpu").save(str(folder))
    return folder


@pytest.mark.parametrize("max_length", [None, 3])
def test_a_static_embedding_is_one_space_whoever_reads_it(max_length: int | None, tmp_path: Path) -> None:
    folder = static(tmp_path / "static", max_length=max_length)
    native = Encoder.from_pretrained(folder)
    by_torch = SentenceTransformersEncoder.from_pretrained(folder, device="cpu")
    assert by_torch.space == native.space
    assert native.space.pooling == "mean"
    texts = TEXTS[:-1]
    np.testing.assert_allclose(native.encode(texts), by_torch.encode(texts), atol=1e-6)


def test_weights_in_pickle_beside_safetensors_are_run_by_torch(folder: Path) -> None:
    dense = parts.Dense(384, 8)
    model = peer.SentenceTransformer(str(folder), device="cpu")
    model.insert(2, dense)
    model.save(str(folder.parent / "saved"))
    place = folder.parent / "saved" / "2_Dense"
    (place / "model.safetensors").unlink()
    torch.save(dense.state_dict(), place / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"2_Dense/pytorch_model.bin is there"):
        Encoder.from_pretrained(folder.parent / "saved")
    assert SentenceTransformersEncoder.from_pretrained(folder.parent / "saved", device="cpu").space.dimension == 8


@pytest.mark.parametrize("name", ["SiLU", "LeakyReLU", "Softplus", "ELU"])
def test_activations_of_a_dense_module_equal_those_of_torch(name: str, folder: Path) -> None:
    model = peer.SentenceTransformer(str(folder), device="cpu")
    torch.manual_seed(0)
    model.insert(2, parts.Dense(384, 16, activation_function=getattr(torch.nn, name)()))
    model.save(str(folder.parent / "saved"))
    assert_one_space(folder.parent / "saved")


def test_a_cross_encoder_does_what_tokenizer_config_json_says(folder: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(str(folder), num_labels=1)
    shutil.rmtree(folder / "1_Pooling")
    for name in ("modules.json", LIMITS, USE):
        (folder / name).unlink()
    model.save_pretrained(folder)
    from revector import CrossEncoder

    for change in ({"do_lower_case": False}, {"strip_accents": False}, {"truncation_side": "left"}):
        write(folder / CONFIG, **change)
        theirs = peer.CrossEncoder(str(folder), device="cpu")
        expected = theirs.predict([("The Zürich", text) for text in TEXTS], activation_fn=torch.nn.Identity())
        found = CrossEncoder.from_pretrained(folder).score("The Zürich", TEXTS, activation="none")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
