"""What a tokeniser has to see of a very long text: less of it, for the same ids.

HF tokenizers take some hundred bytes and a microsecond a character, however few tokens a model takes. Two things spare
that, each only where the ids are known to be the same:

- **BERT's words** (`squeezed`). A word of more than ``max_input_chars_per_word`` characters is one unknown token,
  whatever it says, so a little more than that stands for all of it; of a run of white space one character is as good as
  all, and of characters that normalisation takes out, none. Which characters are of which kind is asked of the
  tokeniser itself, block by block.
- **The beginning of a text** (`head`), where a model takes no more. BERT's words end before white space, punctuation
  and ideographs, Llama's before a space (see `memo`): what stands before such a border has the tokens that it has in
  the whole text. Elsewhere, and in words without end, beginnings are compared: a token of a BPE or Unigram model is at
  most `reach` characters long, so that one of any `reach` neighbouring positions is a border of the whole text, and the
  tokens before a border do not depend on what is behind it. Tokens that all those beginnings share are therefore those
  of the whole text. Normalisation and pre-tokenisation may look further, to the end of a word or a run of spaces; a
  margin of `_MARGIN` tokens and 64 characters is left for them.

Texts of up to `_LONG` characters are left alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.memo import is_word_local
from revector.errors import EncoderError

__all__ = ["LongTexts"]

_LONG = 1 << 14
_MARGIN = 256
_BLOCK = 256
_GONE, _SOLID, _SPACE, _BORDER, _OTHER, _UNKNOWN = range(6)

Codes = NDArray[np.uint32]
Kinds = NDArray[np.uint8]


class LongTexts:
    """Shortens very long texts for a tokeniser without changing its ids. Safe to call from several threads."""

    def __init__(self, hf: HfTokenizer) -> None:
        self._hf = hf
        added = hf.added_tokens()
        self._is_bert = hf.kind == "bert" and is_word_local(hf) and not any(map(str.isspace, "".join(added)))
        self._is_llama = hf.kind == "llama" and is_word_local(hf)
        self._kinds = _Kinds(hf) if self._is_bert else None
        most = hf.definition["model"].get("max_input_chars_per_word", 100) if self._is_bert else 0
        self._solid = most + _MARGIN
        self._reach = hf.longest_token()

    def squeezed(self, texts: Sequence[str]) -> Sequence[str]:
        """Return texts with the same ids, none longer than it was; only BERT's are shortened."""
        if self._kinds is None or max(map(len, texts), default=0) <= _LONG:
            return texts
        return [self._squeezed(text, self._kinds) if len(text) > _LONG else text for text in texts]

    def heads(self, texts: Sequence[str], tokens: int) -> Sequence[str]:
        """Return texts whose first `tokens` ids are the same; those cut off have more than that all the same."""
        if max(map(len, texts), default=0) <= _LONG:
            return texts
        try:
            return [self._head(text, tokens) if len(text) > _LONG else text for text in texts]
        except EncoderError:
            return texts  # whose number is said by who tokenises them

    def _squeezed(self, text: str, kinds_of: _Kinds) -> str:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = kinds_of(codes)
        if any(token in text and (kinds_of.of(token) <= _SOLID).all() for token in self._hf.added_tokens()):
            return text  # a token of its own may stand within a word
        keep = np.ones(len(codes), np.bool_)
        for begin, end in _runs(kinds == _SPACE, 2):
            keep[begin + 1 : end] = False
        for begin, end in _runs(kinds == _GONE, _LONG // 4):
            if end == len(codes) or not unicodedata.combining(chr(codes[end])):  # so nothing is reordered over the gap
                keep[begin:end] = False
        for begin, end in _runs(kinds <= _SOLID, self._solid):
            solid = np.flatnonzero(kinds[begin:end] == _SOLID)
            if len(solid) > self._solid:
                keep[begin + solid[self._solid] + 1 : end] = False
        return codes[keep].tobytes().decode("utf-32-le", "surrogatepass")

    def _head(self, text: str, tokens: int) -> str:
        wanted, size = tokens + _MARGIN, max(_LONG // 4, 4 * (tokens + _MARGIN))
        while size * 4 < len(text):
            border = self._border(text, size)
            if border and self._hf([text[:border]], bare=True).lengths[0] > wanted:
                return text[:border]
            if not border and size * self._reach * 4 < len(text) and self._agree(text, size, tokens):
                return text[:size]
            size *= 4
        return text

    def _border(self, text: str, size: int) -> int:
        """Return where words end, at `size` or up to as many characters behind it; 0 if none does."""
        if self._is_llama:
            found = text.find(" ", size, 2 * size)
            return found if found > 0 and text[found - 1] != " " else 0
        if self._kinds is None:
            return 0
        codes = np.frombuffer(text[size : 2 * size].encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = self._kinds(codes)
        borders = np.flatnonzero((kinds == _SPACE) | (kinds == _BORDER))
        return size + int(borders[0]) if len(borders) else 0

    def _agree(self, text: str, size: int, tokens: int) -> bool:
        """Return whether the beginnings that end at `size` and before share their first tokens, with a margin."""
        if not text[size - self._reach - 64 : size - self._reach].strip():
            return False  # a token that takes the spaces before it may follow
        found = self._hf([text[: size - back] for back in range(self._reach)], bare=True)
        if found.lengths.min() <= tokens + _MARGIN:
            return False
        firsts = found.ids[found.offsets[:-1].reshape(-1, 1) + np.arange(tokens + 1)]
        return bool((firsts == firsts[0]).all())


class _Kinds:
    """What BERT's normalisation and pre-tokenisation make of each character, learnt in blocks of 256."""

    def __init__(self, hf: HfTokenizer) -> None:
        self._words = hf.words
        self._table = np.full(0x110000, _UNKNOWN, np.uint8)
        self._table[0xD800:0xE000] = _OTHER

    def __call__(self, codes: Codes) -> Kinds:
        met = np.bincount(codes // _BLOCK, minlength=len(self._table) // _BLOCK) > 0
        for block in np.flatnonzero(met).tolist():
            if self._table[block * _BLOCK] == _UNKNOWN:
                learnt = [self._kind(chr(code)) for code in range(block * _BLOCK, (block + 1) * _BLOCK)]
                self._table[block * _BLOCK : (block + 1) * _BLOCK] = learnt  # the same, whichever thread learns it
        return self._table[codes]

    def of(self, text: str) -> Kinds:
        return self(np.array([ord(character) for character in text], np.uint32))

    def _kind(self, character: str) -> int:
        words = self._words(f"a{character}a")
        if words == ["aa"]:
            return _GONE
        if len(words) == 1:
            return _SOLID
        if words[0] == words[-1] == "a":
            return _SPACE if len(words) == 2 else _BORDER
        return _OTHER


def _runs(where: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """Return where runs of at least so many true values begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= least
    return list(zip(begins[long].tolist(), ends[long].tolist(), strict=True))
