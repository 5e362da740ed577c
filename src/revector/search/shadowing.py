"""Searches that are repeated in both generations alone, behind those who asked."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from revector._forks import renew_in_child
from revector.backends.contracts import Backend, Generation
from revector.migration.serving import Serving
from revector.migration.shadowed import Shadowed
from revector.rollout import Arm, Moments
from revector.search.behind import WriteBehind
from revector.search.queries import QueryEncoder
from revector.search.recall import Recall
from revector.search.replay import rank_biased_overlap
from revector.search.request import Request

MOST_WAITING = 100
"""Searches that wait to be repeated; further ones are not."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Asked:
    """One generation's answer to one query: its keys, best first, and what was seen of it."""

    keys: list[int]
    seen: Arm


class Shadowing:
    """Repeats searches in a thread of its own, which rests for as long as it works. Safe to share between threads.

    Parameters
    ----------
    backend : Backend
        What to search.
    queries : QueryEncoder
    behind : WriteBehind
        Keeps what was seen.
    """

    def __init__(self, backend: Backend, queries: QueryEncoder, behind: WriteBehind) -> None:
        self._backend, self._queries, self._behind = backend, queries, behind
        self._chance = random.Random()
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._counting, self._waiting = threading.Lock(), 0
        self._thread: ThreadPoolExecutor | None = None
        self._closed = threading.Event()

    def ask(self, serving: Serving, queries: Sequence[str], request: Request, share: float) -> None:
        """Have a share of some queries repeated in both generations of a migration."""
        if serving.other is None or serving.migration is None:
            return
        arms = (serving.other, serving.serving) if serving.moved else (serving.serving, serving.other)
        for query in queries:
            if self._chance.random() < share and self._reserve():
                assert self._thread is not None
                self._thread.submit(self._repeat, serving.migration, arms, query, request)

    def close(self) -> None:
        """End the thread after the search in hand."""
        self._closed.set()
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _reserve(self) -> bool:
        with self._counting:
            if self._closed.is_set() or self._waiting >= MOST_WAITING:
                return False
            self._waiting += 1
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="revector-shadow")
            return True

    def _repeat(self, migration: int, arms: tuple[Generation, Generation], query: str, request: Request) -> None:
        began = time.perf_counter()
        order = [0, 1]
        self._chance.shuffle(order)  # whoever is asked second finds a warm cache
        found: dict[int, _Asked] = {place: self._asked(arms[place], query, request) for place in order}
        old, new = found[0], found[1]
        if old.seen.errors or new.seen.errors:
            shadowed = Shadowed(old.seen, new.seen)
        else:
            both = len(set(old.keys) & set(new.keys))
            overlap = both / max(len(old.keys), len(new.keys), 1)
            ranked = rank_biased_overlap([str(key) for key in old.keys], [str(key) for key in new.keys])
            shadowed = Shadowed(old.seen, new.seen, Moments.of(overlap), Moments.of(ranked))
        self._behind.shadow(migration, shadowed)
        with self._counting:
            self._waiting -= 1
        self._closed.wait(time.perf_counter() - began)

    def _asked(self, generation: Generation, query: str, request: Request) -> _Asked:
        began = time.perf_counter()
        try:
            vectors = self._queries.encode([query], generation)
            with self._backend.snapshot():
                _, keys = Recall(self._backend, request.where).search(generation, vectors, request.k)
        except Exception as error:
            _log.warning("a search in the shadow failed in generation %d: %r", generation.id, error)
            return _Asked([], Arm(1, errors=1))
        listed = keys[0][keys[0] >= 0].tolist()
        return _Asked(listed, Arm.search(1000 * (time.perf_counter() - began), empty=not listed))
