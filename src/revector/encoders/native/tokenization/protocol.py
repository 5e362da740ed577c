"""What a tokeniser does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from revector.encoders.native.tokenization.packed import Tokens

__all__ = ["Tokenizer"]


class Tokenizer(Protocol):
    """Texts to packed ids: whole texts, nothing cut off. Safe to call from several threads."""

    name: str
    """Which library does it."""

    def __call__(self, texts: Sequence[str], first: int = 0, *, bare: bool = False) -> Tokens:
        """Tokenise texts.

        Parameters
        ----------
        texts : sequence of str
        first : int
            Number of the first one, for errors.
        bare : bool
            Leave out the special tokens that the model has around every text.

        Raises
        ------
        EncoderError
            A text is not valid Unicode (it holds half of a surrogate pair).
        """
        ...
