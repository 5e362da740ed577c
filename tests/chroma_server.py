"""A Chroma server for the tests, which may die and come back."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 60.0


def chroma_command():
    """Return what starts a server, or ``None``."""
    beside = Path(sys.executable).with_name("chroma")
    return str(beside) if beside.exists() else shutil.which("chroma")


class ChromaServer:
    """`chroma run` on a folder and a port of its own."""

    def __init__(self, folder):
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"chroma://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        command = [chroma_command(), "run", "--path", self._folder, "--host", "127.0.0.1", "--port", self.port]
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
        )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "chroma run has ended"
            assert time.monotonic() < until, "chroma run does not answer"
            time.sleep(0.05)

    def kill(self):
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def _answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
