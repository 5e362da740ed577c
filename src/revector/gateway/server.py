"""The server of a gateway: a port, clients that do not go on, and an end that leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from revector._arguments import whole_number
from revector.errors import InvalidArgumentError
from revector.gateway.app import Gateway
from revector.gateway.limits import Limits

__all__ = ["GatewayServer", "listening", "url_of"]

_MOST_PORT = 65_535
_READS_ON_SECONDS = 0.5
"""What waits in the queues of sockets when it is told to stop would be lost if they were closed at once."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GatewayServer(uvicorn.Server):
    """Answers until it is told to stop; what it has begun to answer then is answered.

    Parameters
    ----------
    gateway : Gateway
    limits : Limits
    on_ready : callable, optional
        Called once requests are answered, and signals obeyed.
    """

    def __init__(self, gateway: Gateway, limits: Limits, on_ready: Callable[[], object] | None = None) -> None:
        self._on_ready = on_ready
        super().__init__(
            uvicorn.Config(
                gateway.app,
                http=_protocol(limits.silent_seconds),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=limits.drain_seconds,
            )
        )

    def stop(self) -> None:
        """Take no more requests, answer those that are there, and end; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets=sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was sent before it was told to stop, and end."""
        await asyncio.sleep(_READS_ON_SECONDS)
        await super().shutdown(sockets=sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM stop it, and be forgotten then: the process goes on to its own end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Parameters
    ----------
    host : str
        A name, or an address of this machine.
    port : int
        0 for any that is free.

    Raises
    ------
    InvalidArgumentError
        The host is none of this machine, or the port is taken or not allowed.
    """
    port = whole_number(port, "port", least=0, most=_MOST_PORT)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        raise InvalidArgumentError(f"{host!r}, port {port} cannot be listened at: {error}") from error


def url_of(bound: socket.socket) -> str:
    """Return the address of a server as clients have it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _protocol(silent_seconds: float) -> type[H11Protocol]:
    """Return HTTP/1.1 that lets go of clients who neither ask nor read."""

    class Prompt(H11Protocol):
        _looking: asyncio.TimerHandle | None = None
        _before: Any = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look_later()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._looking is not None:
                self._looking.cancel()
            super().connection_lost(exc)

        def _look_later(self) -> None:
            self._looking = self.loop.call_later(silent_seconds, self._look)

        def _look(self) -> None:
            turn = self._turn()
            if turn is not None and turn == self._before:
                self.transport.abort()  # to close it would wait until the client has read everything
                return
            self._before = turn
            self._look_later()

        def _turn(self) -> Any:
            """Return what the client has to go on with, different once it has; ``None`` while it waits for us."""
            if unread := self.transport.get_write_buffer_size():
                return unread
            if self.cycle is None or self.cycle.response_complete:
                return id(self.cycle)  # the next request has not come whole
            return None  # a body that does not come is looked after where it is read

    return Prompt
