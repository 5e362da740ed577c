"""Texts to packed token ids."""

from revector.encoders.tokenization.packed import Tokens, Windows
from revector.encoders.tokenization.tokenizer import TextTokenizer

__all__ = ["TextTokenizer", "Tokens", "Windows"]
