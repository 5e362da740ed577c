"""Opening the backend that a URL names: ours, or one that another package brings.

A package adds a backend by an entry point of the group ``revector.backends``, named as the scheme of its URLs, that
leads to a `BackendKind`::

    [project.entry-points."revector.backends"]
    mystore = "my_package.backend:MyStore"
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

from revector.backends.contracts import Backend
from revector.backends.urls import scheme_of
from revector.errors import InvalidArgumentError

__all__ = ["ENTRY_POINTS", "BackendKind", "kind_of", "open_backend"]

ENTRY_POINTS = "revector.backends"
_OURS = {
    "sqlite": "revector.backends.sqlite:SqliteBackend",
    "postgresql": "revector.backends.postgres:PostgresBackend",
    "postgres": "revector.backends.postgres:PostgresBackend",
    "qdrant": "revector.backends.qdrant:QdrantKind",
    "milvus": "revector.backends.milvus:MilvusKind",
    "redis": "revector.backends.redis:RedisKind",
    "rediss": "revector.backends.redis:RedisKind",
    "chroma": "revector.backends.chroma:ChromaKind",
    "lancedb": "revector.backends.lancedb:LanceKind",
    **dict.fromkeys(["hnswlib", "faiss", "usearch", "npy", "parquet"], "revector.backends.index_files:IndexFileKind"),
}


class BackendKind(Protocol):
    """A class of backends, or whatever opens one."""

    def open(self, place: str | os.PathLike[str], *, read_only: bool = False) -> Backend:
        """Open the backend at a place, or make an empty one there.

        Raises
        ------
        InvalidArgumentError
            The place is not well-formed; the message repeats no password.
        StoreError
            It cannot be opened, or holds something else.
        """
        ...

    def is_there(self, place: str | os.PathLike[str]) -> bool:
        """Whether there is something at a place that `open` would not have to make."""
        ...

    def shown(self, place: str | os.PathLike[str]) -> str:
        """Return a place as it may be printed, and given again: without its secrets, which are left out."""
        ...


def open_backend(place: str | os.PathLike[str], *, read_only: bool = False) -> Backend:
    """Open the backend at a place, or make an empty one there.

    Parameters
    ----------
    place : str or path-like
        The path of a SQLite file, or a URL, whose scheme names the backend.
    read_only : bool
        Never write to it.

    Raises
    ------
    InvalidArgumentError
        No backend has that scheme, or the place is not well-formed.
    StoreError
        It cannot be opened, or holds something else.
    """
    return kind_of(place).open(place, read_only=read_only)


def kind_of(place: str | os.PathLike[str]) -> BackendKind:
    """Return what opens a place; raise `InvalidArgumentError` if there is nothing for its scheme."""
    scheme = scheme_of(place)
    if scheme in _OURS:
        module, _, name = _OURS[scheme].partition(":")
        found: Any = getattr(import_module(module), name)
        return found  # type: ignore[no-any-return]
    theirs = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if scheme not in theirs:
        known = ", ".join(sorted({*_OURS, *theirs}))
        raise InvalidArgumentError(
            f"{scheme}: is not supported; a collection is a SQLite file, given by its path, in PostgreSQL, given by "
            "postgresql://USER@HOST/DATABASE#NAME, or in a store of vectors, given by SCHEME://HOST#NAME. Backends of "
            f"other packages are found by their scheme; there are: {known}"
        )
    loaded: Any = theirs[scheme].load()
    return loaded  # type: ignore[no-any-return]
