"""A sample of the queries that are really asked, kept for replays and verdicts.

Queries may hold what is nobody's business. Each one passes a filter before it is kept, and one that the filter cannot
take is not kept.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError
from revector.formats.clicks import Reaction, grades_of_clicks
from revector.formats.judgements import CLICKS, Judgements

__all__ = [
    "MOST",
    "Capture",
    "Scrub",
    "captured_queries",
    "forget_captured",
    "judged_feedback",
    "keep_captured",
    "keep_reactions",
    "key_of",
    "without_numbers",
]

MOST = 1_000
"""Queries that are kept: each has one of so many places, so that it is kept once, until a later one takes the place."""
MOST_DOCUMENTS = 200
"""Documents of a query that it is kept of what readers did with them."""
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

    def sample(self, queries: Sequence[str]) -> list[str | None]:
        """Return what is kept of each of some queries; ``None`` for those that are not drawn, or must not be kept."""
        return [self._scrubbed(query) if self.share and random.random() < self.share else None for query in queries]

    def _scrubbed(self, query: str) -> str | None:
        try:
            kept = self.scrub(query)
        except Exception as error:  # the application's own code; its message may hold the query
            _log.warning("a query was not kept: the filter of captured queries raised %s", type(error).__name__)
            return None
        return kept if isinstance(kept, str) and kept else None


def keep_captured(backend: Backend, asked: dict[str, float]) -> None:
    """Keep queries, with the time when each was asked, in one transaction or that of the caller."""
    with backend.transaction():
        for query, at in asked.items():
            name = _name(key_of(query))
            known = backend.ledger.notes.get(name) or {}
            said = {"said": known["said"]} if known.get("query") == query and "said" in known else {}
            backend.ledger.notes.keep(name, {"query": query, "at": at, **said})


def keep_reactions(backend: Backend, reactions: Mapping[tuple[int, str, str], float]) -> None:
    """Add up what readers did with hits of captured queries, in one transaction or that of the caller.

    What is about a query that is not kept any more is dropped. Processes that write at the same moment may lose a
    count.

    Parameters
    ----------
    backend : Backend
    reactions : mapping
        Sums of `Feedback.weight`, by `key_of` the query, document and kind of feedback.
    """
    with backend.transaction():
        for key in {key for key, _, _ in reactions}:
            known = backend.ledger.notes.get(_name(key))
            if known is None or key_of(known["query"]) != key:
                continue
            said = known.setdefault("said", {})
            for (of, document, kind), weight in reactions.items():
                if of == key and (document in said or len(said) < MOST_DOCUMENTS):
                    kinds = said.setdefault(document, {})
                    kinds[kind] = kinds.get(kind, 0) + weight
            backend.ledger.notes.keep(_name(key), known)


def captured_queries(backend: Backend) -> list[str]:
    """Return the queries that are kept, the oldest first."""
    return [each["query"] for each in _captured(backend)]


def forget_captured(backend: Backend) -> None:
    """Forget all of them."""
    with backend.transaction():
        for name in backend.ledger.notes.under(_PREFIX):
            backend.ledger.notes.drop(f"{_PREFIX}{name}")


def judged_feedback(backend: Backend) -> Judgements:
    """Return what readers said of captured queries as judgements; raise `InvalidArgumentError` if they said nothing."""
    found = [each for each in _captured(backend) if "said" in each]
    queries = {f"q{place}": each["query"] for place, each in enumerate(found, 1)}
    qrels, notes = grades_of_clicks(
        Reaction(query, document, None, (kind,), weight)
        for query, each in zip(queries, found, strict=True)
        for document, kinds in each["said"].items()
        for kind, weight in kinds.items()
    )
    if not any(grade > 0 for grades in qrels.values() for grade in grades.values()):
        raise InvalidArgumentError(
            "no document of a captured query was clicked, called good, rated above 3 or part of a good answer: capture "
            "queries, search with key=, and record feedback"
        )
    return Judgements({query: queries[query] for query in qrels}, qrels, CLICKS, notes)


def key_of(query: str) -> int:
    """Return what a captured query is called by, never 0; it is made of what was kept, so that it tells no more."""
    return int.from_bytes(hashlib.blake2b(query.encode(), digest_size=8).digest(), "big") or 1


def _captured(backend: Backend) -> list[dict[str, Any]]:
    found = backend.ledger.notes.under(_PREFIX).values()
    return sorted(found, key=lambda each: (each["at"], each["query"]))


def _name(key: int) -> str:
    return f"{_PREFIX}{key % MOST}"
