"""Proof that two encoders are of one space: another runtime, precision or provider of the same model.

Vectors of the two may then be mixed, so that nothing has to be rebuilt. It is proved on texts: each one's two vectors
must point the same way, and a search by the new encoder, among vectors of both, must find what a search by the old one
found among its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import strings, whole_number
from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.canary import TEXTS, TOLERANCE, Canary, cosines
from revector.encoders.isolation import encode_checked
from revector.errors import InvalidArgumentError, MigrationError, SpaceMismatchError
from revector.evaluation.exact import Matrix, topk
from revector.evaluation.sampling import current_sample
from revector.migration.canaries import forget_canaries, kept_canary
from revector.spaces import EmbeddingSpace

__all__ = ["SameSpace", "same_space", "same_space_as_stored", "take_over"]

MIN_OVERLAP = 0.95
"""Of what both find, in the mean over queries, at the lower end of its interval."""
LENGTH_TOLERANCE = 0.01
"""Lengths matter where the metric is the inner product."""
N_TEXTS, N_QUERIES = 500, 200
LEAST_TEXTS = 100
"""With fewer, a search finds most of them anyway, whatever the encoder."""
_WORDS_A_QUERY = 8
_SURE = 1.645  # one-sided, 95 %


@dataclass(frozen=True)
class SameSpace:
    """Whether two encoders are of one space, and what says so.

    Parameters
    ----------
    same : bool
        Vectors of both may be mixed.
    reasons : tuple of str
        What speaks against it; empty where they are the same.
    texts, queries : int
        How many were embedded by both.
    lowest_cosine, median_cosine : float
        Between the two vectors of a text or query.
    overlap, overlap_low : float
        Share of the nearest `k` that both find, in the mean, and the lower end of its 95 % interval.
    k : int
        Documents a search.
    """

    same: bool
    reasons: tuple[str, ...]
    texts: int = 0
    queries: int = 0
    lowest_cosine: float = 0.0
    median_cosine: float = 0.0
    overlap: float = 0.0
    overlap_low: float = 0.0
    k: int = 10

    def __str__(self) -> str:
        """Return the verdict with its figures."""
        if not self.texts:
            return f"no, these are two spaces: {self.reasons[0]}"
        verdict = "yes, this is one space" if self.same else f"no, these are two spaces: {'; '.join(self.reasons)}"
        return (
            f"{verdict}\n{self.texts:,} texts and {self.queries:,} queries: cosine {self.median_cosine:.5f} in the "
            f"median, {self.lowest_cosine:.5f} at least; {self.overlap:.1%} of the nearest {self.k} are the same "
            f"(95 % sure of {self.overlap_low:.1%})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)


def same_space(
    old_encoder: TextEncoder, new_encoder: TextEncoder, texts: Iterable[str] | None = None, *, k: int = 10
) -> SameSpace:
    """Compare two encoders on texts.

    Parameters
    ----------
    old_encoder, new_encoder : TextEncoder
        The one whose vectors are stored, and the one that shall go on.
    texts : iterable of str, optional
        Documents like those of the collection, a few hundred; by default paragraphs of Python's documentation.
    k : int
        Documents a search.

    Raises
    ------
    InvalidArgumentError
        Fewer than 100 different texts.
    EncoderError
        One of the encoders cannot embed them.
    """
    old, new = space_of(old_encoder, "old_encoder"), space_of(new_encoder, "new_encoder")
    if reasons := _unlike(old, new):
        return SameSpace(False, reasons)
    documents = list(dict.fromkeys([*TEXTS, *(_paragraphs() if texts is None else strings(texts, "texts"))]))
    asked = [" ".join(text.split()[:_WORDS_A_QUERY]) for text in documents[:N_QUERIES]]
    old_rows, new_rows = (encode_checked(each, documents) for each in (old_encoder, new_encoder))
    old_queries, new_queries = (encode_checked(each, asked, kind="query") for each in (old_encoder, new_encoder))
    return _compared(old, old_rows, new_rows, old_queries, new_queries, whole_number(k, "k", least=1))


def same_space_as_stored(
    backend: Backend, generation: Generation, encoder: TextEncoder, *, sample: int = N_TEXTS + N_QUERIES, seed: int = 0
) -> SameSpace:
    """Compare what is stored with what an encoder gives for the same documents; the old encoder is not needed.

    Queries are compared by the canary texts of the generation; without any, both contracts must have the same prefixes.

    Parameters
    ----------
    backend : Backend
    generation : Generation
        Whose vectors.
    encoder : TextEncoder
        The one that shall go on.
    sample : int
        Documents to embed.
    seed : int
        Of the sample.
    """
    if reasons := _unlike(generation.space, space_of(encoder, "encoder")) or _queries_unlike(
        generation.space, kept_canary(backend, generation.id), encoder
    ):
        return SameSpace(False, reasons)
    with backend.snapshot():
        keys = current_sample(backend, [generation.id], sample, seed)
        found = {document.key: document for document in backend.documents.by_key(keys)}
        keys, stored = backend.generations.vectors(generation.id, [key for key in keys.tolist() if key in found])
    documents = [found[key] for key in keys.tolist()]
    fresh = encode_checked(encoder, [generation.space.text_of(each.text, each.metadata) for each in documents])
    asked = np.arange(len(fresh)) < min(N_QUERIES, len(fresh) // 3)
    return _compared(generation.space, stored[~asked], fresh[~asked], stored[asked], fresh[asked], 10)


def take_over(backend: Backend, generation: Generation, encoder: TextEncoder, source: str) -> None:
    """Let a generation go on with an encoder of another contract, whose space is proved to be the same.

    Raises
    ------
    MigrationError
        The collection is being migrated, by the contract that it has.
    SpaceMismatchError
        The spaces are not the same; the message has the figures.
    """
    space = replace(space_of(encoder, "encoder"), template=generation.space.template)
    if space.fingerprint == generation.space.fingerprint:
        return
    if backend.ledger.active(backend.alias) is not None:
        raise MigrationError("a model of another contract can take over once the migration is retired, not before")
    found = same_space_as_stored(backend, generation, encoder)
    if not found.same:
        raise SpaceMismatchError(f"{space}: {found}", expected=str(generation.space), found=str(space))
    with backend.exclusive():
        if backend.ledger.active(backend.alias) is None and backend.generations.get(generation.id) == generation:
            backend.generations.set_space(generation.id, space, source)
            forget_canaries(backend, generation.id)


def _unlike(old: EmbeddingSpace, new: EmbeddingSpace) -> tuple[str, ...]:
    """Return in what two spaces differ that no vector has to be looked at for."""
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in ("dimension", "metric")}
    return tuple(f"the {name} is {was}, then {now}" for name, (was, now) in pairs.items() if was != now)


def _queries_unlike(space: EmbeddingSpace, canary: Canary | None, encoder: TextEncoder) -> tuple[str, ...]:
    if canary is None:
        prefixes = [(each.query_prefix, each.document_prefix) for each in (space, encoder.space)]
        return () if prefixes[0] == prefixes[1] else (f"the prefixes are {prefixes[0]}, then {prefixes[1]}",)
    lowest = float(cosines(canary.queries, encode_checked(encoder, canary.texts, kind="query")).min())
    return () if lowest >= 1 - TOLERANCE else (_too_far("query", lowest),)


def _too_far(what: str, lowest: float) -> str:
    return f"a {what} has a cosine of {lowest:.4f} between the two, expected {1 - TOLERANCE:.4f} or more"


def _compared(
    space: EmbeddingSpace, old: Matrix, new: Matrix, old_queries: Matrix, new_queries: Matrix, k: int
) -> SameSpace:
    if len(old) < LEAST_TEXTS:
        raise InvalidArgumentError(f"there are {len(old)} different texts, expected {LEAST_TEXTS} or more")
    similar = np.concatenate([cosines(old, new), cosines(old_queries, new_queries)])
    overlaps = _overlaps(space, old, new, old_queries, new_queries, k)
    low = float(overlaps.mean() - _SURE * overlaps.std() / np.sqrt(len(overlaps)))
    reasons = tuple(_reasons(space, float(similar.min()), low, old, new))
    figures = (float(similar.min()), float(np.median(similar)), float(overlaps.mean()), low)
    return SameSpace(not reasons, reasons, len(old), len(old_queries), *figures, k)


def _reasons(space: EmbeddingSpace, lowest: float, overlap: float, old: Matrix, new: Matrix) -> Iterator[str]:
    if lowest < 1 - TOLERANCE:
        yield _too_far("text", lowest)
    if overlap < MIN_OVERLAP:
        yield f"searches find {overlap:.1%} of the same documents, expected {MIN_OVERLAP:.0%} or more"
    lengths = [np.linalg.norm(rows, axis=1) for rows in (old, new)]
    apart = float(np.max(np.abs(lengths[1] - lengths[0]) / np.maximum(lengths[0], 1e-12)))
    if space.metric == "dot" and apart > LENGTH_TOLERANCE:
        yield f"lengths differ by {apart:.1%}, expected {LENGTH_TOLERANCE:.0%} at most where the metric is dot"


def _overlaps(
    space: EmbeddingSpace, old: Matrix, new: Matrix, old_queries: Matrix, new_queries: Matrix, k: int
) -> NDArray[np.float64]:
    """Return, for each query, which share of the nearest k both find; every other document is the new encoder's."""
    mixed = np.where(np.arange(len(old))[:, None] % 2, new, old)
    _, before = topk(space, old_queries, old, k)
    _, after = topk(space, new_queries, mixed, k)
    return np.array([len(np.intersect1d(*rows)) / len(rows[0]) for rows in zip(before, after, strict=True)])


def _paragraphs() -> Sequence[str]:
    """Return paragraphs of the documentation that comes with Python."""
    from pydoc_data.topics import topics

    paragraphs = dict.fromkeys(" ".join(part.split()) for text in topics.values() for part in text.split("\n\n"))
    return [text for text in paragraphs if 120 <= len(text) <= 1_000][:N_TEXTS]
