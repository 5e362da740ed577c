"""How a collection is opened: what is looked at before there is a file or a lock, and what a new one begins with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from revector._arguments import shown, valid_unicode
from revector.database.places import file_of
from revector.encoders.base import TextEncoder, require_encoder
from revector.errors import InvalidArgumentError, NoCollectionError
from revector.migration.encoders import EncoderSet
from revector.migration.ledger import Ledger
from revector.migration.writes import live_generations
from revector.spaces import EmbeddingSpace, require_one_of
from revector.stores.base import Store

__all__ = ["ALIAS", "find_again", "listed_encoders", "require_collection", "require_path"]

ALIAS = "live"
"""The name under which readers find the serving generation."""


def require_path(path: Any) -> None:
    """Raise `InvalidArgumentError` unless something is the path of a database file."""
    shape = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(shape, str) or not shape:
        raise InvalidArgumentError(f"path is {shown(path)}, expected the path of the database file")
    file_of(shape)  # first: what it refuses may hold a password
    if "\0" in shape:
        raise InvalidArgumentError(f"path is {shown(path)}, expected the path of the database file")
    valid_unicode(shape, "path")  # SQLite opens no other file


def listed_encoders(encoder: Any, encoders: Any) -> list[TextEncoder]:
    """Return all encoders given, the collection's own first."""
    if isinstance(encoders, (str, bytes, np.ndarray)) or not isinstance(encoders, Iterable):
        raise InvalidArgumentError(
            f"encoders is {shown(encoders)}, expected a list of encoders; put a single one in a list"
        )
    further = list(encoders)
    if encoder is not None:
        require_encoder(encoder, "encoder")
    for place, each in enumerate(further):
        require_encoder(each, f"encoders[{place}]")
    return [*([] if encoder is None else [encoder]), *further]


def require_collection(store: Store, ledger: Ledger, source: str | None, space: EmbeddingSpace | None) -> None:
    """Create the first generation of a new collection; hold an encoder's space against those of an existing one."""
    if store.alias(ALIAS) is None:
        if space is None:
            message = f"{store.url} holds no collection yet, and a new one needs an encoder"
            raise NoCollectionError(message, path=store.url.removeprefix("sqlite:///"))
        _create_alias(store, space, source)
    if space is not None:
        spaces = [store.generation(live).space for live in live_generations(store, ledger, ALIAS)]
        require_one_of(spaces, space, purpose="the encoder of this collection")


def find_again(store: Store, models: EncoderSet, given: Sequence[TextEncoder]) -> None:
    """Write down where models are whose folders are not where they were."""
    lost = [generation for generation in store.generations() if models.is_lost(generation)]
    sources = {encoder.space.fingerprint: models.written(encoder) for encoder in given} if lost else {}
    for generation in lost:
        if source := sources.get(generation.space.fingerprint):
            store.set_encoder_source(generation.id, source)


def _create_alias(store: Store, space: EmbeddingSpace, source: str | None) -> None:
    with store.transaction():
        if store.alias(ALIAS) is None:  # nor has another process created it since
            store.create_alias(ALIAS, store.create_generation(space, source).id)
