"""The embedded backend: documents, vectors, their metadata, aliases and the ledger in one SQLite file."""

from revector.backends.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
