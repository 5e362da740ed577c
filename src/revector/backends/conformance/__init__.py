"""The suites that every backend passes. They need pytest."""

from revector.backends.conformance.documents import BackendConformance
from revector.backends.conformance.filters import FilterConformance
from revector.backends.conformance.jobs import JobConformance
from revector.backends.conformance.ledger import LeaseConformance, LedgerConformance

__all__ = ["BackendConformance", "FilterConformance", "JobConformance", "LeaseConformance", "LedgerConformance"]
