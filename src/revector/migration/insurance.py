"""Insurance against the end of a model: what it takes to answer without it is put aside while it still answers.

A sample of documents is embedded by another model (the old vectors are there), into a generation of its own, and the
maps between the two spaces are fitted. Afterwards the other model alone answers: its queries, mapped, recall from the
old vectors, and what they find is put in order by true vectors of its own, which are kept, so that each is paid for
once. A migration to that model later begins with what is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.encoders.base import TextEncoder
from revector.encoders.isolation import encode_checked
from revector.encoders.once import embed_once
from revector.errors import InvalidArgumentError, MigrationError
from revector.evaluation.best_map import quick_candidates
from revector.evaluation.map_trials import LEAST_PAIRS
from revector.evaluation.sampling import current_sample
from revector.mapping import LocalResidualMap, RidgeMap, SpaceMap
from revector.migration.filling.bridge import drawn_pairs, fit_bridge, keep_map
from revector.migration.landing import Rows, land
from revector.migration.slices import in_slices
from revector.spaces import EmbeddingSpace

DOCUMENTS = 2_000
MOST_QUERIES = 1_000
TOP, WITHIN = 10, 50
_NOTE = "insurance"
_TEXTS_AT_ONCE = 256
_STAND_INS = 200
_FEWEST_QUERIES = 20  # fewer neither choose nor measure anything: then documents stand in
_WORDS_OF_A_STAND_IN = 8

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Insurance:
    """What answers once the present model is gone, and how well.

    Parameters
    ----------
    generation : int
        Holds the sample, embedded by the other model.
    model : str
        The other model's name.
    pairs : int
        Documents that the maps were fitted to.
    queries : int
        Queries that it was measured with; none of them is a pair, and the kind of map was chosen on others.
    are_real : bool
        Whether they are queries that were given; else the beginnings of documents stood in, an easier task.
    top : float
        Share of the present model's own ten best documents among the ten best that the mapped queries find.
    within : float
        Share of them among the fifty best, which re-scoring puts in order.
    error : float
        Standard error of `top`.
    at : float
        When it was made, in seconds since the epoch.
    """

    generation: int
    model: str
    pairs: int
    queries: int
    are_real: bool
    top: float
    within: float
    error: float
    at: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return what it is worth in a sentence."""
        asked = "queries" if self.are_real else "beginnings of documents, an easier task than queries"
        return (
            f"without the present model, {self.model!r} finds {self.top:.0%} (± {1.96 * self.error:.0%}) of its {TOP} "
            f"best documents, and {self.within:.0%} among the {WITHIN} that it can re-score; measured with "
            f"{self.queries:,} {asked}, maps of {self.pairs:,} pairs"
        )


def insurance_of(backend: Backend) -> Insurance | None:
    """Return the insurance of a collection, or ``None`` if it has none (any more)."""
    kept = backend.ledger.notes.get(_NOTE)
    known = {generation.id for generation in backend.generations.all()} if kept else set()
    return Insurance(**kept) if kept and kept["generation"] in known else None


def insured(backend: Backend, serving: Generation) -> Generation | None:
    """Return the generation that can stand in for the one that serves, or ``None``."""
    insurance = insurance_of(backend)
    if insurance is None or insurance.generation == serving.id:
        return None
    found = backend.generations.get(insurance.generation)
    is_for_it = backend.generations.map_kept_at(found.space.fingerprint, serving.space.fingerprint) is not None
    return found if is_for_it else None


def put_aside(backend: Backend, space: EmbeddingSpace, source: str | None) -> Generation | None:
    """Return the insurance's generation, if it is of a space that is moved to: what is there is not embedded again."""
    insurance = insurance_of(backend)
    found = None if insurance is None else backend.generations.get(insurance.generation)
    if found is None or found.space.fingerprint != space.fingerprint:
        return None
    if source is not None:
        backend.generations.set_encoder_source(found.id, source)
    return found


def insure(
    backend: Backend,
    serving: Generation,
    old_encoder: TextEncoder,
    new_encoder: TextEncoder,
    queries: Sequence[str],
    *,
    source: str | None = None,
    documents: int = DOCUMENTS,
    seed: int = 0,
) -> Insurance:
    """Embed a sample with another model, fit the maps both ways, and measure them. Again: what is there stays.

    Parameters
    ----------
    backend : Backend
    serving : Generation
        The generation that serves.
    old_encoder, new_encoder : TextEncoder
        The present model's, for the queries, and the other one's.
    queries : sequence of str
        What is asked of the collection, 1,000 at most; the beginnings of documents without any.
    source : str, optional
        Where the other model can be loaded from again.
    documents : int
        Size of the sample.
    seed : int
        Of the sample.

    Raises
    ------
    MigrationError
        The collection is on its way to another model, or in the other model's space already.
    InvalidArgumentError
        Fewer documents than a map is measured with.
    EncoderError
        A model fails; what was embedded stays.
    """
    _require_insurable(backend, serving, new_encoder)
    keys = np.random.default_rng(seed).permutation(current_sample(backend, [serving.id], documents + _STAND_INS, seed))
    texts = _texts(backend, serving, keys)
    if len(texts) < LEAST_PAIRS:
        raise InvalidArgumentError(
            f"{len(texts)} documents have a vector of their present text, expected at least {LEAST_PAIRS} for a map"
        )
    asked = [query for query in queries if query.strip()][:MOST_QUERIES]
    if len(asked) < _FEWEST_QUERIES:
        asked = []
    stand_ins = [] if asked else [" ".join(text.split()[:_WORDS_OF_A_STAND_IN]) for text in texts[-_STAND_INS:]]
    both = [encode_checked(encoder, asked or stand_ins, kind="query") for encoder in (old_encoder, new_encoder)]
    generation = _generation(backend, serving, new_encoder, source)
    _embed(backend, generation, new_encoder, keys[: min(documents, len(keys) - len(stand_ins))])
    pairs = fit_bridge(backend, serving.id, generation.id, seed=seed)
    chosen_on, measured_on = ([rows[part::2] for rows in both] for part in (0, 1))
    back = _map_of_queries(backend, serving, generation, *chosen_on, seed=seed)
    shares = _shares(backend, serving, back, *measured_on)
    made = Insurance(
        generation=generation.id,
        model=new_encoder.space.model,
        pairs=pairs,
        queries=len(shares),
        are_real=bool(asked),
        top=float(shares[:, 0].mean()),
        within=float(shares[:, 1].mean()),
        error=float(shares[:, 0].std()) / math.sqrt(len(shares)),
        at=time.time(),
    )
    _keep(backend, made)
    return made


def _require_insurable(backend: Backend, serving: Generation, new_encoder: TextEncoder) -> None:
    backend.require_writable()
    if serving.space.fingerprint == new_encoder.space.fingerprint:
        raise MigrationError(f"the collection is in the space {serving.space} already; insure it with another model")
    record = backend.ledger.active(backend.alias)
    if record is not None:
        raise MigrationError(
            f"the collection has a migration to {record.target_space} that is {record.phase}: run() keeps the maps"
        )


def _texts(backend: Backend, serving: Generation, keys: NDArray[np.int64]) -> list[str]:
    found = backend.documents.texts(keys.tolist(), serving.space.template)
    return [found[key][1] for key in keys.tolist() if key in found and found[key][1].strip()]


def _generation(backend: Backend, serving: Generation, encoder: TextEncoder, source: str | None) -> Generation:
    """Return the generation of an earlier call to the same space, or a new one."""
    with backend.transaction():
        for known in backend.generations.all():
            if known.space.fingerprint == encoder.space.fingerprint and known.id != serving.id:
                return known
        return backend.generations.create(encoder.space, source)


def _embed(backend: Backend, generation: Generation, encoder: TextEncoder, keys: NDArray[np.int64]) -> None:
    missing = np.setdiff1d(keys, backend.generations.vectors(generation.id, keys, current=True)[0])
    for start in range(0, len(missing), _TEXTS_AT_ONCE):
        texts = backend.documents.texts(missing[start : start + _TEXTS_AT_ONCE].tolist(), generation.space.template)
        wanted = {key: pair for key, pair in texts.items() if pair[1].strip()}
        embedded = embed_once(encoder, dict(wanted.values()), {})
        land(backend, generation.id, Rows.of(list(wanted), [hash_ for hash_, _ in wanted.values()], embedded.vectors))
        if embedded.stopped is not None:
            raise embedded.stopped


def _map_of_queries(
    backend: Backend, serving: Generation, generation: Generation, old: Matrix, new: Matrix, *, seed: int
) -> SpaceMap:
    """Fit, and keep, the map by which queries of the other model find most of what the present model finds."""
    known, true = drawn_pairs(backend, serving.id, generation.id, seed=seed)
    kinds = [*quick_candidates().values(), LocalResidualMap(RidgeMap(toward_rotation=True))]
    best = max(kinds, key=lambda kind: float(_shares(backend, serving, kind.fit(true, known), old, new)[:, 0].mean()))
    return keep_map(backend, (generation.space, serving.space), best, true, known)


def _shares(backend: Backend, serving: Generation, back: SpaceMap, old: Matrix, new: Matrix) -> NDArray[np.float64]:
    """Return for each query which shares of the present model's best documents its mapped twin finds."""
    with backend.snapshot():
        _, own = backend.index.search(serving, old, TOP)
        _, found = backend.index.search(serving, back.transform(new), WITHIN)
    return np.array(
        [
            [len(np.intersect1d(best, mapped[:depth])) / len(best) for depth in (TOP, WITHIN)]
            for best, mapped in zip(own, found, strict=True)
        ]
    )


def _keep(backend: Backend, made: Insurance) -> None:
    """Write an insurance down in place of another model's."""
    before = insurance_of(backend)
    backend.ledger.notes.keep(_NOTE, made.to_json())
    if before is not None and before.generation != made.generation and not _is_live(backend, before.generation):
        backend.generations.drop(before.generation)
        in_slices(backend.reclaim)


def _is_live(backend: Backend, generation: int) -> bool:
    alias, record = backend.generations.alias(backend.alias), backend.ledger.active(backend.alias)
    live = {None if alias is None else alias.generation}
    if record is not None:
        live |= {record.source_generation, record.target_generation}
    return generation in live
