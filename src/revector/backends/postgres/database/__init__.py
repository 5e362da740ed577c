"""One collection's schema in a PostgreSQL database: connections, transactions, clear errors."""

from revector.backends.postgres.database.database import PostgresDatabase, driver_of

__all__ = ["PostgresDatabase", "driver_of"]
