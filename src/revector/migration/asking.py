"""Asking for vectors: of a whole collection at the start of a migration, and of whatever nobody asked for.

A collection is gone through in slices of keys, each a short transaction of its own, with a moment in between for other
writers. How far `start` has come is written down with each slice: whoever calls it again, or `run`, goes on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial

from revector.backends.contracts import Backend
from revector.ledger.jobs import JobRequest
from revector.ledger.state import Phase
from revector.migration.priorities import PRIORITY_REST, Turns
from revector.migration.slices import in_slices

DOCUMENTS_A_SLICE = 5_000
REQUESTS_A_SLICE = 1_000
"""Where the requests come from here, not from a statement of the database."""


def ask_for_all(backend: Backend, migration_id: int, turns: Turns, stop: threading.Event | None = None) -> None:
    """Go on asking for the vectors of the documents that were there at the start, until all are asked for.

    Parameters
    ----------
    backend : Backend
        Holds the documents.
    migration_id : int
        Whose new generation is filled.
    turns : Turns
        In which order.
    stop : threading.Event, optional
        Ends it after the slice in hand.

    Raises
    ------
    InvalidArgumentError
        A priority rule returned something else than a priority.
    """
    in_slices(partial(_ask_in_order if turns.rule is None else _ask_by_rule, backend, migration_id, turns), stop)


def is_asking(backend: Backend, migration_id: int) -> bool:
    """Tell whether some documents of the new generation were not asked for yet."""
    return backend.ledger.asked_through(migration_id) is not None


def ask_for(backend: Backend, generation: int, priorities: Mapping[int, int]) -> None:
    """Ask for those of some documents, given by key, that have no vector of their present text."""
    with backend.transaction():
        hashes = backend.documents.content_hashes(backend.generations.stale_keys(generation, list(priorities)))
        requests = [JobRequest(key, hash_, priorities[key]) for key, hash_ in hashes.items()]
        backend.ledger.jobs.enqueue(generation, requests)


def reconcile(backend: Backend, generation: int) -> None:
    """Make sure that every document without a vector of its present text has a job, whoever wrote it.

    What is missing is looked for without a lock; nothing is written where nothing is.
    """
    after = 0
    while (first := backend.documents.next_key(after)) is not None:
        before, after = first - 1, first + DOCUMENTS_A_SLICE - 1
        stale = backend.generations.stale_between(generation, before, after).tolist()
        for start in range(0, len(stale), REQUESTS_A_SLICE):
            ask_for(backend, generation, dict.fromkeys(stale[start : start + REQUESTS_A_SLICE], PRIORITY_REST))


def _ask_in_order(backend: Backend, migration_id: int, turns: Turns) -> bool:
    """Ask for the next slice by a statement of the backend; tell whether there may be more."""
    order = turns.order
    with backend.transaction():
        record, through = backend.ledger.record(migration_id), backend.ledger.asked_through(migration_id)
        if record.phase is not Phase.FILLING or through is None or record.target_generation is None:
            return False
        first, until = backend.documents.next_key(through), None
        if first is not None:
            until = first + DOCUMENTS_A_SLICE - 1
            backend.ask(record.target_generation, first - 1, until, order)
        backend.ledger.set_asked_through(migration_id, until)
    return until is not None


def _ask_by_rule(backend: Backend, migration_id: int, turns: Turns) -> bool:
    """Ask for the next slice in the order of a rule, which is asked outside of the transaction; it may be slow."""
    through = backend.ledger.asked_through(migration_id)
    if through is None:
        return False
    facts = backend.documents.facts(through, REQUESTS_A_SLICE)
    chosen = {fact.key: turns.priority(fact) for fact in facts}
    with backend.transaction():
        record = backend.ledger.record(migration_id)
        if record.phase is not Phase.FILLING or record.target_generation is None:
            return False
        if backend.ledger.asked_through(migration_id) == through:  # nor has another process asked meanwhile
            ask_for(backend, record.target_generation, chosen)
            backend.ledger.set_asked_through(migration_id, facts[-1].key if facts else None)
    return bool(facts)
