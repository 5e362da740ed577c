"""What opens collections in Milvus by a URL."""

from __future__ import annotations

from typing import ClassVar

from revector.backends.beside.kind import BesideKind
from revector.backends.milvus.places import TOKEN, VECTOR_OPTION, place_of, token
from revector.backends.milvus.store import MilvusStore

__all__ = ["MilvusKind"]


class MilvusKind(BesideKind):
    """Opens collections in Milvus: ``milvus://HOST:PORT/DATABASE#NAME``, or ``milvus:///PATH#NAME`` for a file."""

    secrets: ClassVar[str] = TOKEN
    vector_option: ClassVar[str | None] = VECTOR_OPTION

    @classmethod
    def connect(cls, url: str) -> MilvusStore:
        """Connect to the server, or open the file, of a URL; the token is that of the environment."""
        return MilvusStore(place_of(url), token())
