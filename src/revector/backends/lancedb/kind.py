"""What a URL of LanceDB says: the folder of the tables, and which of their columns hold ids and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from revector.backends.beside.kind import BesideKind

if TYPE_CHECKING:
    from revector.backends.lancedb.store import LanceStore


class LanceKind(BesideKind):
    """Opens collections in LanceDB: ``lancedb:///FOLDER?id=COLUMN&vector=COLUMN#TABLE``; both may be left out."""

    secrets: ClassVar[str] = "those of the object store in the environment"
    vector_option: ClassVar[str | None] = "vector"

    @classmethod
    def connect(cls, url: str) -> LanceStore:
        """Open the folder; see `revector.backends.lancedb.store.LancePlace`."""
        from revector.backends.lancedb.store import LanceStore

        return LanceStore.open(url)
