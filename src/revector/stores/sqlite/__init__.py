"""The embedded store: documents, vectors, their metadata and the aliases in one SQLite file."""

from revector.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
