"""Trying again what a store has refused for now, or has undone because it was lost in the middle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from tenacity import AttemptManager, RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random

from revector.errors import StoreBusyError, StoreUnavailableError

PATIENCE_SECONDS = 30.0
OUTAGE_SECONDS = 60.0
"""For so long a store may be away, or busy, before a run ends."""

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def while_busy() -> Iterator[AttemptManager]:
    """Yield attempts, each a context manager, until one ends without `StoreBusyError`, or patience does."""
    yield from _attempts(StoreBusyError, seconds=PATIENCE_SECONDS)


def patient(step: Callable[P, T]) -> Callable[P, T]:
    """Let a step be done again while the store is busy or away, for `OUTAGE_SECONDS`.

    It opens its transactions itself, and may be done twice: nobody knows whether a commit without an answer was done.
    """

    @wraps(step)
    def again(*args: P.args, **options: P.kwargs) -> T:
        return _attempts(StoreBusyError, StoreUnavailableError, seconds=OUTAGE_SECONDS)(step, *args, **options)

    return again


def outlast(began: float, why: str) -> None:
    """Raise `StoreBusyError`, with why, once something has been in the way for `OUTAGE_SECONDS`."""
    waited = time.monotonic() - began
    if waited > OUTAGE_SECONDS:
        raise StoreBusyError(f"{why} (waited {waited:.0f} s)", waited_seconds=waited)


def _attempts(*kinds: type[Exception], seconds: float) -> Retrying:
    """Return attempts with a random moment in between, in which others, who were kept waiting, come first."""
    return Retrying(
        retry=retry_if_exception_type(kinds),
        stop=stop_after_delay(seconds),
        wait=wait_random(0.1, 0.4),
        before_sleep=_tell,
        reraise=True,
    )


def _tell(state: RetryCallState) -> None:
    _log.warning("%s; trying again", state.outcome and state.outcome.exception())
