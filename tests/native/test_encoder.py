"""The encoder against what sentence-transformers, wordllama and model2vec returned (golden/make_encoder.py)."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from revector import Encoder, _core
from revector.encoders.base import TextEncoder
from revector.encoders.native import engine
from revector.errors import DeviceUnavailableError, EncoderError, InvalidArgumentError

GOLDEN = Path(__file__).parents[1] / "golden"
# The scalar kernels are the reference, not an encoder: 1,000 texts take minutes there.
N_MINILM = 100 if _core.active_isa() == "scalar" else 1000


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "encoder.npz") as stored:
        return {name: stored[name] if name == "texts" else unpacked(stored[name]) for name in stored.files}


def unpacked(planes: np.ndarray) -> np.ndarray:
    """Undo `planes` of make_encoder.py: three planes of bytes to elements in [-1, 1]."""
    low, middle, high = planes[0], planes[1], planes[2].view(np.int8)
    fixed = low.astype(np.int32) | middle.astype(np.int32) << 8 | high.astype(np.int32) << 16
    return (fixed / 2**23).astype(np.float32)


@pytest.fixture(scope="module")
def texts(golden) -> list[str]:
    return json.loads(golden["texts"].tobytes())


@pytest.fixture(scope="module")
def minilm(minilm_folder) -> Encoder:
    return Encoder.from_pretrained(minilm_folder, precision="float32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Encoder:
    return Encoder.from_pretrained(GOLDEN / "model2vec_tiny")


@pytest.fixture
def tiny_folder(tmp_path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(GOLDEN / "model2vec_tiny", tmp_path / "model"))


def test_minilm_equals_sentence_transformers(minilm, texts, golden):
    rows = minilm.encode(texts[:N_MINILM])
    np.testing.assert_allclose(rows, golden["minilm"][:N_MINILM], rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("precision", "mean", "least"), [("bfloat16", 0.99995, 0.9999), ("int8", 0.998, 0.99)])
def test_lower_precisions_stay_close_to_sentence_transformers(minilm_folder, texts, golden, precision, mean, least):
    encoder = Encoder.from_pretrained(minilm_folder, precision=precision)
    assert encoder.precision == precision
    cosines = (encoder.encode(texts[:N_MINILM]) * golden["minilm"][:N_MINILM]).sum(axis=1)
    assert cosines.mean() >= mean
    assert cosines.min() >= least


def test_the_precision_is_the_fastest_within_its_bound_unless_named(minilm_folder, tiny):
    chosen = Encoder.from_pretrained(minilm_folder).precision
    assert chosen in ("float32", "bfloat16")
    if _core.active_isa() in ("scalar", "avx2", "avx512"):
        assert chosen == "float32"
    assert tiny.precision == "float32"


def test_all_precisions_share_a_space(minilm_folder):
    spaces = {Encoder.from_pretrained(minilm_folder, precision=p).space for p in ("float32", "bfloat16", "int8")}
    assert len(spaces) == 1


def test_cls_pooling_prompts_and_short_limits_equal_sentence_transformers(minilm_folder, tmp_path, texts, golden):
    encoder = Encoder.from_pretrained(make_variant(minilm_folder, tmp_path / "variant"), precision="float32")
    assert (encoder.space.pooling, encoder.space.max_length) == ("cls", 40)
    for kind in ("query", "document"):
        rows = encoder.encode(texts[:64], kind=kind)
        np.testing.assert_allclose(rows, golden[f"variant_{kind}"], rtol=0, atol=1e-5)


def make_variant(folder: Path, target: Path) -> Path:
    specification = importlib.util.spec_from_file_location("make_encoder", GOLDEN / "make_encoder.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.variant(folder, target)


def test_wordllama_equals_its_package(wordllama_folder, texts, golden):
    encoder = Encoder.from_pretrained(wordllama_folder)
    assert encoder.space.max_length is None
    np.testing.assert_allclose(encoder.encode(texts[:200]), golden["wordllama"], rtol=0, atol=1e-5)


def test_model2vec_equals_its_package(tiny, texts, golden):
    assert tiny.space.max_length == 16
    np.testing.assert_allclose(tiny.encode(texts), golden["model2vec"], rtol=0, atol=1e-5)


def test_an_encoder_follows_the_protocol(tiny):
    assert isinstance(tiny, TextEncoder)
    again = Encoder.from_pretrained(tiny.source)
    assert again.space == tiny.space
    assert Path(tiny.source).is_absolute()


def test_order_and_slices_do_not_matter(minilm, texts, monkeypatch):
    some = texts[:40]
    whole = minilm.encode(some)
    monkeypatch.setattr(engine, "_SLICE_TEXTS", 7)
    monkeypatch.setattr(engine, "_SLICE_CHARACTERS", 500)
    np.testing.assert_array_equal(minilm.encode(some[::-1])[::-1], whole)


def test_no_texts_and_texts_without_tokens(tiny):
    assert tiny.encode([]).shape == (0, 24)
    np.testing.assert_array_equal(tiny.encode(["", "\x00"]), np.zeros((2, 24)))


def test_several_threads_get_the_right_answers(minilm, texts):
    some = texts[40:72]
    expected = minilm.encode(some)
    found: list[np.ndarray | None] = [None] * 8

    def run(i: int) -> None:
        found[i] = minilm.encode(some)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        np.testing.assert_array_equal(rows, expected)


def test_one_thread_gives_the_same_rows(minilm_folder, minilm, texts):
    alone = Encoder.from_pretrained(minilm_folder, precision="float32", threads=1)
    np.testing.assert_array_equal(alone.encode(texts[40:72]), minilm.encode(texts[40:72]))


@pytest.mark.parametrize("texts", ["a text", b"bytes", [b"bytes"], ["fine", None], ["fine", 3], None, 7])
def test_what_is_not_text_is_refused(tiny, texts):
    with pytest.raises(InvalidArgumentError, match="expected"):
        tiny.encode(texts)


def test_half_a_surrogate_pair_is_reported_with_its_position(tiny, monkeypatch):
    monkeypatch.setattr(engine, "_SLICE_TEXTS", 2)
    with pytest.raises(EncoderError, match="text 3 is not valid Unicode"):
        tiny.encode(["a", "b", "c", "\ud83d"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"precision": "float16"}, InvalidArgumentError),
        ({"device": "tpu"}, InvalidArgumentError),
        ({"device": "cuda"}, DeviceUnavailableError),
        ({"threads": 0}, InvalidArgumentError),
    ],
)
def test_options_that_do_not_exist_are_refused(options, error):
    with pytest.raises(error):
        Encoder.from_pretrained(GOLDEN / "model2vec_tiny", **options)


def test_an_unknown_kind_is_refused(tiny):
    with pytest.raises(InvalidArgumentError, match="kind is 'passage'"):
        tiny.encode(["a"], kind="passage")


def test_a_model_saved_again_keeps_its_space(tiny, tiny_folder):
    config = tiny_folder / "config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps({**fields, "_name_or_path": "someone/else", "transformers_version": "9"}, indent=4))
    tokenizer = tiny_folder / "tokenizer.json"
    tokenizer.write_text(json.dumps({**json.loads(tokenizer.read_text()), "truncation": None, "padding": None}))
    assert Encoder.from_pretrained(tiny_folder).space.fingerprint == tiny.space.fingerprint


def test_the_space_is_the_content_of_the_folder_not_its_name(tiny, tiny_folder):
    assert Encoder.from_pretrained(tiny_folder).space.fingerprint == tiny.space.fingerprint
    weights = tiny_folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4] ^= 1  # the last bit of the last weight
    weights.write_bytes(content)
    assert Encoder.from_pretrained(tiny_folder).space.fingerprint != tiny.space.fingerprint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("tokenizer.json", "{", "is not a tokeniser"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("model.safetensors", "short", "not a sound safetensors file"),
        ("config.json", "{", "is not valid JSON"),
        ("config.json", '{"model_type": "t5"}', 'model_type is "t5".*use the sentence-transformers encoder'),
        ("config_sentence_transformers.json", "[]", "expected a JSON object"),
        ("config_sentence_transformers.json", '{"prompts": {"query": 3}}', "prompt for a query is 3"),
        ("config_sentence_transformers.json", '{"prompts": [1]}', "prompts is"),
    ],
)
def test_spoiled_folders_are_refused(tiny_folder, name, content, message):
    (tiny_folder / name).unlink(missing_ok=True)
    if content is not None:
        (tiny_folder / name).write_text(content)
    with pytest.raises(EncoderError, match=message):
        Encoder.from_pretrained(tiny_folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="is not a folder"):
        Encoder.from_pretrained(tmp_path / "absent")


def test_a_hub_id_without_the_hub_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EncoderError, match="pip install huggingface_hub"):
        Encoder.from_pretrained("nobody/nothing")


def test_a_hub_id_is_fetched_and_kept_as_the_source(monkeypatch):
    hub = type(sys)("huggingface_hub")
    hub.snapshot_download = lambda hub_id, allow_patterns: str(GOLDEN / "model2vec_tiny")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    encoder = Encoder.from_pretrained("minishlab/tiny")
    assert (encoder.source, encoder.space.model) == ("minishlab/tiny", "minishlab/tiny")


def test_the_core_refuses_tokens_that_are_not_the_models():
    core = _core.Encoder(str(GOLDEN / "model2vec_tiny"))
    with pytest.raises(InvalidArgumentError, match="does the tokeniser belong to the model"):
        core.encode(np.array([core.vocabulary], np.int32), np.array([0, 1], np.int64))
    with pytest.raises(InvalidArgumentError, match="offsets"):
        core.encode(np.array([0], np.int32), np.array([0, 2], np.int64))


def test_importing_revector_imports_no_tokenizers():
    code = "import sys, revector; sys.exit('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
