"""Every field of every file of a model folder is obeyed, irrelevant, or refused by name."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import tiny_bert
from revector import Encoder
from revector.encoders.native.folder_fields import UnknownFieldWarning, read_fields, transformers
from revector.encoders.native.folder_fields import sentence_transformers as pipelines
from revector.encoders.native.folder_fields.page import markdown
from revector.encoders.native.folder_fields.rules import Table, Use
from revector.errors import EncoderError

GOLDEN = Path(__file__).parents[1] / "golden"
USE = "config_sentence_transformers.json"
WORDS = ["a", "cafe", "cafecafe", "café", "Café", "tokyo", "東", "京", "東京", "one", "two", "three", "four"]
TEXTS = ["a Café", "東京 tokyo", "one two three four one two three four one two three four cafe", "cafecafe"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a tiny BERT as sentence-transformers saves it, with a tokeniser of BERT's kind."""
    folder = tiny_bert.make(tmp_path / "model")
    vocabulary = {word: i for i, word in enumerate(["[CLS]", "[SEP]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", "[UNK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny_bert.add_dense(folder)
    write(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer", do_lower_case=True, model_max_length=16)
    write(folder / "sentence_bert_config.json", max_seq_length=10, do_lower_case=False)
    write(folder / USE, prompts={"query": "two three ", "document": ""})
    return folder


def write(path: Path, **fields: Any) -> None:
    """Put fields into a file of a folder, beside those that are there."""
    present = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**present, **fields}))


def load(folder: Path) -> Encoder:
    return Encoder.from_pretrained(folder, precision="float32")


# Each file whose table has fields that are refused, and that table.
TABLES: dict[str, Table] = {
    "config.json": transformers.CONFIG["bert"],
    "tokenizer_config.json": transformers.tokenizer_config("bert"),
    "sentence_bert_config.json": pipelines.SENTENCE_CONFIG,
    USE: pipelines.sentences_config(normalized=False),
    "2_Dense/config.json": pipelines.MODULE_CONFIGS["Dense"],
}
REFUSED = [(file, name) for file, table in TABLES.items() for name, rule in table.items() if rule.use is Use.REFUSED]
ACCEPTED = [(file, name, value) for file, name in REFUSED for value in TABLES[file][name].accepts]
IRRELEVANT = [(f, name) for f, table in TABLES.items() for name, rule in table.items() if rule.use is Use.IRRELEVANT]


@pytest.mark.parametrize(("file", "name"), REFUSED)
def test_a_field_that_is_not_built_is_refused_by_name_with_a_way_out(folder: Path, file: str, name: str) -> None:
    write(folder / file, **{name: "something else"})
    way_out = "edit the file" if TABLES[file][name].everywhere else f"'sentence-transformers:{folder}'"
    said = f'{folder / file}: {name} is "something else", which is not supported ({TABLES[file][name].why}); '
    with pytest.raises(EncoderError, match=re.escape(said) + ".*" + re.escape(way_out)):
        load(folder)


@pytest.mark.parametrize(("file", "name", "value"), ACCEPTED)
def test_a_value_that_changes_nothing_is_not_refused(folder: Path, file: str, name: str, value: Any) -> None:
    write(folder / file, **{name: value})
    assert read_fields(folder).refusals == []
    write(folder / file, **{name: None})
    assert read_fields(folder).refusals == []


@pytest.mark.parametrize(("file", "name"), IRRELEVANT)
def test_an_irrelevant_field_is_neither_refused_nor_unknown_nor_a_deviation(folder: Path, file: str, name: str) -> None:
    write(folder / file, **{name: "something"})
    fields = read_fields(folder)
    assert (fields.refusals, fields.unknown, fields.deviations) == ([], [], {})


@pytest.mark.parametrize("name", ["minilm_folder", "wordllama_folder"])
def test_every_field_of_a_real_folder_is_on_a_table(name: str, request: pytest.FixtureRequest) -> None:
    fields = read_fields(request.getfixturevalue(name))
    assert (fields.refusals, fields.unknown, fields.deviations) == ([], [], {})


def test_every_field_of_a_folder_of_model2vec_is_on_a_table() -> None:
    fields = read_fields(GOLDEN / "model2vec_tiny")
    assert (fields.refusals, fields.unknown, fields.deviations) == ([], [], {})


def test_a_sound_folder_keeps_the_fingerprint_it_had_before_there_were_tables(minilm_folder: Path) -> None:
    assert load(minilm_folder).space.fingerprint == "856be09b52a696a3e90003a34f93ef66"


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", USE])
def test_an_unknown_field_of_a_file_that_grows_is_named_in_a_warning(folder: Path, file: str) -> None:
    write(folder / file, brand_new=1)
    with pytest.warns(UnknownFieldWarning, match=re.escape(f"{folder / file}: revector does not know brand_new")):
        load(folder)


@pytest.mark.parametrize("file", ["sentence_bert_config.json", "1_Pooling/config.json", "2_Dense/config.json"])
def test_an_unknown_field_of_a_file_of_modules_is_refused(folder: Path, file: str) -> None:
    write(folder / file, brand_new=1)
    with pytest.raises(EncoderError, match=f"{file}: brand_new is 1, which is not supported"):
        load(folder)


@pytest.mark.parametrize(
    "kind", [kind for kind, rule in pipelines.MODULE_TYPES.items() if rule.use is Use.REFUSED] + ["Somebodys"]
)
@pytest.mark.parametrize("place", [0, 2])
def test_a_module_that_the_core_does_not_have_names_the_encoder_that_runs_it(
    folder: Path, kind: str, place: int
) -> None:
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules[place] = {"type": f"sentence_transformers.models.{kind}", "path": "elsewhere"}
    path.write_text(json.dumps(modules))
    with pytest.raises(EncoderError, match=f"{kind}.*which is not supported.*'sentence-transformers:{folder}'"):
        load(folder)


@pytest.mark.parametrize("order", [(0, 2), (0, 1, 1), (1, 0)])
def test_modules_in_another_order_name_the_encoder_that_runs_them(folder: Path, order: tuple[int, ...]) -> None:
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    path.write_text(json.dumps([modules[i] for i in order]))
    with pytest.raises(EncoderError, match="use the sentence-transformers encoder"):
        load(folder)


@pytest.mark.parametrize("place", ["", "2_Dense"])
def test_weights_in_pickle_are_refused_with_the_way_to_convert_them(folder: Path, place: str) -> None:
    (folder / place / "model.safetensors").rename(folder / place / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"pytorch_model.bin is there.*save_pretrained.*'sentence-transformers:"):
        load(folder)


def test_weights_of_an_adapter_are_not_left_out_in_silence(folder: Path) -> None:
    write(folder / "adapter_config.json", peft_type="LORA")
    with pytest.raises(EncoderError, match=r"adapter_config\.json is there, which is not supported"):
        load(folder)


TOKEN = {"content": "cafe", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
# A change of a file: what it is, and which of TEXTS it changes; none where it says what is so anyway.
CHANGES = [
    ("tokenizer_config.json", {"do_lower_case": False}, [0]),
    ("tokenizer_config.json", {"do_lower_case": True, "strip_accents": False}, [0]),
    ("tokenizer_config.json", {"strip_accents": True, "tokenize_chinese_chars": True}, []),
    ("tokenizer_config.json", {"tokenize_chinese_chars": False}, [1]),
    ("tokenizer_config.json", {"truncation_side": "left"}, [2]),
    ("tokenizer_config.json", {"truncation_side": "right"}, []),
    ("tokenizer_config.json", {"tokenizer_class": "BertTokenizerFast"}, []),
    ("tokenizer_config.json", {"added_tokens_decoder": {"4": TOKEN}}, [3]),
    ("tokenizer_config.json", {"additional_special_tokens": ["cafe"]}, [3]),
    ("tokenizer_config.json", {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}, []),
    ("special_tokens_map.json", {"mask_token": "cafe"}, [3]),
    ("added_tokens.json", {"cafe": 4}, [3]),
    ("sentence_bert_config.json", {"max_seq_length": 6}, [2]),
    ("sentence_bert_config.json", {"max_seq_length": 10}, []),
    ("config.json", {"layer_norm_eps": 0.1}, [0, 1, 2, 3]),
    ("1_Pooling/config.json", {"pooling_mode": "cls"}, [0, 1, 2, 3]),
    ("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.SiLU"}, [0, 1, 2, 3]),
]


@pytest.mark.parametrize(("file", "change", "texts"), CHANGES)
def test_what_changes_a_vector_changes_the_fingerprint_and_nothing_else_does(
    folder: Path, file: str, change: dict[str, Any], texts: list[int]
) -> None:
    before = load(folder)
    write(folder / file, **change)
    after = load(folder)
    moved = np.flatnonzero(np.abs(after.encode(TEXTS) - before.encode(TEXTS)).max(axis=1) > 1e-5)
    assert moved.tolist() == texts
    assert (after.space.fingerprint != before.space.fingerprint) == bool(texts)


def test_a_default_of_the_class_counts_where_tokenizer_json_says_otherwise(folder: Path) -> None:
    lower = load(folder).encode(TEXTS)
    path = folder / "tokenizer.json"
    fields = json.loads(path.read_text())
    fields["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(fields))
    np.testing.assert_array_equal(load(folder).encode(TEXTS), lower)
    write(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    assert not np.array_equal(load(folder).encode(TEXTS), lower)


def test_the_side_that_is_cut_may_be_said_by_tokenizer_json(folder: Path) -> None:
    write(folder / "tokenizer_config.json", truncation_side="left")
    left = load(folder)
    write(folder / "tokenizer_config.json", truncation_side=None)
    truncation = {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    write(folder / "tokenizer.json", truncation=truncation)
    said = load(folder)
    np.testing.assert_array_equal(said.encode(TEXTS), left.encode(TEXTS))
    assert said.space.truncation == left.space.truncation == "tail"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer_class": "BertJapaneseTokenizer"}, 'tokenizer_class is "BertJapaneseTokenizer"'),
        ({"tokenizer_class": "RobertaTokenizer"}, 'tokenizer_class is "RobertaTokenizer"'),
        ({"cls_token": "[SEP]"}, 'cls_token is "[SEP]"'),
        ({"unk_token": {"content": "[CLS]"}}, 'unk_token is "[CLS]"'),
        ({"do_lower_case": "yes"}, 'do_lower_case is "yes"'),
        ({"truncation_side": "top"}, 'truncation_side is "top"'),
        ({"added_tokens_decoder": {"77": {**TOKEN, "content": "new"}}}, 'added_tokens_decoder.77 is "new"'),
    ],
)
def test_what_contradicts_tokenizer_json_is_refused(folder: Path, change: dict[str, Any], message: str) -> None:
    write(folder / "tokenizer_config.json", **change)
    with pytest.raises(EncoderError, match=re.escape(message) + ".*'sentence-transformers:"):
        load(folder)


def test_a_statement_about_a_normaliser_of_another_kind_is_compared_with_it(tmp_path: Path) -> None:
    folder = tiny_bert.make(tmp_path / "model")  # Lowercase and nothing else
    write(folder / "tokenizer_config.json", do_lower_case=True, strip_accents=False)
    assert load(folder).space.fingerprint == load(tiny_bert.make(tmp_path / "plain")).space.fingerprint
    write(folder / "tokenizer_config.json", do_lower_case=False)
    with pytest.raises(EncoderError, match="do_lower_case is false"):
        load(folder)


@pytest.mark.parametrize("long_texts", ["truncate", "window"])
def test_truncate_dim_keeps_the_first_numbers_as_unit_rows(folder: Path, long_texts: str) -> None:
    whole = load(folder)
    write(folder / USE, truncate_dim=3)
    cut = load(folder)
    rows = cut.encode(TEXTS, long_texts=long_texts)
    assert (cut.space.dimension, rows.shape) == (3, (len(TEXTS), 3))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    if long_texts == "truncate":
        first = whole.encode(TEXTS)[:, :3]
        np.testing.assert_allclose(rows, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-6)
    out = np.zeros((len(TEXTS), 3), np.float32)
    assert cut.encode(TEXTS, long_texts=long_texts, out=out) is out
    np.testing.assert_array_equal(out, rows)
    assert cut.space.fingerprint != whole.space.fingerprint


def test_truncate_dim_beyond_the_vector_changes_nothing(folder: Path) -> None:
    before = load(folder).space
    write(folder / USE, truncate_dim=1000)
    assert load(folder).space == before


@pytest.mark.parametrize("value", [0, -1, 2.5, "64", True])
def test_a_truncate_dim_that_makes_no_sense_is_refused(folder: Path, value: Any) -> None:
    write(folder / USE, truncate_dim=value)
    with pytest.raises(EncoderError, match="truncate_dim is"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "unit_rows", "fits"),
    [
        ("cosine", False, True),
        ("dot", False, False),
        ("euclidean", False, False),
        ("manhattan", False, False),
        ("dot", True, True),
        ("euclidean", True, True),
        ("manhattan", True, False),
    ],
)
def test_a_similarity_that_orders_otherwise_than_the_cosine_is_refused(
    folder: Path, name: str, unit_rows: bool, fits: bool
) -> None:
    write(folder / USE, similarity_fn_name=name)
    if unit_rows:
        path = folder / "modules.json"
        modules = json.loads(path.read_text())
        normalize = {"type": "sentence_transformers.models.Normalize", "path": "3_Normalize"}
        path.write_text(json.dumps([*modules, normalize]))
    assert [refusal.name for refusal in read_fields(folder).refusals] == ([] if fits else ["similarity_fn_name"])


def test_a_prompt_that_is_not_pooled_is_read_all_the_same(folder: Path) -> None:
    pooled = load(folder)
    write(folder / "1_Pooling" / "config.json", include_prompt=False)
    unpooled = load(folder)
    np.testing.assert_array_equal(unpooled.encode(TEXTS), pooled.encode(TEXTS))
    moved = np.abs(unpooled.encode(TEXTS, kind="query") - pooled.encode(TEXTS, kind="query")).max(axis=1)
    assert (moved > 1e-4).all()
    assert unpooled.space.fingerprint != pooled.space.fingerprint


def test_a_prompt_that_is_not_pooled_is_no_matter_where_there_is_none(folder: Path) -> None:
    write(folder / USE, prompts={"query": "", "document": ""})
    before = load(folder).space
    write(folder / "1_Pooling" / "config.json", include_prompt=False)
    assert load(folder).space == before


def test_another_file_of_limits_counts_where_the_first_is_missing(folder: Path) -> None:
    write(folder / "sentence_bert_config.json", do_lower_case=True)
    write(folder / "tokenizer_config.json", do_lower_case=False)
    before = load(folder)
    (folder / "sentence_bert_config.json").rename(folder / "sentence_distilbert_config.json")
    after = load(folder)
    assert after.space == before.space
    np.testing.assert_array_equal(after.encode(TEXTS), before.encode(TEXTS))


def test_a_static_embedding_is_cut_where_its_tokenizer_json_says(tmp_path: Path, static_model: Any) -> None:
    folder = static_model("static", 6, ["one two three"])
    shutil.rmtree(folder / "config.json", ignore_errors=True)
    (folder / "config.json").unlink()
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([module]))
    truncation = {"direction": "Left", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    write(folder / "tokenizer.json", truncation=truncation)
    encoder = load(folder)
    assert (encoder.space.max_length, encoder.space.truncation) == (2, "tail")
    np.testing.assert_array_equal(encoder.encode(["one two three"]), encoder.encode(["two three"]))


def test_the_tables_are_read_without_a_warning_for_a_sound_folder(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(folder)


ACTIVATIONS = {
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "LeakyReLU": lambda x: np.where(x < 0, 0.01 * x, x),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "ELU": lambda x: np.where(x < 0, np.expm1(x), x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_a_dense_module(folder: Path, name: str) -> None:
    write(folder / "2_Dense" / "config.json", activation_function="torch.nn.modules.linear.Identity", bias=False)
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((5, tiny_bert.HIDDEN), dtype=np.float32)
    save_file({"linear.weight": weights}, folder / "2_Dense" / "model.safetensors")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    # A unit row times the matrix is known but for a factor, so the states are unit rows here.
    normalize = {"type": "sentence_transformers.models.Normalize", "path": "n"}
    states = load(folder).encode(TEXTS)
    (folder / "modules.json").write_text(json.dumps([*modules[:2], normalize, modules[2]]))
    write(folder / "2_Dense" / "config.json", activation_function=f"torch.nn.modules.activation.{name}")
    expected = ACTIVATIONS[name](states @ weights.T)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(load(folder).encode(TEXTS), expected, atol=1e-5)


def test_the_page_of_the_documentation_is_what_the_tables_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "model-folders.md"
    assert page.read_text() == markdown(), (
        "run python -m revector.encoders.native.folder_fields.page >docs/model-folders.md"
    )
