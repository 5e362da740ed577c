"""Collections in Chroma: of a server, or in a folder of one process."""

from revector.backends.chroma.kind import ChromaKind

__all__ = ["ChromaKind"]
