"""How a collection is opened: what is looked at before there is a file or a lock, and what a new one begins with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from revector._arguments import shown, valid_unicode
from revector.backends.contracts import Backend
from revector.backends.opening import kind_of
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder, require_encoder
from revector.errors import InvalidArgumentError, NoCollectionError
from revector.migration.serving import ServingReader
from revector.spaces import EmbeddingSpace, require_one_of

__all__ = ["find_again", "listed_encoders", "require_collection", "require_path"]


def require_path(path: Any) -> None:
    """Raise `InvalidArgumentError` unless something is the path of a database file."""
    shape = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(shape, str) or not shape:
        raise InvalidArgumentError(f"path is {shown(path)}, expected the path of the database file")
    kind_of(shape)  # first: what it refuses may hold a password
    if "\0" in shape:  # it is not repeated: it may be a URL with a password
        raise InvalidArgumentError("path holds NUL, expected the path of a SQLite file, or a URL")
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


def require_collection(backend: Backend, source: str | None, space: EmbeddingSpace | None) -> None:
    """Create the first generation of a new collection; hold an encoder's space against those of an existing one."""
    if backend.generations.alias(backend.alias) is None:
        if space is None:
            message = f"{backend.url} holds no collection yet, and a new one needs an encoder"
            raise NoCollectionError(message, path=backend.place)
        _create_alias(backend, space, source)
    if space is not None:
        serving = ServingReader(backend).read()
        spare = [] if serving.insured is None else [serving.insured]
        spaces = [generation.space for generation in (*serving.live, *spare)]
        require_one_of(spaces, space, purpose="the encoder of this collection")


def find_again(backend: Backend, models: EncoderSet, given: Sequence[TextEncoder]) -> None:
    """Write down where models are whose folders are not where they were."""
    lost = [generation for generation in backend.generations.all() if models.is_lost(generation)]
    sources = {encoder.space.plain.fingerprint: models.written(encoder) for encoder in given} if lost else {}
    for generation in lost:
        if source := sources.get(generation.space.plain.fingerprint):
            backend.generations.set_encoder_source(generation.id, source)


def _create_alias(backend: Backend, space: EmbeddingSpace, source: str | None) -> None:
    with backend.transaction():
        if backend.generations.alias(backend.alias) is None:  # nor has another process created it since
            backend.generations.create_alias(backend.alias, backend.generations.create(space, source).id)
