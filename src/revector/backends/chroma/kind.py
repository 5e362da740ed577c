"""What a URL of Chroma says: a server, or a folder. No key is ever in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from revector.backends.beside.kind import BesideKind
from revector.backends.chroma.client import KEY

if TYPE_CHECKING:
    from revector.backends.chroma.store import ChromaStore


class ChromaKind(BesideKind):
    """Opens collections in Chroma: ``chroma://HOST:PORT#COLLECTION``, ``chroma:///FOLDER#COLLECTION``."""

    secrets: ClassVar[str] = KEY

    @classmethod
    def connect(cls, url: str) -> ChromaStore:
        """Connect to a server or a folder; see `revector.backends.chroma.client.open_client`."""
        from revector.backends.chroma.store import ChromaStore

        return ChromaStore.open(url)
