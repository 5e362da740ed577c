"""How many tokens texts have for somebody else's tokeniser, and batches of texts within its limits."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["TYPICAL_SHARE", "TokenCounter", "TokenEstimate", "batches", "count_at_most", "counter_for"]

TokenCounter: TypeAlias = "Callable[[Sequence[str]], Sequence[int]]"

# Of what `count_at_most` says, English prose has about this share.
TYPICAL_SHARE = 0.25
_SPECIAL_TOKENS = 4


@dataclass(frozen=True)
class TokenEstimate:
    """What embedding some texts will take.

    Attributes
    ----------
    tokens : int
        Expected: counted if the service's tokeniser is at hand, else judged by what the service charged so far.
    at_most : int
        What it does not go beyond.
    price : float or None
        Of the expected tokens; ``None`` without a price for tokens.
    """

    tokens: int
    at_most: int
    price: float | None


def count_at_most(texts: Sequence[str]) -> list[int]:
    """Return an upper bound on the tokens of each text, for any tokeniser: its UTF-8 bytes, and a few special tokens.

    A token of a byte-level vocabulary stands for at least one byte, and those of other vocabularies for at least one
    character. (Only normalisation that makes text longer could break the bound.) So limits hold, and batches are merely
    smaller than they could be: English prose has four bytes a token.
    """
    return [len(text.encode("utf-8", "surrogatepass")) + _SPECIAL_TOKENS for text in texts]


def counter_for(model: str) -> TokenCounter:
    """Return a counter for a model: that of tiktoken if it is installed and knows the model, else `count_at_most`."""
    try:
        encoding = importlib.import_module("tiktoken").encoding_for_model(model)
    except Exception:  # not installed, not its model, or its vocabulary cannot be downloaded, by whatever library
        return count_at_most
    return _TiktokenCounter(encoding)


class _TiktokenCounter:
    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding

    def __call__(self, texts: Sequence[str]) -> list[int]:
        return [len(self._encoding.encode_ordinary(text)) for text in texts]


def batches(counts: Sequence[int], *, max_tokens: int, max_texts: int) -> Iterator[range]:
    """Yield ranges of texts that can be sent together; a text with more tokens than `max_tokens` stands alone."""
    begin = tokens = 0
    for place, count in enumerate(counts):
        if place > begin and (place - begin == max_texts or tokens + count > max_tokens):
            yield range(begin, place)
            begin, tokens = place, 0
        tokens += count
    if begin < len(counts):
        yield range(begin, len(counts))
