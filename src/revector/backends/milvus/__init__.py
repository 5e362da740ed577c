"""Collections in Milvus, in a server or in the file of Milvus Lite."""

from revector.backends.milvus.kind import MilvusKind
from revector.backends.milvus.store import MilvusStore

__all__ = ["MilvusKind", "MilvusStore"]
