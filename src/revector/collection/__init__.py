"""A live collection of texts: documents, searches, decisions, migrations."""

from revector.collection.collection import Collection
from revector.search.hits import Hit

__all__ = ["Collection", "Hit"]
