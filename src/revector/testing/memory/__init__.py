"""A backend in the memory of one process, for tests: ``memory://NAME``. What is in it ends with the process."""

from revector.testing.memory.backend import MemoryBackend, forget

__all__ = ["MemoryBackend", "forget"]
