"""A sample of the queries that are really asked, kept for replays and verdicts.

Queries may hold what is nobody's business. Each one passes a filter before it is kept, and one that the filter cannot
take is not kept.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from revector.backends.contracts import Backend

__all__ = ["MOST", "Capture", "Scrub", "captured_queries", "forget_captured", "keep_captured", "without_numbers"]

MOST = 1_000
"""Queries that are kept: each has one of so many places, so that it is kept once, until a later one takes the place."""
_PREFIX = "captured:"
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NUMBER = re.compile(r"\d(?:[ ./()-]{0,2}\d){5,}")

Scrub = Callable[[str], "str | None"]
"""Returns what may be kept of a query, or ``None``."""

_log = logging.getLogger(__name__)


def without_numbers(query: str) -> str:
    """Return a query whose e-mail addresses, and numbers of six digits or more (cards, telephones), are masked."""
    return _NUMBER.sub("000000", _ADDRESS.sub("someone@example.com", query))


@dataclass(frozen=True)
class Capture:
    """What is kept of the queries of a process.

    Parameters
    ----------
    share : float
        Of the queries, from 0 (none) to 1 (all).
    scrub : callable
        Takes a query, returns what may be kept of it, or ``None``.
    """

    share: float = 0.0
    scrub: Scrub = without_numbers

    def sample(self, queries: Sequence[str]) -> list[str]:
        """Return what is kept of some queries."""
        drawn = [query for query in queries if random.random() < self.share] if self.share else []
        return [kept for kept in map(self._scrubbed, drawn) if kept]

    def _scrubbed(self, query: str) -> str | None:
        try:
            kept = self.scrub(query)
        except Exception as error:  # the application's own code; its message may hold the query
            _log.warning("a query was not kept: the filter of captured queries raised %s", type(error).__name__)
            return None
        return kept if isinstance(kept, str) else None


def keep_captured(backend: Backend, asked: dict[str, float]) -> None:
    """Keep queries, with the time when each was asked, in one transaction or that of the caller."""
    with backend.transaction():
        for query, at in asked.items():
            backend.ledger.notes.keep(_name(query), {"query": query, "at": at})


def captured_queries(backend: Backend) -> list[str]:
    """Return the queries that are kept, the oldest first."""
    found = backend.ledger.notes.under(_PREFIX).values()
    return [each["query"] for each in sorted(found, key=lambda each: (each["at"], each["query"]))]


def forget_captured(backend: Backend) -> None:
    """Forget all of them."""
    with backend.transaction():
        for name in backend.ledger.notes.under(_PREFIX):
            backend.ledger.notes.drop(f"{_PREFIX}{name}")


def _name(query: str) -> str:
    digest = hashlib.blake2b(query.encode(), digest_size=8).digest()
    return f"{_PREFIX}{int.from_bytes(digest, 'big') % MOST}"
