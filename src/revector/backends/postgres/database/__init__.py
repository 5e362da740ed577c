"""One collection's schema in a PostgreSQL database: connections, transactions, clear errors."""

from revector.backends.postgres.database.connecting import driver_of, on_one_core
from revector.backends.postgres.database.database import PostgresDatabase

__all__ = ["PostgresDatabase", "driver_of", "on_one_core"]
