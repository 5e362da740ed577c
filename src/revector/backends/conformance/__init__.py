"""The suites that every backend passes. They need pytest.

`BackendConformance` runs them all; the others are for whoever builds a backend part by part. A backend whose index is
`revector.backends.local_index` passes `FollowingConformance` besides; a store of vectors beside a ledger file passes
`VectorStoreConformance`.
"""

from revector.backends.conformance.backend import BackendConformance
from revector.backends.conformance.documents import DocumentsConformance
from revector.backends.conformance.filters import FilterConformance
from revector.backends.conformance.following import FollowingConformance
from revector.backends.conformance.generations import GenerationsConformance
from revector.backends.conformance.index import IndexConformance
from revector.backends.conformance.jobs import JobConformance
from revector.backends.conformance.ledger import (
    LeaseConformance,
    LedgerConformance,
    NoteConformance,
    ObservationConformance,
)
from revector.backends.conformance.transactions import TransactionsConformance
from revector.backends.conformance.vector_store import VectorStoreConformance

__all__ = [
    "BackendConformance",
    "DocumentsConformance",
    "FilterConformance",
    "FollowingConformance",
    "GenerationsConformance",
    "IndexConformance",
    "JobConformance",
    "LeaseConformance",
    "LedgerConformance",
    "NoteConformance",
    "ObservationConformance",
    "TransactionsConformance",
    "VectorStoreConformance",
]
