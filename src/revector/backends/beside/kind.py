"""What opens a store of vectors: each store's module has a subclass that knows how to connect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from revector.backends.beside.backend import BesideBackend
from revector.backends.beside.ledger_file import LedgerFile
from revector.backends.beside.places import Place, place_of
from revector.backends.beside.store import VectorStore
from revector.backends.contracts.adoption import Adopted, Released, TableToAdopt, Tell
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, StoreError

__all__ = ["BesideKind"]


class BesideKind:
    """Opens collections in one kind of store; see `revector.backends.opening.BackendKind` and `AdoptingKind`.

    Attributes
    ----------
    secrets : str
        Where `connect` takes passwords and keys from, for people: ``"QDRANT_API_KEY"``.
    vector_option : str, optional
        The option of a URL that says which of several vectors is searched; ``None`` where a store has one vector.
    """

    secrets: ClassVar[str]
    vector_option: ClassVar[str | None] = None

    @classmethod
    def connect(cls, url: str) -> VectorStore:
        """Connect to the store at a URL, which has options of its own, and neither a ledger nor a collection."""
        raise NotImplementedError

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, read_only: bool = False) -> BesideBackend:
        """Open the collection at a URL, or make an empty one there."""
        return cls.opened(place_of(place, cls.secrets), read_only=read_only)

    @classmethod
    def opened(cls, where: Place, *, read_only: bool = False) -> BesideBackend:
        """Open the collection at a place."""
        database = LedgerFile(where.ledger, where.url, read_only=read_only)
        try:
            store = cls.connect(where.store)
        except BaseException:
            database.close()
            raise
        try:
            return BesideBackend(where, database, store)
        except BaseException:
            store.close()
            database.close()
            raise

    @classmethod
    def is_there(cls, place: str | os.PathLike[str]) -> bool:
        """Whether there is a ledger; without one, a collection of the store is not one of revector's yet."""
        ledger = place_of(place, cls.secrets).ledger
        return ledger.exists() and ledger.stat().st_size > 0

    @classmethod
    def shown(cls, place: str | os.PathLike[str]) -> str:
        """Return the place as it is: one that holds a password is refused."""
        return place_of(place, cls.secrets).url

    @classmethod
    def adopt(
        cls,
        place: str,
        table: TableToAdopt,
        candidates: Sequence[TextEncoder],
        *,
        dry_run: bool,
        accept_unidentified: bool,
        tell: Tell,
    ) -> Adopted:
        """Make a collection of points that others write; see `revector.backends.contracts.adoption`."""
        from revector.backends.beside.adopting import adopt

        said = {"dry_run": dry_run, "accept_unidentified": accept_unidentified}
        return adopt(cls, place, table, candidates, tell=tell, **said)

    @classmethod
    def release(
        cls, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Let an adopted collection go; see `revector.backends.contracts.adoption`.

        A kind whose store has no aliases, and can rename, gives what serves the adopted name if `in_place` says so.
        """
        from revector.backends.beside.releasing import release

        where = place_of(place, cls.secrets)
        if fire_triggers:
            raise InvalidArgumentError("a store of vectors has no triggers; leave out --fire-triggers")
        if not cls.is_there(place):
            raise StoreError(f"{where.url} is not a collection: {where.ledger} does not exist; give its ledger")
        said = {"allow_missing": allow_missing, "in_place": in_place, "dry_run": dry_run}
        return release(cls.opened(where), tell=tell, **said)
