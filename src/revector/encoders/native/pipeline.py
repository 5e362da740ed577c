"""Slices of texts, and the thread that works on one slice while the next is prepared."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from revector._core import CancelFlag
from revector.errors import InvalidArgumentError

__all__ = ["overlapped", "reblocked", "sliced"]

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 2  # handed over beyond the one that is waited for, so that the thread is never idle


_running: set[CancelFlag] = set()


def _call_off_all() -> None:
    for cancel in list(_running):
        cancel.set()


# A generator that is still open when the program ends is closed only after Python has waited for its thread. There is
# no public way to be asked earlier; without this one the program ends all the same, a few slices later.
_before_threads_are_joined = getattr(threading, "_register_atexit", None)
if _before_threads_are_joined is not None:
    _before_threads_are_joined(_call_off_all)


def overlapped(items: Iterable[T], work: Callable[[T, CancelFlag], R]) -> Iterator[R]:
    """Yield ``work(item, cancel)`` for each item in order, computed on a thread of its own.

    Items are drawn on the calling thread (so they may come from objects that are bound to it), while the thread works
    on those before. However the iteration ends (exhaustion, an error on either side, Ctrl-C, a generator closed early),
    `cancel` is set and the thread has ended before this returns.
    """
    cancel = CancelFlag()
    _running.add(cancel)
    ahead: deque[Future[R]] = deque()
    with ThreadPoolExecutor(1, "revector-encode") as thread:
        try:
            for item in items:
                ahead.append(thread.submit(work, item, cancel))
                if len(ahead) > _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            cancel.set()
            _running.discard(cancel)
            for future in ahead:
                future.cancel()


def sliced(texts: Iterable[str], characters: int, count: int) -> Iterator[list[str]]:
    """Yield the texts in lists of up to `count` texts and `characters` characters (one longer text is a list alone).

    Raises
    ------
    InvalidArgumentError
        Something is not a str; the error counts from 0.
    """
    taken: list[str] = []
    size = 0
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidArgumentError(f"texts[{i}] is {type(text).__name__}, expected str")
        size += len(text)
        if taken and (size > characters or len(taken) == count):
            yield taken
            taken, size = [], len(text)
        taken.append(text)
    if taken:
        yield taken


def reblocked(blocks: Iterable[NDArray[np.float32]], rows: int) -> Iterator[NDArray[np.float32]]:
    """Yield the same rows in blocks of exactly `rows` (the last may be shorter)."""
    held: list[NDArray[np.float32]] = []
    missing = rows
    for block in blocks:
        at = 0
        while len(block) - at >= missing:
            yield np.concatenate([*held, block[at : at + missing]])
            held, at, missing = [], at + missing, rows
        held.append(block[at:])
        missing -= len(block) - at
    if missing < rows:
        yield np.concatenate(held)
