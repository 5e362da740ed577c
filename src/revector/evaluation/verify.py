"""Proof that a generation is what it claims to be: counts, re-embedded samples, self-retrieval, the index's recall."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from revector._arguments import whole_number
from revector.backends.contracts import Backend, Document, Generation
from revector.encoders.base import TextEncoder, require_encoder
from revector.encoders.canary import cosines
from revector.encoders.isolation import encode_checked
from revector.evaluation.exact import Keys, Matrix, topk, topk_of_batches
from revector.evaluation.sampling import current_sample
from revector.index.health import as_good, standard_error

REPEAT_COSINE = 0.999
"""A text embedded again gives the stored vector up to this cosine; other hardware, batches, precisions stay above."""
SCORE_TOLERANCE = 1e-3
"""Scores that differ by less belong to equal documents: stored and fresh vectors round differently."""
TIE = 1e-5
"""The same of two scores by stored vectors, which differ by how a product is summed."""
MIN_SELF_RETRIEVAL = 0.99
MIN_INDEX_RECALL = 0.95
SURE_ERRORS = 2
"""Searches keep more candidates until the sample's recall is so many standard errors above the least."""
RECALL_DEPTH = 10


@dataclass(frozen=True)
class Verification:
    """What was found.

    Parameters
    ----------
    passed : bool
        Nothing stands against a cut-over.
    reasons : tuple of str
        One sentence for each check that failed.
    details : dict
        The measured figures.
    """

    passed: bool
    reasons: tuple[str, ...]
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class _Sample:
    documents: list[Document]
    stored: Matrix
    fresh: Matrix

    @property
    def keys(self) -> Keys:
        return np.array([document.key for document in self.documents], dtype=np.int64)


def verify(
    backend: Backend,
    source_generation: int,
    target_generation: int,
    encoder: TextEncoder,
    *,
    sample: int = 200,
    seed: int = 0,
    known_failures: int = 0,
) -> Verification:
    """Check that a generation holds exactly the vectors of the live documents' present texts.

    Parameters
    ----------
    backend : Backend
        Holds both generations.
    source_generation, target_generation : int
        The generation that serves now, and the one that shall. What is missing in the source is only reported.
    encoder : TextEncoder
        Encoder of the target's space.
    sample : int
        How many documents to embed again.
    seed : int
        Of the drawing.
    known_failures : int
        Documents that could not be embedded and are listed elsewhere; so many may lack a vector.

    Raises
    ------
    InvalidArgumentError
        `sample` or `seed` is not an integer of at least 0.
    SpaceMismatchError
        The encoder is not the one of the target generation.
    """
    sample, seed = whole_number(sample, "sample", least=0), whole_number(seed, "seed", least=0)
    known_failures = whole_number(known_failures, "known_failures", least=0)
    require_encoder(encoder, "encoder")
    target = backend.generations.get(target_generation)
    target.space.require(encoder.space, purpose="the vectors to verify")
    details, reasons = _count(backend, source_generation, target_generation, known_failures)
    drawn = _draw(backend, target_generation, encoder, sample, seed)
    details["sample"] = len(drawn.documents)
    if drawn.documents:
        reasons += _compare(drawn, details)
        reasons += _retrieve(backend, target, drawn, details)
    return Verification(not reasons, tuple(reasons), details)


def _count(backend: Backend, source: int, target: int, known_failures: int) -> tuple[dict[str, Any], list[str]]:
    with backend.snapshot():
        documents, vectors = backend.documents.count(), backend.generations.count(target)
        stale, stale_in_source = backend.generations.count_stale(target), backend.generations.count_stale(source)
        waiting = backend.ledger.jobs.counts(target).outstanding  # others write meanwhile; the cut-over looks again
    details: dict[str, Any] = {
        "documents": documents, "vectors": vectors, "stale": stale, "stale_in_source": stale_in_source,
    }  # fmt: skip
    reasons = []
    if (missing := stale - known_failures - waiting) > 0:
        without = f"{missing:,} of {documents:,} documents have no vector of their present text"
        reasons.append(f"{without}; run the migration")
    if vectors > documents:
        reasons.append(f"{vectors:,} vectors for {documents:,} documents; some belong to no document")
    return details, reasons


def _draw(backend: Backend, target: int, encoder: TextEncoder, size: int, seed: int) -> _Sample:
    """Draw documents that have a vector of their present text, and embed them again."""
    with backend.snapshot():
        chosen = current_sample(backend, [target], size, seed)
        documents = backend.documents.by_key(chosen)
        _, stored = backend.generations.vectors(target, chosen)
    if not documents:
        return _Sample([], stored, stored)
    texts = [encoder.space.text_of(document.text, document.metadata) for document in documents]
    return _Sample(documents, stored, encode_checked(encoder, texts))


def _compare(drawn: _Sample, details: dict[str, Any]) -> list[str]:
    found = cosines(drawn.stored, drawn.fresh)
    details["lowest_cosine"] = float(found.min())
    wrong = [drawn.documents[i].id for i in np.flatnonzero(~(found >= REPEAT_COSINE)).tolist()]
    if not wrong:
        return []
    return [
        f"{len(wrong)} of {len(found)} sampled vectors are not what the model gives now (cosine under "
        f"{REPEAT_COSINE}; the worst {details['lowest_cosine']:.4f}), for example {wrong[0]!r}"
    ]


def _retrieve(backend: Backend, target: Generation, drawn: _Sample, details: dict[str, Any]) -> list[str]:
    """Search the sample's fresh vectors, exactly and in the index."""
    searchable = drawn.fresh.any(axis=1)  # nothing is nearest to a zero vector
    if not searchable.any():
        return []
    queries = drawn.fresh[searchable]
    best, _ = topk_of_batches(target.space, queries, backend.generations.scan(target.id), RECALL_DEPTH)
    reasons = []
    if target.space.metric == "cosine":  # by inner product, a longer vector can be nearer than the same one
        reasons += _check_self_retrieval(queries, drawn.stored[searchable], best, details)
    return reasons + _check_index(backend, target, queries, best, details)


def _check_self_retrieval(queries: Matrix, own: Matrix, best: Matrix, details: dict[str, Any]) -> list[str]:
    """Nothing may be nearer to a document's fresh vector than its own stored one, except its equals."""
    found = cosines(queries, own) >= best[:, 0] - SCORE_TOLERANCE
    details["self_retrieval"] = float(found.mean())
    if details["self_retrieval"] >= MIN_SELF_RETRIEVAL:
        return []
    return [f"{found.mean():.1%} of the sample find their own document, expected {MIN_SELF_RETRIEVAL:.0%}"]


def _index_recall(backend: Backend, target: Generation, queries: Matrix, best: Matrix) -> tuple[float, float]:
    """Share of hits that are as near, by their stored vectors, as the last of the exact hits; its standard error."""
    _, keys = backend.index.search(target, queries, best.shape[1])
    known, vectors = backend.generations.vectors(target.id, np.unique(keys))
    found = np.empty(len(queries))
    for place, row in enumerate(keys):
        near, _ = topk(target.space, queries[place, None], vectors[np.isin(known, row)], best.shape[1])
        found[place] = as_good(near, best[place, -1:], TIE).sum() / best.shape[1]
    return float(found.mean()), float(np.nan_to_num(standard_error(found)))


def _check_index(
    backend: Backend, target: Generation, queries: Matrix, best: Matrix, details: dict[str, Any]
) -> list[str]:
    """Look whether searches find what is nearest, with more candidates if need be, and whether all can be reached."""
    recall, error = _index_recall(backend, target, queries, best)
    while recall - SURE_ERRORS * error < MIN_INDEX_RECALL and backend.index.widen(target):
        recall, error = _index_recall(backend, target, queries, best)
    details["index_recall"], details["index_recall_error"] = recall, error
    health = backend.index.check(target, recall=False)
    details["index_damage"], details["index_unreachable"] = list(health.damage), health.unreachable
    reasons = []
    if details["index_recall"] < MIN_INDEX_RECALL:
        reasons.append(
            f"the index finds {details['index_recall']:.1%} of the {best.shape[1]} nearest, expected "
            f"{MIN_INDEX_RECALL:.0%}; rebuild it"
        )
    if health.unreachable:
        reasons.append(f"{health.unreachable:,} vectors cannot be reached in the index; delete its folder")
    return reasons + [f"the index is damaged: {found}; it is built anew" for found in health.damage]
