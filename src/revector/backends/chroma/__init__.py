"""Collections of Chroma: of a server, or in a folder of one process."""

from revector.backends.chroma.store import ChromaStore

__all__ = ["ChromaStore"]
