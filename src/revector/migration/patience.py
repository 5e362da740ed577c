"""Trying again what a busy store has refused; nothing of it has happened."""

from __future__ import annotations

from collections.abc import Iterator

from tenacity import AttemptManager, Retrying, retry_if_exception_type, stop_after_delay, wait_random

from revector.errors import StoreBusyError

PATIENCE_SECONDS = 30.0


def while_busy() -> Iterator[AttemptManager]:
    """Yield attempts, each a context manager, until one ends without `StoreBusyError`, or patience does.

    In between is a random moment in which others, who were kept waiting, come first.
    """
    yield from Retrying(
        retry=retry_if_exception_type(StoreBusyError),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_random(0.1, 0.4),
        reraise=True,
    )
