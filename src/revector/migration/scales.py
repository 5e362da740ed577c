"""Scales of similarity: which score of one model stands for which of another one, kept beside the maps of the spaces.

A threshold is a number that somebody chose under one model. Once a generation is full, the scores of both models are
compared, so that the number may stay what it is and still lets through as much.
"""

from __future__ import annotations

import json
import logging

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.errors import RevectorError
from revector.evaluation.sampling import current_sample
from revector.mapping import ScoreMap
from revector.similarity import normalize
from revector.spaces import EmbeddingSpace

DOCUMENTS, QUERIES, WORDS = 4_096, 128, 6
"""So many documents are measured by the first words of so many of them, which stand in for queries.

Whole documents do not: on WordNet from bge to MiniLM, a threshold that let 5 documents of a query through let 30
through afterwards; with the first six words 5.1, with judged queries 4.6."""
LEAST_DOCUMENTS = 20
_NEAREST = 32  # of each query by either model, and as many at random: thresholds are among the nearest
_KNOTS = 257
_SCORES, _SCALE = "scores:", "scale:"  # what tells these apart from maps between spaces

Scores = NDArray[np.float64]

_log = logging.getLogger(__name__)


def keep_scale(backend: Backend, encoders: EncoderSet, source: Generation, target: Generation) -> None:
    """Fit what scores in the source space are in the target space, and the other way round, unless both are kept.

    Thresholds stay in the scale that they were in, which is that of the source if there is none yet. Nothing is kept
    where one of the models is not at hand or fails, or hardly any document has both vectors.
    """
    first = noted_scale(backend) or source.space
    if _is_kept(backend, source.space, target.space) and _is_kept(backend, first, target.space):
        return
    try:
        forward = fitted_scale(backend, encoders, source, target)
    except RevectorError as error:
        _log.warning("what thresholds are in %s is not known: %s", target.space, error)
        return
    if forward is None:
        return
    before = scale_between(backend, first, source.space)
    with backend.transaction():
        note_scale(backend, first)
        _keep(backend, source.space, target.space, forward)
        _keep(backend, target.space, source.space, _turned(forward))
        if before is not None and first.fingerprint != target.space.fingerprint:
            whole = ScoreMap(before.old, tuple(forward.translate(before.new).tolist()), before.slope * forward.slope)
            _keep(backend, first, target.space, whole)


def fitted_scale(backend: Backend, encoders: EncoderSet, source: Generation, target: Generation) -> ScoreMap | None:
    """Fit what scores in one space are in another one; ``None`` if a model is missing, or documents.

    Raises
    ------
    EncoderError
        A model fails.
    """
    models = [encoders.find(generation) for generation in (source, target)]
    with backend.snapshot():
        keys = current_sample(backend, [source.id, target.id], DOCUMENTS, seed=0)
        vectors = [backend.generations.vectors(generation.id, keys)[1] for generation in (source, target)]
        some = np.random.default_rng(0).permutation(keys)[:QUERIES]
        texts = [document.text for document in backend.documents.by_key(some)]
    queries = [" ".join(text.split()[:WORDS]) for text in texts if text.strip()]
    if None in models or len(keys) < LEAST_DOCUMENTS or not queries:
        return None
    old, new = (_scores(model, queries, rows) for model, rows in zip(models, vectors, strict=True) if model is not None)
    chosen = _of_all_heights(old, new)
    return _same_share(old[chosen], new[chosen])


def scale_between(backend: Backend, source: EmbeddingSpace, target: EmbeddingSpace) -> ScoreMap | None:
    """Return what was kept of two spaces, or ``None``."""
    blob = backend.generations.load_map(_SCORES + source.fingerprint, target.fingerprint)
    return None if blob is None else ScoreMap.from_json(json.loads(blob))


def noted_scale(backend: Backend) -> EmbeddingSpace | None:
    """Return the space in whose scores thresholds are given, if that was noted."""
    blob = backend.generations.load_map(_SCALE, backend.alias)
    return None if blob is None else EmbeddingSpace.from_json(json.loads(blob))


def note_scale(backend: Backend, space: EmbeddingSpace) -> None:
    """Note in which space's scores thresholds are given from now on."""
    backend.generations.save_map(_SCALE, backend.alias, json.dumps(space.to_json()).encode())


def _is_kept(backend: Backend, source: EmbeddingSpace, target: EmbeddingSpace) -> bool:
    return source.fingerprint == target.fingerprint or scale_between(backend, source, target) is not None


def _keep(backend: Backend, source: EmbeddingSpace, target: EmbeddingSpace, found: ScoreMap) -> None:
    blob = json.dumps(found.to_json()).encode()
    backend.generations.save_map(_SCORES + source.fingerprint, target.fingerprint, blob)


def _scores(model: TextEncoder, queries: list[str], rows: NDArray[np.float32]) -> Scores:
    """Score all vectors by each query, shape (q, n)."""
    asked = encode_checked(model, queries, kind="query")
    if model.space.metric == "cosine":
        asked, rows = normalize(asked), normalize(rows)
    return (asked @ rows.T).astype(np.float64)


def _of_all_heights(old: Scores, new: Scores) -> NDArray[np.bool_]:
    """Choose the pairs with the best scores by either model, and some at random."""
    chosen = np.zeros(old.shape, np.bool_)
    for scores in (old, new, np.random.default_rng(0).random(old.shape)):
        best = np.argsort(-scores, axis=1)[:, :_NEAREST]
        np.put_along_axis(chosen, best, True, axis=1)
    return chosen


def _same_share(old: Scores, new: Scores) -> ScoreMap | None:
    """Return the map under which as many pairs are above a score as above what it becomes.

    `ScoreMap.isotonic` says what a score is worth on average, which lets through too much: of two models that agree in
    part, the average of the one changes less than its scores do.
    """
    shares = np.linspace(0, 1, _KNOTS)
    knots, values = np.quantile(old, shares), np.quantile(new, shares)
    rising = np.flatnonzero(np.diff(knots, prepend=-np.inf) > 0)
    if len(rising) < 2:
        return None
    slope = float((values[-1] - values[0]) / (knots[-1] - knots[0]))
    return ScoreMap(tuple(knots[rising].tolist()), tuple(values[rising].tolist()), slope)


def _turned(found: ScoreMap) -> ScoreMap:
    """Return the map that leads back."""
    new = np.array(found.new)
    rising = np.flatnonzero(np.diff(new, prepend=-np.inf) > 0)
    slope = 1 / found.slope if found.slope > 0 else 0.0
    return ScoreMap(tuple(new[rising].tolist()), tuple(np.array(found.old)[rising].tolist()), slope)
