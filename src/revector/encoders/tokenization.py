"""Texts to packed token ids: HF tokenizers under the model's own limits."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, normalizers

from revector.encoders.folders import read_config
from revector.errors import EncoderError

__all__ = ["PackedTokenizer"]


class PackedTokenizer:
    """The tokeniser of a model folder, without padding and cut at the model's length.

    What tokenizer.json says of truncation and padding is set aside: it is how somebody last used it (all-MiniLM-L6-v2
    ships with 128 tokens, of its 256). Safe to call from several threads.

    Parameters
    ----------
    folder : Path
        Where tokenizer.json lies.
    family : str
        As the core names it; ``"static"`` and ``"model2vec"`` have rules of their own.
    max_length : int or None
        Tokens kept of a text, special tokens included.

    Raises
    ------
    EncoderError
        There is no tokenizer.json, or it is malformed.
    """

    def __init__(self, folder: Path, family: str, max_length: int | None) -> None:
        self._tokenizer = _load(folder / "tokenizer.json")
        self.lower_case = bool(read_config(folder / "sentence_bert_config.json").get("do_lower_case", False))
        self._add_special = family not in ("static", "model2vec") or bool(
            read_config(folder / "config.json").get("add_special_tokens", False)
        )
        if self.lower_case:
            _lower_case(self._tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._characters: int | None = None
        self._dropped: int | None = None
        if max_length is not None:
            self._tokenizer.enable_truncation(max_length)
        if family == "model2vec":
            self._dropped = _unknown_token(self._tokenizer)
            if max_length is not None:
                self._characters = max_length * _median_length(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the ids of all texts, one after the other, and the ``len(texts) + 1`` positions where texts begin.

        Raises
        ------
        EncoderError
            A text is no valid Unicode (it holds half of a surrogate pair).
        """
        prepared = [self._prepare(text) for text in texts]
        try:
            encodings = self._tokenizer.encode_batch_fast(prepared, add_special_tokens=self._add_special)
        except (TypeError, UnicodeEncodeError) as error:
            raise EncoderError(f"{_first_invalid(texts)} is not valid Unicode: {error}") from error
        ids = [self._kept(encoding) for encoding in encodings]
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(tokens) for tokens in ids], out=offsets[1:])
        return np.fromiter(itertools.chain.from_iterable(ids), np.int32, int(offsets[-1])), offsets

    def _prepare(self, text: str) -> str:
        return text if self._characters is None else text[: self._characters]

    def _kept(self, encoding: Encoding) -> list[int]:
        ids: list[int] = encoding.ids
        return ids if self._dropped is None else [token for token in ids if token != self._dropped]


def _load(path: Path) -> Tokenizer:
    if not path.exists():
        raise EncoderError(f"{path} is missing; convert the tokeniser to it, or use the sentence-transformers encoder")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise EncoderError(f"{path} is not a tokeniser of HF tokenizers: {error}") from error


def _lower_case(tokenizer: Tokenizer) -> None:
    """Lower-case texts first, unless that is done already; special tokens written in a text stay what they are."""
    present = tokenizer.normalizer
    if present is None:
        tokenizer.normalizer = normalizers.Lowercase()
    elif present.normalize_str("A") != "a":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), present])


def _unknown_token(tokenizer: Tokenizer) -> int | None:
    """Return the id that model2vec drops from every text: the one for unknown words."""
    token = getattr(tokenizer.model, "unk_token", None)
    found: int | None = tokenizer.token_to_id(token) if token is not None else None
    return found


def _median_length(tokenizer: Tokenizer) -> int:
    """Return the median length of a token in characters: model2vec cuts texts at that times the number of tokens."""
    return int(statistics.median(len(token) for token in tokenizer.get_vocab()))


def _first_invalid(texts: Sequence[str]) -> str:
    for i, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"text {i}"
    return "a text"
