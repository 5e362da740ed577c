"""The tokeniser of a model folder, under the rules of its family."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from revector.encoders.native.folder_fields import Definition, read_definition
from revector.encoders.native.folder_fields.files import read_config
from revector.encoders.native.tokenization.hf import HfTokenizer
from revector.encoders.native.tokenization.long import LongTexts
from revector.encoders.native.tokenization.memo import WordMemory, is_word_local
from revector.encoders.native.tokenization.packed import Affixes, Tokens, Windows, truncated
from revector.encoders.native.tokenization.protocol import Tokenizer
from revector.encoders.native.tokenization.tokie import tokie_if_identical

__all__ = ["TextTokenizer"]


class TextTokenizer:
    """The tokeniser of a model folder. Safe to call from several threads.

    What tokenizer.json says of truncation and padding is set aside: it is how somebody last used it (all-MiniLM-L6-v2
    ships with 128 tokens, of its 256).

    Parameters
    ----------
    folder : Path
        Where tokenizer.json lies.
    family : str
        As the core names it; ``"static"`` and ``"model2vec"`` have rules of their own.
    max_length : int or None
        Tokens that the model takes, special tokens included.
    definition : Definition, optional
        What the folder says about its tokeniser; read from there by default.
    lower_case : bool
        Whether texts are lower-cased first, also where the tokeniser does not say so.

    Raises
    ------
    EncoderError
        There is no tokenizer.json, or it is malformed.
    """

    def __init__(
        self,
        folder: Path,
        family: str,
        max_length: int | None,
        definition: Definition | None = None,
        *,
        lower_case: bool = False,
    ) -> None:
        definition = definition or read_definition(folder, family)
        special = family not in ("static", "model2vec") or bool(
            read_config(folder / "config.json").get("add_special_tokens", False)
        )
        hf = HfTokenizer(folder / "tokenizer.json", add_special=special, lower_case=lower_case, definition=definition)
        self.keeps_end = definition.side == "left"
        self.max_length = max_length
        self._whole = _fastest(hf)
        self._long = LongTexts(hf)
        self._affixes = hf.affixes()
        # The tokens at one end that stay when a text is cut at that end.
        self._fixed = self._affixes.head if self.keeps_end else self._affixes.tail
        self._dropped = hf.unknown_token() if family == "model2vec" else None
        # Before these tokens were dropped, their texts had other rows.
        self.rules = "unknown tokens dropped" if self._dropped is not None and hf.is_unigram else ""
        cuts_text = family == "model2vec" and max_length is not None
        self._characters = max_length * hf.median_length() if cuts_text and max_length is not None else None

    @property
    def name(self) -> str:
        """Which library tokenises: ``"hf"`` or ``"tokie"``."""
        return self._whole.name

    def whole(self, texts: Sequence[str], first: int = 0) -> Tokens:
        """Return all tokens of texts, however many the model takes.

        Parameters
        ----------
        texts : sequence of str
        first : int
            Number of the first text, for errors.

        Raises
        ------
        EncoderError
            A text is not valid Unicode (it holds half of a surrogate pair).
        """
        return self._whole(self._long.squeezed(texts), first)

    def fit(self, texts: Sequence[str], first: int = 0) -> tuple[Tokens, int]:
        """Return the tokens that the model takes of texts, and how many texts lost some to its limit."""
        cut = self._shortened(texts)
        limit = self.max_length
        shown = self._long.squeezed(cut)
        if limit is not None and not self.keeps_end:
            shown = self._long.heads(shown, limit)
        whole = self._whole(shown, first)
        tokens = whole if limit is None else truncated(whole, limit, self._fixed, keeps_end=self.keeps_end)
        return self._known(tokens), _count_cut(texts, cut, whole, tokens)

    def prompt_length(self, prompt: str) -> int:
        """Return how many tokens stand before a text behind a prompt, special ones included; 0 without a prompt."""
        return len(self._whole([prompt]).ids) - self._affixes.tail if prompt else 0

    def windows(self, texts: Sequence[str], prompt: str = "", first: int = 0) -> Windows:
        """Return the tokens of texts, those beyond the model's length in windows that each begin with the prompt."""
        tokens = self._known(self.whole(texts, first))
        head = self.prompt_length(prompt) or self._affixes.head
        limit = self.max_length or max(len(tokens.ids), 1)
        fitting = Affixes(min(head, limit - self._affixes.tail - 1), self._affixes.tail)
        return Windows.of(tokens, limit, fitting)

    def _shortened(self, texts: Sequence[str]) -> Sequence[str]:
        if self._characters is None or max(map(len, texts), default=0) <= self._characters:
            return texts
        return [text[: self._characters] for text in texts]

    def _known(self, tokens: Tokens) -> Tokens:
        return tokens if self._dropped is None else tokens.kept(tokens.ids != self._dropped)


def _count_cut(texts: Sequence[str], cut: Sequence[str], whole: Tokens, tokens: Tokens) -> int:
    lost = whole.lengths > tokens.lengths
    if cut is not texts:
        lost |= np.array([len(left) < len(text) for left, text in zip(cut, texts, strict=True)], np.bool_)
    return int(np.count_nonzero(lost))


def _fastest(hf: HfTokenizer) -> Tokenizer:
    """Return the fastest way to the ids of `hf`; ``REVECTOR_TOKENIZER=hf`` in the environment keeps to `hf` itself."""
    if os.environ.get("REVECTOR_TOKENIZER") == "hf":
        return hf
    quick = tokie_if_identical(hf) or hf
    return WordMemory(hf, quick) if is_word_local(hf) else quick
