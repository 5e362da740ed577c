"""Canary texts of generations: kept when a model is first used for one, held against it once in each process.

An encoder that exists in memory only (`source` is ``None``) is the application's own: it is looked at when the
collection is checked, never by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from revector.backends.contracts import Backend, Generation
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.canary import TOLERANCE, Canary, require_unchanged
from revector.encoders.sources import is_service
from revector.errors import EncoderError, ModelChangedError, StoreError

__all__ = [
    "CanaryHealth",
    "canary_similarities",
    "examine_canaries",
    "forget_canaries",
    "is_same_model",
    "kept_canary",
    "require_same_model",
    "warn_of_another_model",
]

SERVICE_EVERY_SECONDS = 86_400.0
"""A service is asked once a day, whatever the number of processes: it may be paid for."""
_PATIENCE_SECONDS = 0.5  # a search waits for a writer no longer than that
_SAME = 1e-4  # what differs by less is not written down again
_PREFIX = "canary:"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CanaryHealth:
    """What the canary texts of a generation say of its model.

    Parameters
    ----------
    generation : int
    model : str
    similarity : float or None
        Lowest cosine between what the model gave for a text and what it gives now; ``None`` if it could not be asked.
    problem : str
        What is wrong, and what to do about it; empty where nothing is.
    """

    generation: int
    model: str
    similarity: float | None
    problem: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        if self.similarity is not None:
            return f"{self.model}: the fixed texts have a cosine of {self.similarity:.4f} or more to what they had"
        return f"{self.model}: {'no answer' if self.problem else 'not asked, it is not at hand'}"


def require_same_model(backend: Backend, encoders: EncoderSet, generation: Generation, encoder: TextEncoder) -> None:
    """Raise `ModelChangedError` if a model that is about to write gives other numbers than it did before.

    To be called outside of transactions: the model may be asked.
    """
    if encoder.source is not None:
        require_unchanged(generation.space, _similarity(backend, encoders, generation, encoder))


def warn_of_another_model(backend: Backend, encoders: EncoderSet, generation: Generation, encoder: TextEncoder) -> None:
    """Log an error, once in a process, if a model that searches gives other numbers: the search goes on."""
    if _key(generation) not in encoders.similarities and encoder.source is not None:
        try:
            require_unchanged(generation.space, _similarity(backend, encoders, generation, encoder))
        except ModelChangedError as error:
            _log.error("%s", error)


def is_same_model(encoders: EncoderSet, generation: Generation) -> bool:
    """Whether nothing that is known in this process says that a model gives other numbers. No model is asked."""
    return encoders.similarities.get(_key(generation), 1.0) >= 1 - TOLERANCE


def examine_canaries(backend: Backend, encoders: EncoderSet) -> tuple[CanaryHealth, ...]:
    """Ask the models of all generations that are at hand, and return what they say now."""
    return tuple(_examined(backend, encoders, generation) for generation in backend.generations.all())


def canary_similarities(backend: Backend) -> dict[int, float]:
    """Return what was found last, by generation: the lowest cosine of a canary text, for metrics. No model is asked."""
    found, kept = backend.ledger.notes.under(_PREFIX), [str(each.id) for each in backend.generations.all()]
    return {int(generation): float(found[generation]["similarity"]) for generation in kept if generation in found}


def kept_canary(backend: Backend, generation: int) -> Canary | None:
    """Return what the model of a generation gave when it was first used, if that was kept."""
    found = backend.ledger.notes.get(f"{_PREFIX}{generation}")
    return None if found is None else Canary.from_json(found)


def forget_canaries(backend: Backend, generation: int) -> None:
    """Let the next model that is used for a generation be the one that later ones are held against."""
    backend.ledger.notes.drop(f"{_PREFIX}{generation}")


def _examined(backend: Backend, encoders: EncoderSet, generation: Generation) -> CanaryHealth:
    model = generation.space.model
    if (encoder := encoders.find(generation)) is None:
        return CanaryHealth(generation.id, model, None)
    try:
        similarity = _ask(backend, generation, encoder)
        require_unchanged(generation.space, similarity)
    except ModelChangedError as error:
        return CanaryHealth(generation.id, model, error.similarity, str(error))
    except EncoderError as error:
        return CanaryHealth(generation.id, model, None, f"{generation.space} cannot be asked: {error}")
    return CanaryHealth(generation.id, model, similarity)


def _similarity(backend: Backend, encoders: EncoderSet, generation: Generation, encoder: TextEncoder) -> float:
    """Return what is known in this process, or was found within a day of a service; ask otherwise."""
    key = _key(generation)
    if key not in encoders.similarities:
        encoders.similarities[key] = 1.0  # until it has answered, for other threads
        try:
            encoders.similarities[key] = _ask(backend, generation, encoder, seldom=is_service(encoder.source))
        except EncoderError as error:  # whoever needs the model will be told so
            _log.warning("the canary texts of %s could not be embedded: %s", generation.space, error)
    return encoders.similarities[key]


def _ask(backend: Backend, generation: Generation, encoder: TextEncoder, *, seldom: bool = False) -> float:
    """Hold a model against its canaries, and keep what it says; where there are none, keep what it gives now."""
    name, now = f"{_PREFIX}{generation.id}", time.time()
    found = backend.ledger.notes.get(name)
    if found is None:
        canary, before, similarity = Canary.of(encoder), 0.0, 1.0
    elif seldom and 0 <= now - found["at"] < SERVICE_EVERY_SECONDS:
        return float(found["similarity"])
    else:
        canary, before = Canary.from_json(found), found["similarity"]
        similarity = canary.similarity(encoder)
    if seldom or abs(similarity - before) > _SAME:
        _keep(backend, name, {**canary.to_json(), "similarity": similarity, "at": now})
    return similarity


def _keep(backend: Backend, name: str, value: Mapping[str, Any]) -> None:
    if backend.read_only:
        return
    try:
        with backend.transaction(_PATIENCE_SECONDS):
            backend.ledger.notes.keep(name, value)
    except StoreError as error:
        _log.warning("what the canary texts say was not kept: %s", error)


def _key(generation: Generation) -> tuple[int, float]:
    return generation.id, generation.created_at  # after a restore the number may be another one's
