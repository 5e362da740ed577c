"""Canary texts: a few fixed texts whose vectors are kept, so that a model that changes its numbers is noticed.

A contract says which model made a vector. It cannot say that a provider put other weights behind the same name, or that
a runtime rounds otherwise since it was updated: the numbers can.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.errors import ModelChangedError
from revector.spaces import EmbeddingSpace

__all__ = ["TEXTS", "TOLERANCE", "Canary", "cosines", "require_unchanged"]

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Wie lange dauert die Umstellung auf ein neues Modell?",
    "Une élève naïve goûte l'été à Besançon; ça coûte 12,50 €.",
    "東京の天気は明日から雨になるでしょう。",
    "Быстрая миграция без простоя и без потерь",
    "كيف أبحث عن مستند قديم؟",
    "def f(x): return {'a': [x**2, -1.5e-7]}  # <b>&amp;</b>\t\u200b",
    "👩‍🚀 naïve ① ﬁ " + "word " * 40,
)
"""Several scripts, accents, code, an emoji of several characters, letters that normal forms change, a longer one."""
TOLERANCE = 2e-3
"""Greatest 1 - cosine of a text that is still the same: int8 moves the weakest of these by .0014."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Canary:
    """What a model gave for fixed texts, as documents and as queries.

    Parameters
    ----------
    texts : tuple of str
        They are kept with the vectors: later releases may have others.
    documents, queries : ndarray of float32, shape (len(texts), dimension)
    """

    texts: tuple[str, ...]
    documents: Rows
    queries: Rows

    @classmethod
    def of(cls, encoder: TextEncoder) -> Canary:
        """Ask a model; raise `EncoderError` if it cannot answer."""
        return cls(TEXTS, encode_checked(encoder, TEXTS), encode_checked(encoder, TEXTS, kind="query"))

    def similarity(self, encoder: TextEncoder) -> float:
        """Ask a model again; return the lowest cosine between what it gave for a text and what it gives now."""
        documents = cosines(self.documents, encode_checked(encoder, self.texts))
        queries = cosines(self.queries, encode_checked(encoder, self.texts, kind="query"))
        return float(min(documents.min(), queries.min()))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them; the vectors as base64 of their bytes."""
        rows = {"documents": _written(self.documents), "queries": _written(self.queries)}
        return {"texts": list(self.texts), "dimension": self.documents.shape[1], **rows}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Canary:
        """Build canaries from what `to_json` returned."""
        documents, queries = (_read(fields[name], fields["dimension"]) for name in ("documents", "queries"))
        return cls(tuple(fields["texts"]), documents, queries)


def require_unchanged(space: EmbeddingSpace, similarity: float, tolerance: float = TOLERANCE) -> None:
    """Raise `ModelChangedError` if the lowest cosine of the canaries of a model says that its numbers changed."""
    if similarity < 1 - tolerance:
        raise ModelChangedError(
            f"{space} gives other numbers than when this collection was filled: a fixed text has a cosine of "
            f"{similarity:.4f} to what it was then, expected {1 - tolerance:.4f} or more. New vectors would not fit "
            "those that are stored: bring the former version of the model or runtime back, or migrate to the model as "
            "it is now, under a revision of its own",
            model=space.model,
            similarity=similarity,
            expected=1 - tolerance,
        )


def _written(rows: Rows) -> str:
    return base64.b64encode(np.ascontiguousarray(rows, dtype="<f4").tobytes()).decode()


def _read(written: str, dimension: int) -> Rows:
    return np.frombuffer(base64.b64decode(written), dtype="<f4").reshape(-1, dimension)


def cosines(first: Rows, second: Rows) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows; two rows of zeros are equal."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    equal = ~a.any(axis=1) & ~b.any(axis=1)
    return np.where(equal, 1.0, (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))
