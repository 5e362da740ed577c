"""Backends in the memory of one process, for tests: ``memory://NAME``. What is in them ends with the process."""

from revector.testing.memory.apart import ApartMemoryBackend
from revector.testing.memory.backend import MemoryBackend, forget
from revector.testing.memory.beside import MemoryBesideKind
from revector.testing.memory.vector_store import MemoryVectorStore

__all__ = ["ApartMemoryBackend", "MemoryBackend", "MemoryBesideKind", "MemoryVectorStore", "forget"]
