"""A table is adopted and moved through PgBouncer in transaction mode, where that is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres import building
from revector.backends.postgres.adoption.adopting import adopt
from user_tables import new_database
from worlds import NEW, OLD

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")

SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
"""
SESSIONS = 3
# The pooler gives each client its own application_name.
KEPT = """
SELECT name, setting FROM pg_settings
WHERE source = 'session' AND name <> 'application_name' AND NOT starts_with(name, 'transaction_')
"""
PREPARED = "SELECT statement FROM pg_prepared_statements"


@pytest.fixture
def direct(server):
    """A connection to a table that an application wrote, by the server itself."""
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE docs (id bigint PRIMARY KEY, body text, embedding vector(8))")
        for number in range(40):
            text = f"text number {number}"
            connection.execute("INSERT INTO docs VALUES (%s, %s, %s)", [number, text, vector(OLD, text)])
        yield connection


@pytest.fixture
def url(direct, tmp_path):
    """The URL of the same database, behind a pooler that has a session for a transaction only."""
    info = direct.info
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    settings = SETTINGS.format(host=info.host, port=info.port, user=info.user, listen=listen, sessions=SESSIONS)
    (tmp_path / "pgbouncer.ini").write_text(settings)
    user = ["-u", Path(info.host).owner()] if os.geteuid() == 0 else []  # it refuses to be root
    for part in (tmp_path, *tmp_path.parents[:2]):
        part.chmod(0o755)
    with subprocess.Popen([PGBOUNCER, "-q", *user, str(tmp_path / "pgbouncer.ini")], stderr=subprocess.PIPE) as pooler:
        url = f"postgresql://{info.user}@127.0.0.1:{listen}/{info.dbname}"
        _wait_for(url, pooler)
        yield url
        pooler.terminate()


def _wait_for(url, pooler, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert pooler.poll() is None, pooler.stderr.read()
            assert time.monotonic() < end, "the pooler does not answer"
        time.sleep(0.1)


def vector(encoder, text):
    return str(encoder.encode([text])[0].tolist())


def test_a_migration_leaves_nothing_behind_in_sessions_that_others_get(direct, url, monkeypatch):
    monkeypatch.setattr(building, "GRAPH_FROM", 10)
    usual = _kept(url)
    table = TableToAdopt("docs", "id", ("body",), "embedding")
    adopt(url, table, [OLD], dry_run=False, accept_unidentified=False, tell=lambda _: None)
    with Collection.open(f"{url}#docs", encoders=[OLD, NEW]) as docs:
        migration = docs.migrate(NEW, retention_seconds=0)
        migration.start()
        direct.execute("UPDATE docs SET body = 'another text' WHERE id = 3")
        migration.run()
        migration.verify()
        migration.cutover()
        assert docs.search("another text", k=1)[0].id == "3"
        migration.rollback()
        migration.retire(confirm=True)
    assert _kept(url) == usual


def _kept(url):
    """Return what all sessions of the pooler have set, and prepared."""
    with ExitStack() as stack:  # all of them inside transactions, so that each has another session
        others = [stack.enter_context(psycopg.connect(url)) for _ in range(SESSIONS)]
        return [(other.execute(KEPT).fetchall(), other.execute(PREPARED).fetchall()) for other in others]
