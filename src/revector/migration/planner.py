"""What a migration will take: time from measured speed, storage while both generations live, price of a service."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from revector._arguments import number, whole_number
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.isolation import encode_checked, encode_each
from revector.errors import EncoderError
from revector.stores.base import Store

_ROW_BYTES = 200  # hashes, keys and index entries of a stored vector
_GRAPH_BYTES = 200  # links and label of an element of an HNSW index with M = 16
_CHARACTERS_PER_TOKEN = 4  # of English text, roughly


@dataclass(frozen=True)
class Estimate:
    """What a migration will take.

    Attributes
    ----------
    documents : int
        To be embedded.
    documents_per_second : float or None
        As measured on a sample; ``None`` of an empty collection.
    seconds : float
        Time to embed them all with that many workers.
    characters, tokens : int
        Of all texts, extrapolated from the sample; tokens at four characters each.
    price : float or None
        Tokens at the given price.
    target_bytes : int
        Vectors and index of the new generation.
    peak_bytes : int
        Vectors and indexes of both generations, which live side by side until the old one is retired.
    """

    documents: int
    documents_per_second: float | None
    seconds: float
    characters: int
    tokens: int
    price: float | None
    target_bytes: int
    peak_bytes: int


def estimate(
    store: Store,
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
    store : Store
        Holds the documents.
    source_generation : int
        The generation that serves now.
    encoder : TextEncoder
        The new model's.
    sample : int
        Documents to embed for the measurement; each is embedded twice, the first time to warm up.
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
    texts, documents = _sample(store, sample, seed), store.count_documents()
    rate = _documents_per_second(encoder, texts) if texts else None
    characters = round(documents * sum(map(len, texts)) / len(texts)) if texts else 0
    tokens = characters // _CHARACTERS_PER_TOKEN
    source_bytes, target_bytes = (
        documents * (2 * 4 * dimension + _ROW_BYTES + _GRAPH_BYTES)  # a vector lies in the store and in the index
        for dimension in (store.generation(source_generation).space.dimension, encoder.space.dimension)
    )
    return Estimate(
        documents=documents,
        documents_per_second=rate,
        seconds=documents / (rate * workers) if rate else 0.0,
        characters=characters,
        tokens=tokens,
        price=None if price_per_million_tokens is None else tokens / 1e6 * price_per_million_tokens,
        target_bytes=target_bytes,
        peak_bytes=source_bytes + target_bytes,
    )


def _sample(store: Store, size: int, seed: int) -> list[str]:
    keys = np.array(list(store.content_hashes()), dtype=np.int64)
    chosen = np.random.default_rng(seed).choice(keys, size=min(size, len(keys)), replace=False)
    return [document.text for document in store.documents_by_key(chosen)]


def _documents_per_second(encoder: TextEncoder, texts: list[str]) -> float:
    outcomes = encode_each(encoder, texts)
    taken = [text for text, outcome in zip(texts, outcomes, strict=True) if not isinstance(outcome, EncoderError)]
    if not taken:
        raise next(outcome for outcome in outcomes if isinstance(outcome, EncoderError))
    began = time.perf_counter()
    encode_checked(encoder, taken)
    return len(taken) / max(time.perf_counter() - began, 1e-9)
