"""Texts to packed token ids."""

from revector.encoders.native.tokenization.packed import Tokens, Windows
from revector.encoders.native.tokenization.tokenizer import TextTokenizer

__all__ = ["TextTokenizer", "Tokens", "Windows"]
