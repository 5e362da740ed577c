"""The encoder that runs models with torch, without torch: a model that writes down what is asked of it."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest

import revector
from revector.encoders.base import TextEncoder
from revector.encoders.sentence_transformers import SentenceTransformersEncoder
from revector.errors import EncoderError, InvalidArgumentError
from revector.testing import HashEncoder

INNER = HashEncoder(12, seed=3)


class Pooling:
    pooling_mode = "lasttoken"


class Model:
    """Looks like a SentenceTransformer."""

    device = "cpu"
    max_seq_length = 77

    def __init__(self, fits=1000, prompts=None, spoil=None):
        self.prompts = {"query": "find: ", "passage": "text: "} if prompts is None else prompts
        self.fits, self.batches, self.at_once, self._spoil = fits, [], 0, spoil

    def __iter__(self):
        return iter([self, Pooling()])

    def __getitem__(self, i):
        return list(self)[i]

    def get_sentence_embedding_dimension(self):
        return 12

    def encode_query(self, texts, **options):
        return self._encode("find: ", texts, **options)

    def encode_document(self, texts, **options):
        return self._encode("text: ", texts, **options)

    def _encode(self, prompt, texts, *, batch_size, normalize_embeddings, show_progress_bar):
        assert normalize_embeddings
        assert not show_progress_bar
        self.at_once += 1
        assert self.at_once == 1, "two threads at once"
        self.batches.append(batch_size)
        time.sleep(0.005)
        self.at_once -= 1
        if self._spoil:
            raise self._spoil
        if batch_size > self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return INNER.encode([prompt + text for text in texts]).astype(np.float64)


def encoder(model=None, **options):
    return SentenceTransformersEncoder(model or Model(), revision="r1", **options)


def test_the_space_is_what_the_model_says():
    one = encoder()
    space = one.space
    assert isinstance(one, TextEncoder)
    assert (space.dimension, space.pooling, space.max_length) == (12, "lasttoken", 77)
    assert (space.query_prefix, space.document_prefix, space.revision) == ("find: ", "text: ", "r1")


def test_a_tokeniser_without_a_limit_has_none():
    model = Model(prompts={})
    model.max_seq_length = 10**30
    space = encoder(model).space
    assert (space.max_length, space.query_prefix, space.document_prefix) == (None, "", "")


@pytest.mark.parametrize("kind", ["query", "document"])
def test_each_kind_has_its_prompt(kind):
    rows = encoder().encode(["a text", "another"], kind=kind)
    prompt = {"query": "find: ", "document": "text: "}[kind]
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, INNER.encode([prompt + "a text", prompt + "another"]), atol=1e-6)


def test_no_texts_are_no_call():
    model = Model()
    assert encoder(model).encode([]).shape == (0, 12)
    assert model.batches == []


def test_a_batch_that_does_not_fit_is_halved():
    model = Model(fits=5)
    assert encoder(model, batch_size=32).encode(["a", "b"]).shape == (2, 12)
    assert model.batches == [32, 16, 8, 4]


def test_a_text_that_does_not_fit_alone_is_an_error():
    with pytest.raises(EncoderError, match="failed on cpu: CUDA out of memory"):
        encoder(Model(fits=0)).encode(["a"])


def test_another_failure_of_torch_is_not_tried_again():
    model = Model(spoil=RuntimeError("illegal instruction"))
    with pytest.raises(EncoderError, match="illegal instruction"):
        encoder(model).encode(["a"])
    assert len(model.batches) == 1


def test_nan_is_an_error(monkeypatch):
    model = Model()
    monkeypatch.setattr(model, "_encode", lambda prompt, texts, **_: np.full((len(texts), 12), np.nan))
    with pytest.raises(EncoderError, match="NaN or infinity"):
        encoder(model).encode(["a"])


def test_threads_take_turns():
    one = encoder()
    found = [None] * 6

    def run(i):
        found[i] = one.encode([f"text {i}"])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(np.concatenate(found), INNER.encode([f"text: text {i}" for i in range(6)]), atol=1e-6)


def test_half_a_surrogate_pair_is_named():
    with pytest.raises(EncoderError, match="text 1 is not valid Unicode"):
        encoder().encode(["a", "\ud83d"])


@pytest.mark.parametrize(("texts", "kind"), [("a text", "query"), ([None], "query"), (["a"], "passage")])
def test_what_is_not_text_is_refused(texts, kind):
    with pytest.raises(InvalidArgumentError, match="expected"):
        encoder().encode(texts, kind=kind)


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"max_length": 0}, {"dimensions": -1}])
def test_arguments_that_make_no_sense_are_refused(options):
    with pytest.raises(InvalidArgumentError, match="expected"):
        SentenceTransformersEncoder.from_pretrained("model", **options)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(InvalidArgumentError, match="batch_size is 0"):
        encoder(batch_size=0)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'revector\[sentence-transformers\]'"):
        revector.SentenceTransformersEncoder.from_pretrained("a/model")


def test_a_source_can_not_ask_for_code_of_others():
    with pytest.raises(InvalidArgumentError, match="no option 'trust_remote_code'"):
        SentenceTransformersEncoder.from_source("sentence-transformers:a/model?trust_remote_code=1")
