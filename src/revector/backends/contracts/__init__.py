"""What the engine asks of a backend: four parts, and the transactions over them."""

from revector.backends.contracts.backend import ALIAS, Backend, Backup, Capabilities
from revector.backends.contracts.documents import Document, DocumentFacts, Documents, Keys, NewDocument, content_hash
from revector.backends.contracts.generations import (
    MAPPED,
    ROWS_AT_ONCE,
    Alias,
    Generation,
    Generations,
    Point,
    Tally,
    VectorInfo,
)
from revector.backends.contracts.index import EXACT, Index, IndexHealth, IndexShape, Preparation
from revector.backends.contracts.ledger import Jobs, Leases, Ledger, Notes, Observations
from revector.backends.contracts.order import Order
from revector.ledger.observations import QueryFeedback, Said

__all__ = [
    "ALIAS",
    "EXACT",
    "MAPPED",
    "ROWS_AT_ONCE",
    "Alias",
    "Backend",
    "Backup",
    "Capabilities",
    "Document",
    "DocumentFacts",
    "Documents",
    "Generation",
    "Generations",
    "Index",
    "IndexHealth",
    "IndexShape",
    "Jobs",
    "Keys",
    "Leases",
    "Ledger",
    "NewDocument",
    "Notes",
    "Observations",
    "Order",
    "Point",
    "Preparation",
    "QueryFeedback",
    "Said",
    "Tally",
    "VectorInfo",
    "content_hash",
]
