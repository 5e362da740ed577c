"""What there is to embed: how many texts, how many different ones, and how long they are for a model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from revector.backends.contracts import Backend, Keys, content_hash
from revector.encoders.asymmetric import Asymmetric
from revector.encoders.base import TextEncoder
from revector.encoders.shortened import Shortened
from revector.encoders.templated import Templated
from revector.spaces import EmbeddingSpace

COUNTED_ON = 2_000
"""Documents whose tokens are counted: the mean over them is within 3 % of that of all, as texts vary."""
CHARACTERS_A_TOKEN = 4
"""Where nobody can count: of English prose, roughly."""
_LOOK_SECONDS = 5.0
_HASHES_AT_ONCE = 5_000
_DIGITS = 16  # of a hash are enough to tell texts apart


@dataclass(frozen=True)
class Texts:
    """What there is to embed.

    Attributes
    ----------
    documents : int
    different : int
        Different texts among them: identical ones are embedded once.
    looked_at : int
        Documents among which they were counted; fewer than all in a large collection.
    characters, tokens : int
        Of the different texts, extrapolated from a sample; tokens as far as the model reads them.
    counted_by : str
        Who counts tokens.
    tokens_a_text : float
        The mean of the sample.
    """

    documents: int
    different: int
    looked_at: int
    characters: int
    tokens: int
    counted_by: str
    tokens_a_text: float


def texts_of(backend: Backend, encoder: TextEncoder, *, seed: int = 0) -> Texts:
    """Count a collection's texts, and the tokens of a sample of them."""
    documents, (looked_at, found) = backend.documents.count(), _different(backend, encoder.space)
    sample = drawn_texts(backend, encoder.space, COUNTED_ON, seed)
    tokens, counted_by = tokens_a_text(encoder, sample)
    different = round(documents * found / looked_at) if looked_at else 0
    characters = sum(map(len, sample)) / max(len(sample), 1)
    return Texts(
        documents=documents,
        different=different,
        looked_at=looked_at,
        characters=round(different * characters),
        tokens=round(different * tokens),
        counted_by=counted_by,
        tokens_a_text=tokens,
    )


def drawn_texts(backend: Backend, space: EmbeddingSpace, size: int, seed: int) -> list[str]:
    """Return what a model is given of random documents, in a random order: neighbours may be alike."""
    texts = texts_at(backend, space, backend.documents.sample(size, seed))
    return [texts[place] for place in np.random.default_rng(seed).permutation(len(texts))]


def texts_at(backend: Backend, space: EmbeddingSpace, keys: Keys) -> list[str]:
    """Return what a model is given of some documents."""
    return [text for _, text in backend.documents.texts(keys, space.template).values()]


def tokens_a_text(encoder: TextEncoder, texts: Sequence[str]) -> tuple[float, str]:
    """Return the mean number of tokens that a model reads of a text, and who has counted them."""
    model = model_of(encoder)
    if not texts:
        return 0.0, "nobody: there is no text"
    if (count := getattr(model, "count_tokens", None)) is not None:
        most = encoder.space.max_length
        counts = np.asarray(count(texts), dtype=np.float64)
        return float(np.minimum(counts, most or np.inf).mean()), "the model's own tokenizer"
    if (judge := getattr(model, "estimate", None)) is not None:
        return judge(texts).tokens / len(texts), "the service's tokenizer, or what it charged so far"
    return sum(map(len, texts)) / CHARACTERS_A_TOKEN / len(texts), "four characters each"


def model_of(encoder: TextEncoder) -> TextEncoder:
    """Return the model inside what gives it a template, shortens its vectors, or is asked for queries in its place."""
    while isinstance(encoder, (Asymmetric, Templated, Shortened)):
        encoder = encoder.encoder
    return encoder


def _different(backend: Backend, space: EmbeddingSpace) -> tuple[int, int]:
    """Return how many documents were looked at, for some seconds, and how many different texts they have."""

    def hashes_of(keys: Keys) -> Iterable[str]:
        if space.template is None:
            return backend.documents.content_hashes(keys).values()
        return map(content_hash, texts_at(backend, space, keys))  # as stored, they may be without these fields

    seen: set[str] = set()
    looked_at, after, until = 0, 0, time.monotonic() + _LOOK_SECONDS
    while (first := backend.documents.next_key(after)) is not None and time.monotonic() < until:
        after = first + _HASHES_AT_ONCE - 1
        hashes = [hash_[:_DIGITS] for hash_ in hashes_of(np.arange(first, after + 1))]
        looked_at += len(hashes)
        seen.update(hashes)
    return looked_at, len(seen)
