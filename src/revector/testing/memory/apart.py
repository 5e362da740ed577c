"""A backend in memory whose documents and vectors do not commit with its ledger, as those of most servers do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.engine import Connection

from revector.backends.contracts import Capabilities
from revector.testing.memory.backend import MemoryBackend
from revector.testing.memory.database import PATIENCE_SECONDS, MemoryDatabase
from revector.testing.memory.generations import MemoryGenerations
from revector.testing.memory.state import StoredDocument


class _UnconditionalGenerations(MemoryGenerations):
    def _takes(self, document: StoredDocument, content_hash: str) -> bool:
        return True


class ApartMemoryBackend(MemoryBackend):
    """The same without transactions over its parts, and without compare-and-set: ``memory-apart://NAME``.

    Documents, vectors and aliases are written at once, each call by itself, and stay where the block around them
    raises. What the ledger is told inside a transaction is written at its end, hence after them. A vector lands
    whatever text its document has by now.
    """

    scheme = "memory-apart://"
    capabilities = Capabilities(transactions=False, conditional_upsert=False)

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.generations = _UnconditionalGenerations(database)

    def transaction(self, timeout_seconds: float = PATIENCE_SECONDS) -> AbstractContextManager[Connection]:
        """Open, or join, a transaction of the ledger."""
        return self.database.ledger.transaction(timeout_seconds)

    @contextmanager
    def exclusive(self, timeout_seconds: float = PATIENCE_SECONDS) -> Iterator[Connection]:
        """Open a transaction of the ledger beside which nobody else writes documents, vectors or aliases."""
        with self.database.ledger.transaction(timeout_seconds) as ledger, self.database.alone(timeout_seconds):
            yield ledger

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Open, or join, a view of the ledger; other reads are each of their own moment."""
        return self.database.ledger.snapshot()
