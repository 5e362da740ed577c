"""A collection in PostgreSQL with pgvector."""

from revector.backends.postgres.backend import PostgresBackend

__all__ = ["PostgresBackend"]
