"""The suites that every backend passes. They need pytest."""

from revector.backends.conformance.documents import BackendConformance

__all__ = ["BackendConformance"]
