"""A memory for words: most words of a text were tokenised before.

Where the tokens of a text are the tokens of its words, one after the other (words end at U+0020), looking words up is
several times as fast as tokenising them, and exact whatever the tokeniser behind it is. That holds, of the kinds of
tokenizer.json reviewed here, for

- BERT's: normalisation works character by character (canonical reordering stops at a space), words are split at
  whitespace, and a space is no token;
- byte-fallback BPE that writes a space as "▁", without pre-tokeniser (Llama's): where no token has a "▁" behind
  another character, no merge reaches over the border of two words. Of a run of spaces all but the first belong to the
  word behind it: "▁▁▁word" is what the tokeniser itself makes of "  word".

Texts with a special token, or (of the second kind) with a "▁" or a space at the end, are tokenised whole.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from revector.encoders.texts import invalid_text, numbered
from revector.encoders.tokenization.hf import HfTokenizer
from revector.encoders.tokenization.packed import Tokens, woven
from revector.encoders.tokenization.protocol import Tokenizer
from revector.errors import EncoderError

__all__ = ["WordMemory", "is_word_local"]

_RUN = re.compile(" ( *[^ ]*)")
_MOST_WORDS = 1 << 18  # some 50 MB
_LONGEST_WORD = 64
_MOST_ADDED_TOKENS = 16
# Text with longer words on the average has no words in this sense (Chinese, base64).
_MEAN_WORD = 20


class WordMemory:
    """A tokeniser that asks another one only for words it has not met. Safe to call from several threads.

    Parameters
    ----------
    hf : HfTokenizer
        Of a kind for which `is_word_local`.
    behind : Tokenizer
        Who tokenises what is new; gives the ids of `hf`.
    """

    def __init__(self, hf: HfTokenizer, behind: Tokenizer) -> None:
        self.name = behind.name
        self._behind = behind
        self._words: dict[str, bytes] = {}
        self._added = hf.added_tokens()
        self._spaces_matter = hf.definition["model"]["type"] == "BPE"
        affixes = hf.affixes()
        special = hf(["a"]).ids
        self._head, self._tail = special[: affixes.head], special[len(special) - affixes.tail :]

    def __call__(self, texts: Sequence[str], first: int = 0, *, bare: bool = False) -> Tokens:
        """Tokenise texts whole; see `Tokenizer`."""
        joined = " ".join(texts)
        if not texts or len(joined) > _MEAN_WORD * (joined.count(" ") + 1):
            return self._behind(texts, first, bare=bare)
        runs = self._spaces_matter and _has_runs(joined)
        if self._holds_marks(joined) or (runs and any(map(self._wants_whole, texts))):
            return self._apart(texts, first, bare=bare)
        words, counts = _split_runs(texts) if runs else (joined.split(" "), [text.count(" ") + 1 for text in texts])
        try:
            parts = self._parts(words)
        except EncoderError as error:
            raise invalid_text(numbered(texts, first)) from error
        tokens = _gathered(parts, counts)
        return tokens if bare else tokens.between(self._head, self._tail)

    def _holds_marks(self, text: str) -> bool:
        """Return whether a text, or one of many joined by spaces, holds what means more than its characters."""
        if any(token[0] in text and token in text for token in self._added):  # looking for one character is cheap
            return True
        return self._spaces_matter and "▁" in text

    def _wants_whole(self, text: str) -> bool:
        """Return whether the words of a text can not be tokenised apart."""
        return self._holds_marks(text) or (self._spaces_matter and text.endswith(" "))

    def _apart(self, texts: Sequence[str], first: int, *, bare: bool) -> Tokens:
        """Tokenise the texts whole that want it, the others by words."""
        wanting = np.fromiter(map(self._wants_whole, texts), np.bool_, len(texts))
        if wanting.all():
            return self._behind(texts, first, bare=bare)
        try:
            whole = self._behind(list(itertools.compress(texts, wanting)), bare=bare)
            by_words = self(list(itertools.compress(texts, ~wanting)), bare=bare)
        except EncoderError as error:
            raise invalid_text(numbered(texts, first)) from error
        return woven(by_words, whole, wanting)

    def _parts(self, words: list[str]) -> list[bytes]:
        """Return the ids of each word, as the bytes of int32."""
        parts: list[Any] = list(map(self._words.get, words))
        new = list(_positions_of_none(parts))
        if new:
            learnt = self._learn({words[i] for i in new})
            for i in new:
                parts[i] = learnt[words[i]]
        return parts

    def _learn(self, words: set[str]) -> dict[str, bytes]:
        listed = list(words)
        tokens = self._behind(listed, bare=True)
        data, bounds = tokens.ids.tobytes(), (tokens.offsets * tokens.ids.itemsize).tolist()
        learnt = {word: data[bounds[i] : bounds[i + 1]] for i, word in enumerate(listed)}
        kept = {word: ids for word, ids in learnt.items() if len(word) <= _LONGEST_WORD}
        if len(self._words) + len(kept) > _MOST_WORDS:
            self._words = {}  # what is frequent comes back at once
        self._words.update(kept)
        return learnt


def _positions_of_none(parts: list[Any]) -> Iterator[int]:
    """Yield where None is: `list.index` goes over the many that are there four times as fast as a loop."""
    at = -1
    with suppress(ValueError):
        while True:
            at = parts.index(None, at + 1)
            yield at


def _has_runs(text: str) -> bool:
    """Return whether spaces stand beside one another, or (which a join makes the same) at an end."""
    return not text or "  " in text or " " in (text[0], text[-1])


def _split_runs(texts: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the words of all texts, with the spaces before them but for one, and how many each text has."""
    words = [_RUN.findall(" " + text) if _has_runs(text) else text.split(" ") for text in texts]
    return list(itertools.chain.from_iterable(words)), list(map(len, words))


def _gathered(parts: list[bytes], counts: list[int]) -> Tokens:
    """Pack the ids of words; text i has ``counts[i]`` of them."""
    ids = np.frombuffer(b"".join(parts), np.int32)
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum(list(map(len, parts)), out=bounds[1:])
    words = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=words[1:])
    return Tokens(ids, bounds[words] // ids.itemsize)


def is_word_local(hf: HfTokenizer) -> bool:
    """Return whether the tokens of a text are those of its words (but for what `WordMemory` tokenises whole)."""
    added = hf.added_tokens()
    if len(added) > _MOST_ADDED_TOKENS or any(" " in token or not token for token in added):
        return False
    if hf.kind == "bert":
        return True
    found_late = any(token.get("normalized") for token in hf.definition.get("added_tokens", []))
    return hf.kind == "llama" and not found_late and _words_stay_apart(hf.definition["model"])


def _words_stay_apart(model: dict[str, Any]) -> bool:
    """Return whether no merge of a BPE model reaches from one word into the next, nor anything else does."""
    vocabulary: dict[str, int] = model["vocab"]
    if any("▁" in token.lstrip("▁") for token in vocabulary):
        return False
    every_byte = all(f"<0x{byte:02X}>" in vocabulary for byte in range(256))  # so nothing is unknown, nothing fused
    return every_byte and not model.get("dropout") and not model.get("ignore_merges")
