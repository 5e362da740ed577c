"""SQLite with ambient transactions: which file a place names, how it is opened, and what its errors mean."""

from revector.backends.sqlite.database.database import Database

__all__ = ["Database"]
