"""Judged collections as rows of a model, embedded once and kept in ``~/.cache/revector-embeddings``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from revector import Encoder
from revector.encoders.base import Kind
from revector.formats.judgements import Corpus

__all__ = ["Embedded", "Looked", "Rows", "embed", "embed_texts"]

CACHE = Path("~/.cache/revector-embeddings").expanduser()

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Rows of a collection in one space, in the order of its documents and queries.

    Parameters
    ----------
    documents : ndarray of float32, shape (n_documents, d)
    queries : ndarray of float32, shape (n_queries, d)
    """

    documents: Rows
    queries: Rows


def embed(folder: Path, corpus: Corpus) -> Embedded:
    """Embed a collection with the model of a folder, or read what an earlier run has kept.

    The key is the names of model and collection, the precision and the revision of the model's files.
    """
    encoder = Encoder.from_pretrained(folder)
    key = f"{folder.name}-{corpus.name}-{encoder.precision}-{encoder.space.fingerprint[:8]}"
    documents = _kept(CACHE / f"{key}-documents.npy", encoder, list(corpus.documents.values()), "document")
    return Embedded(documents, _kept(CACHE / f"{key}-queries.npy", encoder, list(corpus.queries.values()), "query"))


def embed_texts(key: str, encoder: Encoder, texts: Sequence[str], kind: Kind) -> Rows:
    """Embed texts, or read what an earlier run has kept of the same ones under a key."""
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]
    return _kept(CACHE / f"{key}-{encoder.space.fingerprint[:8]}-{digest}-{kind}.npy", encoder, texts, kind)


def _kept(path: Path, encoder: Encoder, texts: Sequence[str], kind: Kind) -> Rows:
    if path.exists() and len(rows := np.load(path)) == len(texts):
        return rows
    rows = encoder.encode(texts, kind=kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, rows)
    return rows


class Looked:
    """A model whose vectors of a collection's texts are known; looks them up."""

    source: str | None = None

    def __init__(self, folder: Path, corpus: Corpus) -> None:
        rows = embed(folder, corpus)
        self.space = Encoder.from_pretrained(folder).space
        self._rows = {
            "document": dict(zip(corpus.documents.values(), rows.documents, strict=True)),
            "query": dict(zip(corpus.queries.values(), rows.queries, strict=True)),
        }

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Return the rows of texts of the collection."""
        return np.stack([self._rows[kind][text] for text in texts])
