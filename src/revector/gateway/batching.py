"""Requests of many clients in one call: collected for a few milliseconds, from a queue that has an end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from revector.errors import RateLimitedError, ServiceError, SpendCapError, StoreError
from revector.gateway.failures import TooBusyError
from revector.gateway.limits import Limits

__all__ = ["Batcher"]

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Answer = TypeVar("Answer")

_LONGEST_PAUSE_SECONDS = 60.0
_OF_ALL = (StoreError, ServiceError, RateLimitedError, SpendCapError)
"""Whatever else a call raises may be the fault of one request in it."""


@dataclass(eq=False)
class _Piece(Generic[Key, Item]):
    key: Key
    items: Sequence[Item]
    answers: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher(Generic[Key, Item, Answer]):
    """Answers what is asked with the same key in one call, in a thread; belongs to one event loop.

    Parameters
    ----------
    work : callable
        Takes a key and items, returns an answer for each of them.
    limits : Limits
    name : str
        Of its threads.
    at_once : int
        Calls at the same time. With two, one is made while the next one is collected.

    Attributes
    ----------
    waiting : int
        Items that are not answered yet.
    calls, answered : int
        Calls of `work` so far, and the items in them.
    """

    def __init__(
        self, work: Callable[[Key, list[Item]], Sequence[Answer]], limits: Limits, name: str, at_once: int = 2
    ) -> None:
        self._work, self._limits, self._at_once = work, limits, at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=f"revector-gateway-{name}")
        self._queue: deque[_Piece[Key, Item]] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._seconds_an_item = 0.0
        self.waiting = self.calls = self.answered = 0

    def start(self) -> None:
        """Begin to answer, in the event loop that runs."""
        self._tasks = [asyncio.get_running_loop().create_task(self._run()) for _ in range(self._at_once)]

    async def close(self) -> None:
        """End it; nobody waits any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._pool.shutdown)

    @contextmanager
    def room(self, items: int) -> Iterator[None]:
        """Keep room for the items of one request.

        Raises
        ------
        TooBusyError
            There is none.
        """
        if self.waiting + items > self._limits.waiting_texts:
            raise TooBusyError(
                f"{self.waiting:,} texts wait already, and {items:,} more are too many; try again later",
                retry_after_seconds=min(self.waiting * self._seconds_an_item, _LONGEST_PAUSE_SECONDS),
            )
        self.waiting += items
        try:
            yield
        finally:
            self.waiting -= items

    async def ask(self, key: Key, items: Sequence[Item]) -> list[Answer]:
        """Return the answers to items, in their order; to be called inside of `room`.

        Raises
        ------
        Exception
            What the call raised: for these items, or for whatever was asked with them.
        """
        answers: list[Answer] = []
        for start in range(0, len(items), self._limits.batch_texts):
            piece = _Piece(key, items[start : start + self._limits.batch_texts])
            self._queue.append(piece)
            self._queued += len(piece.items)
            self._arrived.set()
            answers += await piece.answers
        return answers

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if self._queued < self._limits.batch_texts:
                await asyncio.sleep(self._limits.collect_seconds)
            if pieces := self._taken():
                await self._answer(pieces)

    def _taken(self) -> list[_Piece[Key, Item]]:
        """Take the pieces of one call: those with the key of the first one, as far as they fit."""
        taken: list[_Piece[Key, Item]] = []
        left: deque[_Piece[Key, Item]] = deque()
        room = self._limits.batch_texts
        for piece in self._queue:
            fits = not taken or (piece.key == taken[0].key and len(piece.items) <= room)
            (taken if fits else left).append(piece)
            room -= len(piece.items) if fits else 0
        self._queue = left
        self._queued -= sum(len(piece.items) for piece in taken)
        if not left:
            self._arrived.clear()
        return taken

    async def _answer(self, pieces: Sequence[_Piece[Key, Item]]) -> None:
        """Answer pieces in one call; where one of them may be at fault, each in a call of its own."""
        items = [item for piece in pieces for item in piece.items]
        try:
            answers = await self._call(pieces[0].key, items)
        except Exception as error:
            if len(pieces) > 1 and not isinstance(error, _OF_ALL):
                for piece in pieces:
                    await self._answer([piece])
                return
            for piece in pieces:
                if not piece.answers.done():
                    piece.answers.set_exception(error)
            return
        place = 0
        for piece in pieces:
            if not piece.answers.done():  # who has waited for it may have been called off
                piece.answers.set_result(answers[place : place + len(piece.items)])
            place += len(piece.items)

    async def _call(self, key: Key, items: list[Item]) -> Sequence[Answer]:
        began = time.monotonic()
        answers = await asyncio.get_running_loop().run_in_executor(self._pool, self._work, key, items)
        took = (time.monotonic() - began) / len(items)
        self._seconds_an_item += (took - self._seconds_an_item) / (8 if self.calls else 1)
        self.calls += 1
        self.answered += len(items)
        return answers
