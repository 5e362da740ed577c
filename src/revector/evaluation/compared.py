"""The two sides of a comparison: what was embedded by a model, and how fast that was."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError
from revector.evaluation import holdout
from revector.evaluation.both import Side
from revector.evaluation.exact import Matrix

__all__ = ["Candidate", "Present", "embedded", "timed"]

TEXTS_A_BATCH = 256
QUERIES_TIMED = 5


@dataclass(frozen=True)
class Candidate:
    """A model that may be moved to: its vectors, the speed at which they came, and what a query took."""

    encoder: TextEncoder
    drawn: holdout.Holdout
    side: Side
    documents_per_second: float
    query_seconds: float


@dataclass(frozen=True)
class Present:
    """The model that serves, ``None`` if it is gone, and what a query takes by it."""

    encoder: TextEncoder | None
    queries: Matrix
    query_seconds: float
    n_documents: int


def timed(encoder: TextEncoder, queries: list[str]) -> tuple[Matrix, float]:
    """Return the vectors of queries, and the seconds that one of them took alone."""
    vectors = encode_checked(encoder, queries, kind="query")
    few = queries[:QUERIES_TIMED]
    start = time.perf_counter()
    for query in few:
        encode_checked(encoder, [query], kind="query")
    return vectors, (time.perf_counter() - start) / len(few)


def embedded(encoder: TextEncoder, drawn: holdout.Holdout, queries: Matrix, query_seconds: float) -> Candidate:
    """Embed the documents; those that the model refuses are left out of every alternative."""
    texts = [encoder.space.text_of(document.text, document.metadata) for document in drawn.documents]
    start = time.perf_counter()
    outcomes = [
        outcome
        for at in range(0, len(texts), TEXTS_A_BATCH)
        for outcome in encode_each(encoder, texts[at : at + TEXTS_A_BATCH])
    ]
    seconds = max(time.perf_counter() - start, 1e-9)
    refused = {place: outcome for place, outcome in enumerate(outcomes) if isinstance(outcome, EncoderError)}
    if len(refused) == len(texts):
        raise EncoderError(f"{encoder.space} refuses all {len(texts):,} documents, the first one so: {refused[0]}")
    vectors = np.stack([outcome for outcome in outcomes if not isinstance(outcome, EncoderError)])
    side = Side(encoder.space, queries, vectors)
    return Candidate(encoder, holdout.without(drawn, refused), side, len(texts) / seconds, query_seconds)
