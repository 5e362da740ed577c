"""A generation beside the one that serves, which nobody searches or writes to: made, used for a while, and dropped.

Rehearsals, plans and pilots find out there what a migration would meet. What a process that was killed has left is
dropped by the next one that makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from revector.backends.contracts import Backend, Generation
from revector.errors import MigrationError
from revector.ledger.owners import new_owner
from revector.migration.slices import in_slices
from revector.spaces import EmbeddingSpace

_NOTE = _LEASE = "rehearsal"
_LEASE_SECONDS = 600.0


@contextmanager
def beside(backend: Backend, space: EmbeddingSpace, purpose: str) -> Iterator[tuple[Generation, Callable[[], object]]]:
    """Yield an empty generation of a space, and what is to be called now and then while it is used; drop it.

    Parameters
    ----------
    backend : Backend
    space : EmbeddingSpace
    purpose : str
        What it is for, for messages: ``"a rehearsal"``.

    Raises
    ------
    MigrationError
        A migration is under way, or another process has such a generation.
    """
    owner, leases = new_owner(), backend.ledger.leases

    def hold() -> bool:
        return leases.acquire(_LEASE, owner, _LEASE_SECONDS)

    if not hold():
        raise MigrationError(
            "the collection is being rehearsed, planned or piloted already, by another process; wait for it"
        )
    try:
        _drop_left(backend)
        yield _made(backend, space, purpose), hold
    finally:
        _drop_left(backend)
        leases.release(_LEASE, owner)


def require_no_migration(backend: Backend, purpose: str) -> None:
    """Raise `MigrationError` if one is under way."""
    if (active := backend.ledger.active(backend.alias)) is not None:
        raise MigrationError(
            f"migration {active.id} is {active.phase}; {purpose} is for before: retire that migration first"
        )


def notice_of_left(backend: Backend) -> str:
    """Return what there is to know of such a generation, in use or left by a process that was killed; empty if none."""
    left = backend.ledger.notes.get(_NOTE)
    return "" if left is None else f"generation {left} is a rehearsal's: if none is under way, the next one drops it"


def _made(backend: Backend, space: EmbeddingSpace, purpose: str) -> Generation:
    with backend.exclusive():
        require_no_migration(backend, purpose)
        made = backend.generations.create(space, None)
        backend.ledger.notes.keep(_NOTE, made.id)
    return made


def _drop_left(backend: Backend) -> None:
    """Drop what was made there, by this process or one that was killed."""
    left = backend.ledger.notes.get(_NOTE)
    if left is None:
        return
    with backend.exclusive():
        if left in {generation.id for generation in backend.generations.all()}:
            backend.generations.drop(left)
        backend.ledger.notes.drop(_NOTE)
    backend.index.prune()
    in_slices(backend.reclaim)
