"""Collections in LanceDB: tables in a folder or in an object store, read and written in process."""

from revector.backends.lancedb.kind import LanceKind

__all__ = ["LanceKind"]
