"""What the demo compares with: the new model's vectors, computed directly and kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from revector._forks import renew_in_child
from revector.encoders.base import Kind, TextEncoder
from revector.evaluation.metrics import as_array, per_query
from revector.formats.judgements import Corpus
from revector.similarity import cosine_topk
from revector.spaces import EmbeddingSpace

METRIC = "nDCG@10"
DEPTH = 10
BATCH = 64


class MemoisingEncoder:
    """An encoder that computes each text once.

    The demo measures the quality of a half-migrated collection seven times with the same queries, and each search
    re-scores some documents with the new model. Those vectors are the ones the assessment has computed, so the
    measurements cost next to nothing. The migration itself never sees this encoder.

    Parameters
    ----------
    encoder : TextEncoder
        Computes what is not known yet.
    on_encoded : callable, optional
        Called with the number of texts known after each batch that was computed.
    """

    def __init__(self, encoder: TextEncoder, on_encoded: Callable[[int], None] = lambda n_known: None) -> None:
        self._encoder = encoder
        self._on_encoded = on_encoded
        self._known: dict[tuple[str, str], NDArray[np.float32]] = {}
        self._renew_lock()
        renew_in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @property
    def space(self) -> EmbeddingSpace:
        """The space of the encoder behind it."""
        return self._encoder.space

    @property
    def source(self) -> str | None:
        """Where the encoder behind it comes from."""
        return self._encoder.source

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> NDArray[np.float32]:
        """Encode texts, see `TextEncoder.encode`; texts seen before are looked up."""
        with self._lock:
            missing = list(dict.fromkeys(text for text in texts if (kind, text) not in self._known))
            for start in range(0, len(missing), BATCH):
                self._compute(missing[start : start + BATCH], kind)
            found = [self._known[kind, text] for text in texts]
        return np.stack(found) if found else np.empty((0, self.space.dimension), np.float32)

    def _compute(self, texts: Sequence[str], kind: Kind) -> None:
        rows = self._encoder.encode(texts, kind=kind)
        self._known.update(((kind, text), row) for text, row in zip(texts, rows, strict=True))
        self._on_encoded(len(self._known))


def direct_scores(corpus: Corpus, encoder: TextEncoder) -> NDArray[np.float64]:
    """Score a model on a collection by exact search over vectors that no store has touched.

    Returns
    -------
    ndarray of float64, shape (n_queries,)
        nDCG@10 of each judged query.
    """
    documents = encoder.encode(list(corpus.documents.values()))
    queries = encoder.encode(list(corpus.queries.values()), kind="query")
    _, best = cosine_topk(queries, documents, DEPTH)
    ids = list(corpus.documents)
    run = {query: [ids[row] for row in rows] for query, rows in zip(corpus.queries, best.tolist(), strict=True)}
    return as_array(per_query(run, corpus.qrels, METRIC))
