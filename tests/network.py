"""A network between a server and its clients that may be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Network:
    """What lies between a server and its clients, who find it at a port of its own.

    Parameters
    ----------
    reach : callable
        Returns a socket that is connected to the server.
    """

    def __init__(self, reach):
        self._reach = reach
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs, self._lock = [], threading.Lock()
        self.loses_answer = lambda sent: False
        """Whether the answer to what a client sent never comes, for the connection is cut."""
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """End all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _end(*pair)

    def close(self):
        """Let nobody in any more."""
        _end(self._listener)  # closing it alone would let whoever comes next in
        self.cut()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = self._reach()
                except OSError:
                    _end(near)
                    continue
                with self._lock:
                    self._pairs.append((near, far))
                threading.Thread(target=self._there, args=(near, far), daemon=True).start()
                threading.Thread(target=_forward, args=(far, near), daemon=True).start()

    def _there(self, near, far):
        with suppress(OSError):
            while sent := near.recv(1 << 16):
                if self.loses_answer(sent):
                    near.shutdown(socket.SHUT_WR)
                far.sendall(sent)
        _end(near, far)


def _forward(source, sink):
    with suppress(OSError):
        while sent := source.recv(1 << 16):
            sink.sendall(sent)
    _end(source, sink)


def _end(*sockets):
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
