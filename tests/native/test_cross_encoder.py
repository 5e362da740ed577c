"""The face of the core's cross-encoder: pairs, activations, order, refusals. tests/peers compares its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import tiny_bert
from revector import CrossEncoder, _core
from revector.errors import EncoderError, InvalidArgumentError
from revector.rerank import cross

TEXTS = ["bake bread", "", "a bicycle and many others sing in tune", "unheard of", "bread " * 100]
QUERY = "how to mend a bicycle"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert.make(tmp_path / "model", labels=1)


@pytest.fixture
def encoder(folder: Path) -> CrossEncoder:
    return CrossEncoder.from_pretrained(folder)


def by_hand(folder: Path, query: str, text: str) -> float:
    """Return the logit by the core alone, from a pair that is tokenised by itself."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(tiny_bert.POSITIONS, strategy="longest_first")
    encoding = tokenizer.encode(query, text)
    ids, types = np.array(encoding.ids, np.int32), np.array(encoding.type_ids, np.int32)
    return float(_core.CrossEncoder(str(folder)).score(ids, np.array([0, len(ids)], np.int64), types)[0, 0])


def test_pairs_carry_types_and_are_cut_longest_first(folder, encoder):
    expected = [by_hand(folder, QUERY, text) for text in TEXTS]
    np.testing.assert_array_equal(encoder.score(QUERY, TEXTS, activation="none"), np.float32(expected))
    long_query = "bake bread " * 40
    expected = [by_hand(folder, long_query, text) for text in TEXTS]
    np.testing.assert_array_equal(encoder.score(long_query, TEXTS, activation="none"), np.float32(expected))


def test_types_matter(folder, encoder):
    core = _core.CrossEncoder(str(folder))
    ids, offsets = np.array([0, 5, 1, 6, 1], np.int32), np.array([0, 5], np.int64)
    typed = core.score(ids, offsets, np.array([0, 0, 0, 1, 1], np.int32))
    assert typed != core.score(ids, offsets, np.empty(0, np.int32))


def test_order_and_slices_do_not_matter(encoder, monkeypatch):
    texts = [" ".join(tiny_bert.WORDS[i % 7 : i % 11 + 1]) for i in range(50)]
    whole = encoder.score(QUERY, texts)
    monkeypatch.setattr(cross, "_SLICE_PAIRS", 7)
    monkeypatch.setattr(cross, "_SLICE_CHARACTERS", 150)
    np.testing.assert_array_equal(encoder.score(QUERY, texts[::-1])[::-1], whole)
    assert len(set(whole.tolist())) > 5


def test_a_long_query_is_tokenised_with_few_texts_at_once(encoder, monkeypatch):
    monkeypatch.setattr(cross, "_SLICE_CHARACTERS", 100)
    tokenize, pairs = encoder._tokenize, []

    def counting(query, texts, first):
        pairs.append(len(texts))
        return tokenize(query, texts, first)

    monkeypatch.setattr(encoder, "_tokenize", counting)
    encoder.score("bake " * 9, ["a"] * 5)
    encoder.score("bake " * 900, ["a"] * 3)
    assert pairs == [2, 2, 1, 1, 1, 1]


def test_one_label_goes_through_the_sigmoid_unless_told_otherwise(folder, encoder):
    logits = encoder.score(QUERY, TEXTS, activation="none").astype(np.float64)
    np.testing.assert_allclose(encoder.score(QUERY, TEXTS), 1 / (1 + np.exp(-logits)), rtol=0, atol=1e-7)
    assert encoder.score(QUERY, TEXTS).shape == (5,)


@pytest.mark.parametrize(
    "fields",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "6"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
)
def test_the_configuration_names_the_activation(tmp_path, fields):
    encoder = CrossEncoder.from_pretrained(tiny_bert.make(tmp_path / "model", labels=1, **fields))
    np.testing.assert_array_equal(encoder.score(QUERY, TEXTS), encoder.score(QUERY, TEXTS, activation="none"))


def test_several_labels_are_logits(tmp_path):
    fields = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}
    plain = CrossEncoder.from_pretrained(tiny_bert.make(tmp_path / "plain", labels=3))
    squashed = CrossEncoder.from_pretrained(tiny_bert.make(tmp_path / "squashed", labels=3, **fields))
    logits = plain.score(QUERY, TEXTS)
    assert (plain.labels, logits.shape) == (3, (5, 3))
    np.testing.assert_array_equal(logits, plain.score(QUERY, TEXTS, activation="none"))
    np.testing.assert_allclose(squashed.score(QUERY, TEXTS), 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_the_sigmoid_of_large_logits_neither_overflows_nor_warns():
    found = cross._sigmoid(np.array([-1e4, -90, 0, 90, 1e4], np.float32))
    np.testing.assert_allclose(found, [0, 8.2e-40, 0.5, 1, 1], atol=1e-38)


def test_no_texts_have_no_scores(encoder):
    assert encoder.score(QUERY, []).shape == (0,)


@pytest.mark.parametrize(
    ("query", "texts"), [(None, ["a"]), (["a"], ["a"]), ("a", "text"), ("a", [None]), ("a", 3), (b"a", ["a"])]
)
def test_what_is_not_text_is_refused(encoder, query, texts):
    with pytest.raises(InvalidArgumentError, match="expected"):
        encoder.score(query, texts)


def test_unknown_options_are_refused(folder, encoder):
    with pytest.raises(InvalidArgumentError, match="activation is 'softmax'"):
        encoder.score(QUERY, TEXTS, activation="softmax")
    with pytest.raises(InvalidArgumentError, match="threads is 0"):
        CrossEncoder.from_pretrained(folder, threads=0)


def test_half_a_surrogate_pair_is_named(encoder, monkeypatch):
    monkeypatch.setattr(cross, "_SLICE_PAIRS", 2)
    with pytest.raises(EncoderError, match="text 3 is not valid Unicode"):
        encoder.score(QUERY, ["a", "b", "c", "\ud83d"])
    with pytest.raises(EncoderError, match="the query is not valid Unicode"):
        encoder.score("\ud83d", ["a"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("tokenizer.json", "{", "is not a tokeniser"),
        ("tokenizer_config.json", '{"truncation_side": "top"}', "truncation_side is 'top'"),
        ("sentence_bert_config.json", '{"do_lower_case": true}', "do_lower_case is true"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "query"}', "default_prompt_name is 'query'"),
        ("config.json", None, "config.json cannot be read"),
        ("model.safetensors", None, "model.safetensors is missing"),
    ],
)
def test_spoiled_folders_are_refused(folder, name, content, message):
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(EncoderError, match=message):
        CrossEncoder.from_pretrained(folder)


@pytest.mark.parametrize("activation", ["torch.nn.modules.activation.ReLU", "mine.Sigmoid", 3])
def test_unknown_activations_are_refused_with_the_way_out(tmp_path, activation):
    folder = tiny_bert.make(tmp_path / "model", labels=1, sentence_transformers={"activation_fn": activation})
    with pytest.raises(EncoderError, match=r"activation_fn is .*use sentence-transformers' CrossEncoder"):
        CrossEncoder.from_pretrained(folder)


def test_an_embedding_model_is_no_cross_encoder(tmp_path):
    folder = tiny_bert.make(tmp_path / "model")
    with pytest.raises(EncoderError, match=r"no tensor 'classifier\.weight'"):
        CrossEncoder.from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(tiny_bert.config(architectures=["BertModel"])))
    with pytest.raises(EncoderError, match="not a cross-encoder"):
        CrossEncoder.from_pretrained(folder)


@pytest.mark.parametrize("precision", ["bfloat16", "int8", "auto"])
def test_a_lower_precision_moves_logits_little(folder, encoder, precision):
    exact = encoder.score(QUERY, TEXTS, activation="none")
    close = CrossEncoder.from_pretrained(folder, precision=precision).score(QUERY, TEXTS, activation="none")
    np.testing.assert_allclose(close, exact, rtol=0, atol=0.05)


def test_an_unknown_precision_is_refused(folder):
    with pytest.raises(InvalidArgumentError, match="precision is 'float16'"):
        CrossEncoder.from_pretrained(folder, precision="float16")
