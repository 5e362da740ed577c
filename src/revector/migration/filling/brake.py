"""Holding a worker back as the throttle of its migration says: it asks what the throttle wants to be asked."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime

from revector.backends.contracts import Backend
from revector.errors import RevectorError
from revector.migration.signs import search_p99, workers
from revector.migration.throttle import (
    ASK_AGAIN_SECONDS,
    FREE,
    NO_LIMITS,
    Held,
    Throttle,
    by_answer,
    by_load,
    by_rate,
    by_search,
    by_share,
    by_status,
    by_window,
)

READ_EVERY_SECONDS = 0.25
_TIMEOUT_SECONDS = 2.0  # of a service that is asked


class Brake:
    """Says how long one worker waits before its next unit.

    Parameters
    ----------
    backend : Backend
        Whose database is asked, and where searches say how long they take.
    generation : int
        Whose workers share a rate.
    read : callable
        Returns the present throttle; it is called a few times a second.

    Attributes
    ----------
    limit : str
        What has held the last units back between one and the next; empty where nothing did.
    """

    def __init__(self, backend: Backend, generation: int, read: Callable[[], Throttle]) -> None:
        self._backend, self._generation, self._read = backend, generation, read
        self._throttle, self._read_at = NO_LIMITS, 0.0
        self._answers: dict[str, tuple[object, float, Held]] = {}
        self._workers, self._counted_at = 1, 0.0
        self._documents, self._busy, self._ended = 0, 0.0, 0.0
        self._paced_by = self.limit = ""

    def throttle(self) -> Throttle:
        """Return what limits the migration now."""
        now = time.monotonic()
        if now >= self._read_at + READ_EVERY_SECONDS:
            self._throttle, self._read_at = self._read(), now
        return self._throttle

    def hold(self) -> Held:
        """Return how long the worker waits now, and why; the first reason counts."""
        limits = self.throttle()
        for name, ask in self._asked_of_others(limits):
            held = self._answer(name, getattr(limits, name), ask)
            if held.seconds:
                return held
        return self._by_pace(limits)

    def took(self, documents: int, seconds: float) -> None:
        """Note a unit that has just been embedded."""
        self.limit, self._paced_by = self._paced_by, ""
        self._documents, self._busy, self._ended = documents, seconds, time.monotonic()

    def _asked_of_others(self, limits: Throttle) -> list[tuple[str, Callable[[], Held]]]:
        asked = {
            "window": lambda: by_window(str(limits.window), datetime.now()),
            "max_load": lambda: by_load(limits.max_load or 0.0, os.getloadavg()[0] / (os.cpu_count() or 1)),
            "query": lambda: _by_query(self._backend, str(limits.query)),
            "http": lambda: _by_service(str(limits.http)),
            "search_p99": lambda: by_search(limits.search_p99 or 0.0, search_p99(self._backend)),
        }
        return [(name, ask) for name, ask in asked.items() if getattr(limits, name) is not None]

    def _answer(self, name: str, limit: object, ask: Callable[[], Held]) -> Held:
        """Return the last answer to a limit, or a new one once it is old."""
        asked_for, until, held = self._answers.get(name, (None, 0.0, FREE))
        if asked_for != limit or time.monotonic() >= until:
            held = ask()
            seconds = held.seconds if name == "http" else 0.0  # as long as the service said
            self._answers[name] = (limit, time.monotonic() + max(ASK_AGAIN_SECONDS, seconds), held)
        return held

    def _by_pace(self, limits: Throttle) -> Held:
        held, idle = [FREE], time.monotonic() - self._ended
        if limits.rate is not None and self._documents:
            held.append(by_rate(limits.rate, self._sharing(), self._documents, idle + self._busy))
        if limits.share is not None:
            held.append(by_share(limits.share, self._busy, idle))
        longest = max(held, key=lambda each: each.seconds)
        if longest.seconds:
            self.limit = self._paced_by = longest.reason
        return longest

    def _sharing(self) -> int:
        """Return how many workers share the rate: those that are heard of, this one among them after a moment."""
        if time.monotonic() >= self._counted_at + ASK_AGAIN_SECONDS:
            self._workers, self._counted_at = max(1, len(workers(self._backend, self._generation))), time.monotonic()
        return self._workers


def _by_query(backend: Backend, query: str) -> Held:
    try:
        return by_answer(backend.answer(query))
    except RevectorError as error:
        return Held(ASK_AGAIN_SECONDS, f"waits: the query cannot be asked ({error})")


def _by_service(url: str) -> Held:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            return by_status(url, answer.status, None)
    except urllib.error.HTTPError as answer:
        with answer:
            return by_status(url, answer.code, answer.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Held(ASK_AGAIN_SECONDS, f"waits: {url} cannot be asked ({error})")
