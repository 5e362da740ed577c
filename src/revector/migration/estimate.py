"""What a migration takes: time from measured speed, storage while both generations live, price of a service."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from revector._arguments import number, whole_number
from revector.backends.contracts import Backend
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.isolation import encode_each
from revector.errors import EncoderError
from revector.spaces import EmbeddingSpace

__all__ = ["Cost", "Estimate", "estimate", "vector_bytes"]

_BYTES_A_DOCUMENT = 420
"""Beside the floats: the job, keys, hashes and their indexes in the store, links and label in the HNSW index."""
_CHARACTERS_PER_TOKEN = 4  # of English text, roughly


def vector_bytes(dimension: int, n_documents: int) -> int:
    """Return what a generation takes at most, in the store and in its index.

    A collection of 2,000 documents, with a graph of all, grew from the start of a migration to its cut-over by 906
    bytes a document at 64 dimensions, 2,694 at 256, 3,801 at 384, 5,153 at 512, 7,376 at 768, 10,851 at 1,024, 16,155
    at 1,536 and 32,076 at 3,072; this is 0 to 19 % above each. The index holds five bytes for each dimension, the store
    up to a third more than four: a page holds whole rows, and what is left of it stays empty.
    """
    index, store = 5 * dimension, 16 * dimension // 3
    return n_documents * (index + store + _BYTES_A_DOCUMENT)


@dataclass(frozen=True)
class Cost:
    """What embedding a whole collection with another model takes.

    Attributes
    ----------
    documents : int
        To be embedded.
    documents_per_second : float or None
        As measured on a sample; ``None`` if there was nothing to measure.
    seconds : float
        Time to embed them all.
    target_bytes : int
        Vectors and index of the new generation.
    peak_bytes : int
        Vectors and indexes of both generations, which live side by side until the old one is retired.
    """

    documents: int
    documents_per_second: float | None
    seconds: float
    target_bytes: int
    peak_bytes: int

    @classmethod
    def of(
        cls, documents: int, source: EmbeddingSpace, target: EmbeddingSpace, rate: float | None, *, workers: int = 1
    ) -> Cost:
        """Extrapolate from the rate of one worker, in documents per second."""
        source_bytes, target_bytes = (vector_bytes(space.dimension, documents) for space in (source, target))
        seconds = documents / (rate * workers) if rate else 0.0
        return cls(documents, rate, seconds, target_bytes, source_bytes + target_bytes)


@dataclass(frozen=True)
class Estimate:
    """What a migration will take.

    Attributes
    ----------
    cost : Cost
        Time and storage.
    characters, tokens : int
        Of all texts, extrapolated from the sample; tokens at four characters each.
    price : float or None
        Tokens at the given price.
    """

    cost: Cost
    characters: int
    tokens: int
    price: float | None


def estimate(
    backend: Backend,
    source_generation: int,
    encoder: TextEncoder,
    *,
    sample: int = 64,
    workers: int = 1,
    price_per_million_tokens: float | None = None,
    seed: int = 0,
) -> Estimate:
    """Measure the encoder on a random sample of the documents and extrapolate.

    Parameters
    ----------
    backend : Backend
        Holds the documents.
    source_generation : int
        The generation that serves now.
    encoder : TextEncoder
        The new model's.
    sample : int
        Documents to embed for the measurement, each once; one more warms the model up.
    workers : int
        Workers that will run, each as fast as this process.
    price_per_million_tokens : float, optional
        Of a service, in its currency.
    seed : int
        Of the sample.

    Raises
    ------
    EncoderError
        The encoder cannot embed any of the sample, or a service refuses.
    """
    sample, workers = whole_number(sample, "sample", least=1), whole_number(workers, "workers", least=1)
    seed = whole_number(seed, "seed", least=0)
    if price_per_million_tokens is not None:
        price_per_million_tokens = number(price_per_million_tokens, "price_per_million_tokens", least=0)
    require_encoder(encoder, "encoder")
    texts, documents = _sample(backend, encoder.space, sample, seed), backend.documents.count()
    rate = _documents_per_second(encoder, texts) if texts else None
    characters = round(documents * sum(map(len, texts)) / len(texts)) if texts else 0
    tokens = characters // _CHARACTERS_PER_TOKEN
    return Estimate(
        cost=Cost.of(documents, backend.generations.get(source_generation).space, encoder.space, rate, workers=workers),
        characters=characters,
        tokens=tokens,
        price=None if price_per_million_tokens is None else tokens / 1e6 * price_per_million_tokens,
    )


def _sample(backend: Backend, space: EmbeddingSpace, size: int, seed: int) -> list[str]:
    documents = backend.documents.by_key(backend.documents.sample(size, seed))
    texts = [space.text_of(document.text, document.metadata) for document in documents]
    order = np.random.default_rng(seed).permutation(len(texts))  # neighbours may be alike: a batch is not sorted
    return [texts[place] for place in order]


def _documents_per_second(encoder: TextEncoder, texts: list[str]) -> float:
    """Measure as workers will work, where a refused text costs its share.

    One text is enough to load what is loaded late. A whole pass to warm up would be paid for twice, and would flatter a
    static model, which remembers the words that it has met.
    """
    encode_each(encoder, texts[:1])
    began = time.perf_counter()
    outcomes = encode_each(encoder, texts)
    seconds = max(time.perf_counter() - began, 1e-9)
    errors = [outcome for outcome in outcomes if isinstance(outcome, EncoderError)]
    if len(errors) == len(texts):
        raise errors[0]
    return len(texts) / seconds
