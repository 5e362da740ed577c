"""Very long texts: a bounded part of them is tokenised, and the ids are those of the whole."""

from __future__ import annotations

import itertools
import time
from pydoc_data.topics import topics

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.long import LongTexts
from revector.encoders.native.tokenization.tokenizer import TextTokenizer
from revector.errors import EncoderError
from revector.rerank.pairs import PairTokenizer

N = 60_000
UNITS = [
    *(
        "a",
        " ",
        "\n",
        "\t \n",
        "🙂",
        "e\u0301",
        "\u0301",
        "\u302e\u0301",
        "\0",
        "日",
        ".",
        "word ",
        "12345",
        "-a",
        "Ab",
    ),
    *("é日 ", "x\u200d", "가", "\u0e31", "[SEP]", "</s>", "a" * 99 + ".", "a" * 101 + " "),
]
TEXTS = [unit * (N // len(unit)) for unit in UNITS]
MIXED = ["".join(np.random.default_rng(seed).choice(UNITS, N // 8).tolist()) for seed in range(3)]
AROUND = [
    f"{before}{text}{after}" for text in TEXTS[:12] for before, after in (("The end. ", " of it"), ("q", "q[SEP]z"))
]


@pytest.fixture(scope="module", params=["minilm", "cased", "wordllama"])
def folder(request):
    return request.getfixturevalue(f"{request.param}_folder")


@pytest.mark.parametrize("limit", [16, 256])
def test_the_tokens_kept_are_those_of_the_whole_text(folder, limit):
    family = "static" if "llama" in folder.name else "bert"
    tokenizer = TextTokenizer(folder, family, limit)
    hf = HfTokenizer(folder / "tokenizer.json", add_special=family == "bert")
    for text in itertools.chain(TEXTS, MIXED, AROUND):
        whole = hf([text]).ids.tolist()
        tail = 1 if family == "bert" else 0
        expected = whole if len(whole) <= limit else [*whole[: limit - tail], *whole[len(whole) - tail :]]
        tokens, cut = tokenizer.fit([text])
        assert tokens.ids.tolist() == expected, ascii(text[:20])
        assert cut == (len(whole) > limit)


def test_bert_loses_no_token_of_long_texts(minilm_folder, cased_folder):
    for folder in (minilm_folder, cased_folder):
        tokenizer = TextTokenizer(folder, "bert", 256)
        hf = HfTokenizer(folder / "tokenizer.json", add_special=True)
        for text in itertools.chain(TEXTS, MIXED, AROUND):
            assert np.array_equal(tokenizer.whole([text]).ids, hf([text]).ids), ascii(text[:20])


def test_pairs_are_cut_as_hf_cuts_them(minilm_folder):
    hf = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    hf.no_padding()
    hf.enable_truncation(64, strategy="longest_first")
    tokenizer = PairTokenizer(minilm_folder, "bert", 64, typed=True)
    long = [*TEXTS, *MIXED]  # beside a short one: of two long ones HF makes every pair of what is left over
    for query, text in [*itertools.product(["", "a query"], long), *((query, "a text") for query in long)]:
        expected = hf.encode(query, text)
        ids, _, types = tokenizer(query, [text])
        assert (ids.tolist(), types.tolist()) == (expected.ids, expected.type_ids), ascii((query[:9], text[:9]))


def test_half_a_surrogate_pair_in_a_long_text_is_named(folder):
    for broken in ("word " * N + "\ud83d", "\ud83d" + "word " * N, "a" * N + "\ud83d" + "a" * N):
        with pytest.raises(EncoderError, match="text 11 is not valid Unicode"):
            TextTokenizer(folder, "static" if "llama" in folder.name else "bert", None).fit(["a", broken], 10)
    with pytest.raises(EncoderError, match="text 11 is not valid Unicode"):
        TextTokenizer(folder, "bert", 16).fit(["a", "\ud83d" + "word " * N], 10)


def test_an_added_token_within_a_word_is_not_lost(minilm_folder, tmp_path):
    tokenizer = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("needle", normalized=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "a" * N + "needle" + "b" * N
    hf = HfTokenizer(tmp_path / "tokenizer.json", add_special=True)
    assert TextTokenizer(tmp_path, "bert", 256).whole([text]).ids.tolist() == hf([text]).ids.tolist()


def trained(kind, texts):
    sizes = {"vocab_size": 900, "show_progress": False}
    model, trainer, splitter = {
        "Unigram": (models.Unigram(), trainers.UnigramTrainer, pre_tokenizers.Metaspace()),
        "BPE": (models.BPE(unk_token="<unk>"), trainers.BpeTrainer, pre_tokenizers.ByteLevel()),
        "BPE without words": (models.BPE(unk_token="<unk>"), trainers.BpeTrainer, None),
    }[kind]
    unknown = {"unk_token": "<unk>"} if kind == "Unigram" else {}
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFKC()
    if splitter is not None:
        tokenizer.pre_tokenizer = splitter
    trainer = trainer(special_tokens=["<unk>"], **sizes, **unknown)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@pytest.mark.parametrize("kind", ["Unigram", "BPE", "BPE without words"])
def test_other_kinds_keep_the_ids_of_the_whole_text(kind, tmp_path):
    documents = list(topics.values())  # the same whatever packages are installed
    trained(kind, documents).save(str(tmp_path / "tokenizer.json"))
    hf, tokenizer = HfTokenizer(tmp_path / "tokenizer.json", add_special=True), TextTokenizer(tmp_path, "bert", 64)
    joined = "".join(documents)
    unbroken = ["".join(joined.split()) * 9, joined * 9, *(text * 8 for text in TEXTS)]
    for text in unbroken:
        assert tokenizer.fit([text])[0].ids.tolist() == hf([text]).ids.tolist()[:64], ascii(text[:20])
    assert len(LongTexts(hf).heads(unbroken, 64)[0]) < len(unbroken[0]) / 4


def test_five_million_characters_take_a_moment(minilm_folder):
    tokenizer = TextTokenizer(minilm_folder, "bert", 256)
    for unit in ("a", " ", "\n", "🙂", "e\u0301", "日", ".", "\0"):
        text = unit * (5_000_000 // len(unit))
        began = time.perf_counter()
        tokens, _ = tokenizer.fit([text])
        assert len(tokens.ids) <= 256
        assert time.perf_counter() - began < 5, ascii(unit)
