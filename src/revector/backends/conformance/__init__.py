"""The suites that every backend passes. They need pytest."""

from revector.backends.conformance.documents import BackendConformance
from revector.backends.conformance.filters import FilterConformance
from revector.backends.conformance.ledger import LeaseConformance

__all__ = ["BackendConformance", "FilterConformance", "LeaseConformance"]
