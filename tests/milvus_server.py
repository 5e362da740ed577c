"""A Milvus server from the wheel ``milvus``, that may be killed.

The wheel needs an old client, and so an interpreter of its own: `REVECTOR_MILVUS_PYTHON` names it, or ``make
test-stores`` has made it. There the wheel unpacks the program and writes its configuration; it runs as our own child.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from revector.backends.milvus.places import Place

SECONDS = 120
TICK_MILLISECONDS = 20
"""A read of the level "Strong" waits until the next tick; by default there is one in 200 ms."""

_PYTHON = Path(os.environ.get("REVECTOR_MILVUS_PYTHON", Path(__file__).parents[1] / ".make/milvus/bin/python"))
_UNPACK = """
import sys
from milvus import MilvusServerConfig, _initialize_data_files
config = MilvusServerConfig(data_dir=sys.argv[1], proxy_port=int(sys.argv[2]))
config.resolve()
_initialize_data_files(config.base_data_dir)
"""
_TICK = "timeTickInterval: {} # ms"


class MilvusServer:
    """A server of a test module's own, one at a time on a machine; skips the tests where there is none.

    Parameters
    ----------
    folder : Path
        Where it keeps its files.
    """

    def __init__(self, folder):
        pytest.importorskip("pymilvus", reason="no client of Milvus (make test-stores installs it)")
        if not _PYTHON.exists():
            pytest.skip(f"no Milvus server: {_PYTHON} does not exist (make test-stores makes it)")
        self._folder = folder
        self.port, self._health = free_port(), free_port()
        subprocess.run([_PYTHON, "-c", _UNPACK, folder, str(self.port)], check=True, timeout=SECONDS)
        self._tick_faster(folder / "configs" / "milvus.yaml")
        self.place = Place(f"http://127.0.0.1:{self.port}", "default")
        self.start()

    def url(self, port=None):
        """Return the URL of the server, or of what leads to it at another port."""
        return replace(self.place, uri=f"http://127.0.0.1:{port or self.port}").url

    def start(self):
        """Start it, also again, and wait until it says that it is well."""
        variables = {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self._health),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
            "LD_LIBRARY_PATH": str(self._folder / "bin"),
        }
        command = [self._folder / "bin" / "milvus", "run", "standalone"]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env={**os.environ, **variables}, stdout=log, stderr=log
            )
        until = time.monotonic() + SECONDS
        while not self._is_well():
            if time.monotonic() > until or self._process.poll() is not None:  # it ends where another one has its port
                self.kill()
                pytest.fail(f"Milvus does not start; see {self._folder / 'log'}")
            time.sleep(0.1)

    def kill(self):
        """End it without a word."""
        self._process.kill()
        self._process.wait(SECONDS)

    def _tick_faster(self, configuration):
        text = configuration.read_text()
        assert text.count(_TICK.format(200)) == 1
        configuration.write_text(text.replace(_TICK.format(200), _TICK.format(TICK_MILLISECONDS)))

    def _is_well(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/healthz", timeout=5) as answer:
                return b"OK" in answer.read()
        except (urllib.error.URLError, ConnectionError):
            return False


def free_port():
    """Return a port that nobody listens on."""
    with socket.create_server(("", 0)) as found:
        return found.getsockname()[1]
