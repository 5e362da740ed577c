"""Collections in Qdrant: a server, or the local mode of its client."""

from revector.backends.qdrant.kind import QdrantKind

__all__ = ["QdrantKind"]
