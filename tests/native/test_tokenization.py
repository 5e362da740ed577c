"""The fast ways to token ids against HF tokenizers: identical, on hostile text and on real text."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from revector.encoders.native.tokenization import TextTokenizer, memo, tokie
from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.hostile import HOSTILE, around
from revector.encoders.native.tokenization.memo import WordMemory, is_word_local
from revector.encoders.native.tokenization.packed import Affixes, Tokens, Windows, truncated
from revector.errors import EncoderError

needs_tokie = pytest.mark.skipif(find_spec("tokie") is None, reason="needs tokie (the extra fast)")

WAYS = {
    "memory": lambda hf: WordMemory(hf, hf),
    "tokie": tokie.tokie_if_identical,
    "memory of tokie": lambda hf: WordMemory(hf, tokie.tokie_if_identical(hf)),
}


@pytest.fixture(scope="module", params=["minilm", "cased", "wordllama"])
def hf(request) -> HfTokenizer:
    folder = request.getfixturevalue(f"{request.param}_folder")
    return HfTokenizer(folder / "tokenizer.json", add_special=request.param != "wordllama")


@pytest.fixture(scope="module", params=[pytest.param(w, marks=needs_tokie if "tokie" in w else ()) for w in WAYS])
def fast(request, hf):
    tokenizer = WAYS[request.param](hf)
    assert tokenizer is not None
    return tokenizer


def assert_same(found: Tokens, expected: Tokens, texts: list[str]) -> None:
    if np.array_equal(found.ids, expected.ids) and np.array_equal(found.offsets, expected.offsets):
        return
    parts = [np.split(tokens.ids, tokens.offsets[1:-1]) for tokens in (found, expected)]
    different = [ascii(t) for t, a, b in zip(texts, *parts, strict=True) if not np.array_equal(a, b)]
    raise AssertionError(f"{len(different)} texts differ: {different[:5]}")


def test_hostile_texts_together_and_alone(hf, fast):
    texts = [*HOSTILE, *around(hf.added_tokens())]
    assert_same(fast(texts), hf(texts), texts)
    for text in texts:
        assert_same(fast([text]), hf([text]), [text])
    assert_same(fast(texts, bare=True), hf(texts, bare=True), texts)


def test_hostile_words_beside_one_another(hf, fast):
    """In sentences, of whose words most were met before, with one space between them and with three."""
    words = [*HOSTILE, *around(hf.added_tokens())]
    texts = [space.join(words[i : i + n]) for n in (2, 7) for i in range(len(words)) for space in (" ", "   ")]
    for _ in range(2):
        assert_same(fast(texts), hf(texts), texts)


def test_every_script_of_unicode(hf, fast):
    """Characters of each script, unassigned ones too, in company; fewer of ideographs, Hangul and private use."""
    uniform = [*range(0x3400, 0xA000, 0x810), *range(0xAC00, 0xD800, 0x810), *range(0xE000, 0xF900, 0x810)]
    varied = [*range(0, 0x3400, 16), *range(0xA000, 0xAC00, 16), *range(0xF900, 0x20000, 16)]
    codes = [*varied, *uniform, 0x2A6D6, 0x30000, 0xE0100, 0xF0000, 0x10FFF0]
    texts = [f"a {chr(code)}b{chr(code + 5)} {chr(code + 9)}" for code in codes]
    assert_same(fast(texts), hf(texts), texts)


def test_very_long_texts(hf, fast):
    n = 100_000
    texts = [
        "a" * n,
        " " * n,
        "word " * (n // 5),
        "日本" * (n // 2),
        "é " * (n // 2),
        "." * n,
        "1" * n,
        "a\n" * (n // 2),
    ]
    assert_same(fast(texts), hf(texts), [text[:20] for text in texts])
    assert_same(fast(texts[:1]), hf(texts[:1]), ["a"])


def test_real_texts(hf, fast, docstring_corpus):
    texts = list(docstring_corpus.documents.values())
    for _ in range(2):  # the second time from memory
        assert_same(fast(texts), hf(texts), texts)


pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from([" ", "  ", "\n", "▁", "[SEP]", "<s>", "</s>", "[MASK] ", "##", "the", "İ", "\u0301", "\x7f"]),
    st.text("abcXYZ019 .,'-", max_size=20),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.lists(pieces, max_size=8).map("".join), min_size=1, max_size=20))
def test_any_text(hf, fast, texts):
    assert_same(fast(texts), hf(texts), texts)


def test_the_memory_of_words_is_bounded(hf, monkeypatch):
    monkeypatch.setattr(memo, "_MOST_WORDS", 50)
    tokenizer = WordMemory(hf, hf)
    for begin in range(0, 400, 20):
        texts = [f"some words and number {i}" for i in range(begin, begin + 20)]
        assert_same(tokenizer(texts), hf(texts), texts)
        assert len(tokenizer._table) <= 50


def test_threads_share_a_memory_that_is_replaced_when_it_is_full(hf, monkeypatch):
    monkeypatch.setattr(memo, "_MOST_WORDS", 200)
    tokenizer = WordMemory(hf, hf)
    texts = [f"number {i % 701} of {i % 97} for {HOSTILE[i % len(HOSTILE)]}" for i in range(2000)]
    parts = [texts[i : i + 25] for i in range(0, len(texts), 25)]
    with ThreadPoolExecutor(4) as threads:
        for part, found in zip(parts, threads.map(tokenizer, parts), strict=True):
            assert_same(found, hf(part), part)


def test_the_memory_keeps_nothing_of_the_callers_texts(hf):
    """Python would keep the UTF-8 of a str beside it for as long as it lives."""
    text = "naïve café " * 1000
    size = sys.getsizeof(text)
    WordMemory(hf, hf)([text])
    assert sys.getsizeof(text) == size


def test_no_texts_and_texts_without_words(fast, hf):
    for texts in ([], [""], ["", " ", "\x00"]):
        assert_same(fast(texts), hf(texts), texts)


def test_the_table_of_words_takes_nothing_but_text(hf):
    with pytest.raises(TypeError, match="str"):
        WordMemory(hf, hf)([b"bytes"])


def test_half_a_surrogate_pair_is_named(fast):
    with pytest.raises(EncoderError, match="text 103 is not valid Unicode"):
        fast(["a", " b ", "c", "x \ud83d y"], 100)


@needs_tokie
def test_tokie_is_refused_where_it_differs(hf, monkeypatch):
    monkeypatch.setattr(tokie, "_proofs", tokie._Proofs())
    monkeypatch.setattr(tokie, "HOSTILE", ("plain",))
    right = tokie.TokieTokenizer.fast
    monkeypatch.setattr(
        tokie.TokieTokenizer, "fast", lambda *a, **k: Tokens(right(*a, **k).ids + 1, right(*a, **k).offsets)
    )
    assert tokie.tokie_if_identical(hf) is None


def test_without_tokie_there_is_the_memory(minilm_folder, monkeypatch):
    monkeypatch.setattr(tokie, "_proofs", tokie._Proofs())
    monkeypatch.setitem(__import__("sys").modules, "tokie", None)
    assert TextTokenizer(minilm_folder, "bert", 256).name == "hf"


def test_the_environment_can_keep_to_hf(minilm_folder, monkeypatch):
    monkeypatch.setenv("REVECTOR_TOKENIZER", "hf")
    tokenizer = TextTokenizer(minilm_folder, "bert", 256)
    assert isinstance(tokenizer._whole, HfTokenizer)


def save(tokenizer: Tokenizer, path: Path) -> HfTokenizer:
    tokenizer.save(str(path))
    return HfTokenizer(path, add_special=True)


def llama_like(vocabulary: list[str], merges: list[tuple[str, str]], **options) -> Tokenizer:
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    names = {token: i for i, token in enumerate(["<unk>", *every_byte, *vocabulary])}
    tokenizer = Tokenizer(models.BPE(names, merges, unk_token="<unk>", byte_fallback=True, **options))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def test_words_are_not_looked_up_where_tokens_reach_over_spaces(tmp_path):
    letters, path = ["a", "b", "▁"], tmp_path / "tokenizer.json"
    assert is_word_local(save(llama_like([*letters, "▁a"], [("▁", "a")]), path))
    assert not is_word_local(save(llama_like([*letters, "a▁"], [("a", "▁")]), path))
    spaced = llama_like(letters, [])
    spaced.add_tokens([AddedToken("b a", normalized=False)])
    assert not is_word_local(save(spaced, path))
    late = llama_like(letters, [])
    late.add_tokens([AddedToken("ba", normalized=True)])
    assert not is_word_local(save(late, path))
    other = Tokenizer(models.WordLevel({"a": 0}, "a"))
    other.pre_tokenizer = pre_tokenizers.Whitespace()
    assert not is_word_local(save(other, path))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 40])
def test_texts_are_cut_as_hf_cuts_them(minilm_folder, limit):
    texts = ["", "a", "two words", "three words here", "unbelievably long " * 20, *HOSTILE]
    tokens, cut = TextTokenizer(minilm_folder, "bert", limit).fit(texts)
    whole = HfTokenizer(minilm_folder / "tokenizer.json", add_special=True)(texts)
    if limit < 3:  # HF refuses to leave nothing but special tokens
        assert (tokens.lengths <= limit).all()
    else:
        hf = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
        hf.no_padding()
        hf.enable_truncation(limit)
        expected = [encoding.ids for encoding in hf.encode_batch(texts)]
        assert [part.tolist() for part in np.split(tokens.ids, tokens.offsets[1:-1])] == expected
    assert cut == (whole.lengths > limit).sum()


@pytest.mark.parametrize("unk_id", [0, None])
def test_model2vec_drops_what_unigram_does_not_know(tmp_path, unk_id):
    """As model2vec 0.10 does; in a space of its own, for earlier rows held the unknown token."""
    letters = [(letter, -9.0) for letter in "▁ab"]
    tokenizer = Tokenizer(models.Unigram([("[UNK]", 0.0), ("▁a", -1.0), ("▁b", -1.0), *letters], unk_id))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = TextTokenizer(tmp_path, "model2vec", 8)
    tokens, _ = loaded.fit(["a b" if unk_id is None else "a ☃☃ b"])
    assert tokens.ids.tolist() == ([1, 2] if unk_id is None else [1, 3, 2])
    assert bool(loaded.rules) == (unk_id == 0)
    assert not TextTokenizer(tmp_path, "static", 8).rules


def test_a_character_that_no_token_stands_for_is_a_refused_text(tmp_path):
    """Unigram without an unknown token has nothing to say to it."""
    tokenizer = Tokenizer(models.Unigram([("a", -1.0)], None))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EncoderError, match=r"text 11 .*unk_id"):
        TextTokenizer(tmp_path, "static", 8).fit(["a", "b"], 10)


def test_special_tokens_are_counted_at_both_ends(tmp_path, hf):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "<s>": 1, "</s>": 2, "<t>": 3}, "a"))
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> <t> $A </s>", None, [("<s>", 1), ("<t>", 3), ("</s>", 2)]
    )
    made = save(tokenizer, tmp_path / "tokenizer.json")
    assert made.affixes() == (2, 1)
    tokens = made(["a"])
    assert tokens.ids.tolist() == [1, 3, 0, 2]
    long = Tokens.of(np.array([1, 3, 0, 0, 0, 0, 2], np.int32), [7])
    assert truncated(long, 5, 1).ids.tolist() == [1, 3, 0, 0, 2]


def test_windows_cover_a_text_with_a_quarter_in_common():
    tokens = Tokens.of(np.concatenate([[100], np.arange(20), [101], [100, 7, 101]]).astype(np.int32), [22, 3])
    windows = Windows.of(tokens, 10, Affixes(1, 1))
    found = [part.tolist() for part in np.split(windows.tokens.ids, windows.tokens.offsets[1:-1])]
    spans = [range(8), range(6, 14), range(12, 20)]
    assert found == [*([100, *span, 101] for span in spans), [100, 7, 101]]
    assert windows.first.tolist() == [0, 3, 4]
    assert windows.own.tolist()[:3] == [8, 8, 8]
    assert windows.split.tolist() == [0]
