"""What a store says of aliases that has none."""

from __future__ import annotations

from typing import Any

from revector.errors import StoreError

__all__ = ["WithoutAliases"]


class WithoutAliases:
    """The methods of a `VectorStore` for aliases, of one whose readers ask revector which collection serves."""

    url: Any

    def aliased(self, alias: str) -> str | None:
        """Return ``None``: there are no aliases."""
        self._require_open()
        return None

    def point(self, alias: str, name: str) -> None:
        """Raise `StoreError`: there are no aliases."""
        self._require_open()
        raise StoreError(f"{self.url}: this store has no aliases; ask revector which collection serves")

    def unalias(self, alias: str) -> None:
        """Do nothing: there are no aliases."""
        self._require_open()

    def _require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        raise NotImplementedError
