"""Calls of a store's client: again while the connection is lost, and with errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random

from revector.errors import ClosedError, RevectorError, StoreUnavailableError

__all__ = ["OUTAGE_SECONDS", "Calls"]

OUTAGE_SECONDS = 30.0
"""For so long a call is made again while the store cannot be reached."""
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 0.5

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass
class Calls:
    """How a store calls its client. Safe to share between threads.

    Parameters
    ----------
    url : str
        Of the store, without secrets.
    errors : tuple of exception types
        Of the client.
    named : callable
        Returns what an error of the client means: a `StoreUnavailableError` where it helps to call again.
    """

    url: str
    errors: tuple[type[Exception], ...]
    named: Callable[[Exception], RevectorError]
    is_closed: bool = False

    def __call__(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Return what a call returns; it may be made several times.

        Raises
        ------
        ClosedError
            The store was closed.
        StoreUnavailableError
            It could not be reached for `OUTAGE_SECONDS`.
        StoreError
            It refused.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            stop=stop_after_delay(OUTAGE_SECONDS),
            wait=wait_random(_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS),
            before_sleep=_tell,
            reraise=True,
        )
        return attempts(self._once(call), *args, **options)

    def _once(self, call: Callable[P, T]) -> Callable[P, T]:
        def made(*args: P.args, **options: P.kwargs) -> T:
            if self.is_closed:
                raise ClosedError(self.url)
            try:
                return call(*args, **options)
            except self.errors as error:
                raise self.named(error) from error

        return made


def _tell(state: RetryCallState) -> None:
    _log.warning("%s; calling again", state.outcome and state.outcome.exception())
