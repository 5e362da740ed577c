"""Tables of LanceDB: files in a folder or in an object store, read and written in process."""

from revector.backends.lancedb.store import LanceStore

__all__ = ["LanceStore"]
