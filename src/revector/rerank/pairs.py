"""Pairs of texts to packed token ids and types, for cross-encoders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector.encoders.native.folder_fields import read_definition
from revector.encoders.native.folder_fields.files import read_config
from revector.encoders.native.tokenization.hf import HfTokenizer, load_tokenizer
from revector.encoders.native.tokenization.long import LongTexts
from revector.encoders.texts import invalid_text, numbered
from revector.errors import EncoderError

__all__ = ["PairTokenizer"]


class PairTokenizer:
    """The tokeniser of a cross-encoder's folder, without padding and cut at the model's length.

    Where a pair is too long, tokens are taken from the longer text until it fits ("longest first"), as
    sentence-transformers does. Safe to call from several threads.

    Parameters
    ----------
    folder : Path
        Where tokenizer.json lies.
    family : str
        As the core names it.
    max_length : int
        Tokens kept of a pair, special tokens included.
    typed : bool
        Whether the model tells the first text from the second by token types.

    Raises
    ------
    EncoderError
        There is no tokenizer.json, or it is malformed, or the folder asks for what is not supported.
    """

    def __init__(self, folder: Path, family: str, max_length: int, *, typed: bool) -> None:
        self._typed = typed
        _refuse_lower_case(folder)
        definition = read_definition(folder, family)
        for file, name, value, why in definition.conflicts:
            raise EncoderError(
                f"{folder / file}: {name} is {value!r}, which is not supported ({why}); "
                "use sentence-transformers' CrossEncoder for this model"
            )
        self._tokenizer = load_tokenizer(folder / "tokenizer.json", definition)
        hf = HfTokenizer(folder / "tokenizer.json", add_special=False, definition=definition)
        self._long, self._keeps_end, self._max_length = LongTexts(hf), definition.side == "left", max_length
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy="longest_first", direction=definition.side)

    def __call__(
        self, query: str, texts: Sequence[str], first: int = 0
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
        """Return ids of all pairs, one after the other, the ``len(texts) + 1`` positions where they begin, and types.

        The types are empty where the model has none. Errors count the texts from `first` on.

        Raises
        ------
        EncoderError
            A text is not valid Unicode (it holds half of a surrogate pair).
        """
        try:
            pairs = [(shown, text) for shown in self._shown([query]) for text in self._shown(texts)]
            encodings = self._tokenizer.encode_batch_fast(pairs)
        except (TypeError, UnicodeEncodeError, EncoderError) as error:
            raise invalid_text([("the query", query), *numbered(texts, first)]) from error
        offsets = np.zeros(len(encodings) + 1, np.int64)
        np.cumsum([len(encoding) for encoding in encodings], out=offsets[1:])
        ids = itertools.chain.from_iterable(encoding.ids for encoding in encodings)
        types = itertools.chain.from_iterable(encoding.type_ids for encoding in encodings if self._typed)
        return np.fromiter(ids, np.int32, int(offsets[-1])), offsets, np.fromiter(types, np.int32)

    def _shown(self, texts: Sequence[str]) -> Sequence[str]:
        """Return what decides the tokens: how a pair is cut does not depend on what either has beyond the limit."""
        squeezed = self._long.squeezed(texts)
        return squeezed if self._keeps_end else self._long.heads(squeezed, self._max_length)


def _refuse_lower_case(folder: Path) -> None:
    path = folder / "sentence_bert_config.json"
    if read_config(path).get("do_lower_case", False):
        raise EncoderError(
            f"{path}: do_lower_case is true, which is not supported in a cross-encoder (false is); "
            "use sentence-transformers' CrossEncoder for this model"
        )
