"""A backend whose vectors are in a store in memory, and whose ledger is a file: ``memory-beside://NAME#COLLECTION``."""

from __future__ import annotations

from typing import ClassVar

from revector.backends.beside.kind import BesideKind
from revector.testing.memory.vector_store import MemoryVectorStore


class MemoryBesideKind(BesideKind):
    """Opens collections whose points are in `MemoryVectorStore`, for as long as the process lives."""

    secrets: ClassVar[str] = "nothing: there are none"

    @classmethod
    def connect(cls, url: str) -> MemoryVectorStore:
        """Return the store of a URL, which all that is opened by that URL share."""
        return MemoryVectorStore(url)
