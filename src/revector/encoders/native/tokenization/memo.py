"""A memory for words: most words of a text were tokenised before.

Where the tokens of a text are the tokens of its words, one after the other (words end at U+0020), looking words up is
several times as fast as tokenising them, and exact whatever the tokeniser behind it is. That holds, of the kinds of
tokenizer.json reviewed here, for

- BERT's: normalisation works character by character (canonical reordering stops at a space), words are split at
  whitespace, and a space is not a token;
- byte-fallback BPE that writes a space as "▁", without pre-tokeniser (Llama's): where no token has a "▁" behind
  another character, no merge reaches over the border of two words. Of a run of spaces all but the first belong to the
  word behind it: "▁▁▁word" is what the tokeniser itself makes of "  word".

Texts with a special token, or (of the second kind) with a "▁" or a space at the end, are tokenised whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from revector import _core
from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.packed import Tokens
from revector.encoders.native.tokenization.protocol import Tokenizer
from revector.encoders.texts import invalid_text, numbered
from revector.errors import EncoderError

__all__ = ["WordMemory", "is_word_local"]

_MOST_WORDS = 1 << 18  # 20 MB at most
_MOST_ADDED_TOKENS = 16
_NONE = Tokens.of(np.empty(0, np.int32), [])


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
        self._spaces_matter = hf.definition["model"]["type"] == "BPE"
        self._marks = [*hf.added_tokens(), *("▁" if self._spaces_matter else "")]
        self._table = self._empty_table()
        affixes = hf.affixes()
        special = hf(["a"]).ids.tolist()
        self._head, self._tail = special[: affixes.head], special[len(special) - affixes.tail :]

    def __call__(self, texts: Sequence[str], first: int = 0, *, bare: bool = False) -> Tokens:
        """Tokenise texts whole; see `Tokenizer`."""
        try:
            recalled = self._table.recall(texts)
            learnt = self._learn(recalled.unknown)
        except (UnicodeEncodeError, EncoderError) as error:
            raise invalid_text(numbered(texts, first)) from error
        head, tail = ([], []) if bare else (self._head, self._tail)
        return Tokens(*recalled.completed(*learnt, head, tail))

    def _learn(self, words: list[str]) -> Tokens:
        """Tokenise new words, and keep them for the next time."""
        if not words:
            return _NONE
        tokens = self._behind(words, bare=True)
        if not self._table.learn(words, *tokens):
            self._table = self._empty_table()  # what is frequent comes back at once
        return tokens

    def _empty_table(self) -> _core.WordTable:
        return _core.WordTable(self._marks, spaces_matter=self._spaces_matter, most_words=_MOST_WORDS)


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
