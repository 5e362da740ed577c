"""Encoders that are small, fast and deterministic."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector.encoders.base import Kind, TextEncoder
from revector.encoders.texts import listed_texts, require_kind
from revector.spaces import EmbeddingSpace


class HashEncoder:
    """Bag of hashed words: each word has a random direction, a text the sum of its words' directions.

    Texts that share words are near each other, in the same way in every process. Another seed is another space.

    Parameters
    ----------
    dimension : int
        Length of a vector.
    seed : int
        Of the directions.
    name : str, optional
        Model name of the space.
    """

    source: str | None = None

    def __init__(self, dimension: int = 32, seed: int = 0, *, name: str | None = None) -> None:
        dimension, seed = whole_number(dimension, "dimension", least=1), whole_number(seed, "seed")
        self.space = EmbeddingSpace(
            model=name or f"hash-{dimension}-{seed}",
            dimension=dimension,
            revision=f"hash-encoder:{seed}",
            pooling="sum",
        )
        self._direction = lru_cache(maxsize=None)(self._new_direction)

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Return unit rows; `kind` makes no difference. The empty text has a direction, too."""
        texts = listed_texts(texts)
        require_kind(kind)
        rows = np.zeros((len(texts), self.space.dimension), dtype=np.float64)
        for place, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                rows[place] += self._direction(word)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)

    def _new_direction(self, word: str) -> NDArray[np.float64]:
        digest = hashlib.sha256(f"{self.space.revision}:{word}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(self.space.dimension)


class RecordingEncoder:
    """Writes down what it is asked to encode: one line with the text's SHA-256 for each text, in any process.

    Parameters
    ----------
    encoder : TextEncoder
        Does the encoding.
    path : str or Path
        The file. Each call appends its lines in one write, before it encodes.
    """

    def __init__(self, encoder: TextEncoder, path: str | os.PathLike[str]) -> None:
        self._encoder, self._path = encoder, path

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the encoder inside."""
        return self._encoder.space

    @property
    def source(self) -> str | None:
        """The source of the encoder inside."""
        return self._encoder.source

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Record the texts, then encode them."""
        texts = listed_texts(texts)
        lines = "".join(hashlib.sha256(text.encode()).hexdigest() + "\n" for text in texts)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)
        return self._encoder.encode(texts, kind=kind)
