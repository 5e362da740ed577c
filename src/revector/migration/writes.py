"""Writes of documents while generations come and go: every live generation gets the vector, or a job for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from revector.errors import StoreError
from revector.migration.jobs import JobRequest
from revector.migration.ledger import Ledger
from revector.migration.priorities import PRIORITY_REST, PRIORITY_UPDATED
from revector.stores.base import Document, NewDocument, Store, VectorRow


def live_generations(store: Store, ledger: Ledger, alias: str) -> tuple[int, ...]:
    """Return the generations that writes have to reach, the serving one first.

    These are the alias's own and, from `start` until `retire`, the other one of the migration.
    """
    with store.snapshot():
        served, active = store.alias(alias), ledger.active(alias)
    if served is None:
        raise StoreError(f"the alias {alias!r} does not exist; create it with create_alias")
    others = () if active is None else (active.source_generation, active.target_generation)
    return (served.generation, *(other for other in others if other not in (None, served.generation)))


def write_documents(
    store: Store,
    ledger: Ledger,
    alias: str,
    documents: Sequence[NewDocument],
    vectors: Mapping[int, Mapping[str, NDArray[np.float32]]] | None = None,
) -> list[Document]:
    """Insert or change documents, with the vectors at hand and jobs for those that are not, in one transaction.

    Parameters
    ----------
    store, ledger : Store, Ledger
        Where to write.
    alias : str
        Name of the collection.
    documents : sequence of NewDocument
        Checked, with distinct ids.
    vectors : mapping of int to mapping of str to ndarray of float32, shape (dimension,), optional
        By generation and content hash, embedded before the call. A generation that has gone since is left out; a
        vector that is missing gets a job.

    Returns
    -------
    list of Document
        In the order given.
    """
    with store.transaction():
        written = store.put_documents(documents)
        for generation in live_generations(store, ledger, alias):
            store.put_vectors(generation, _rows(written, (vectors or {}).get(generation, {})))
            _settle(store, ledger, generation, written)
    return written


def delete_documents(store: Store, ledger: Ledger, ids: Iterable[str]) -> list[int]:
    """Delete documents, their vectors in every generation and their jobs; return their keys."""
    with store.transaction():
        keys = store.delete_documents(ids)
        ledger.forget([generation.id for generation in store.generations()], keys)
    return keys


def reconcile(store: Store, ledger: Ledger, generation: int, priorities: Mapping[int, int] | None = None) -> int:
    """Make sure that every document without a vector of its present text has a job; return how many have none yet.

    Parameters
    ----------
    store, ledger : Store, Ledger
        Where to look, where to ask.
    generation : int
        The generation to fill.
    priorities : mapping of int to int, optional
        By document key; the others come last.
    """
    with store.transaction():
        stale = store.stale_keys(generation)
        hashes = store.content_hashes(stale) if len(stale) else {}
        turn = priorities or {}
        requests = [JobRequest(key, hash_, turn.get(key, PRIORITY_REST)) for key, hash_ in hashes.items()]
        ledger.enqueue(generation, requests)
    return len(stale)


def _rows(documents: Sequence[Document], vectors: Mapping[str, NDArray[np.float32]]) -> list[VectorRow]:
    return [VectorRow(d.key, d.content_hash, vectors[d.content_hash]) for d in documents if d.content_hash in vectors]


def _settle(store: Store, ledger: Ledger, generation: int, documents: Sequence[Document]) -> None:
    """Ask for the vectors that are missing; close whatever jobs the other documents still had."""
    stale = set(store.stale_keys(generation, [d.key for d in documents]).tolist())
    missing = [JobRequest(d.key, d.content_hash, PRIORITY_UPDATED) for d in documents if d.key in stale]
    ledger.enqueue(generation, missing)
    ledger.settle(generation, {d.key: d.content_hash for d in documents if d.key not in stale})
