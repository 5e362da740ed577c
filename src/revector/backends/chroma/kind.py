"""What a URL of Chroma says: a server, or a folder. No key is ever in it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from revector.backends.beside.kind import BesideKind
from revector.backends.beside.places import place_of
from revector.backends.chroma.client import KEY
from revector.backends.contracts.adoption import Released, Tell

if TYPE_CHECKING:
    from revector.backends.chroma.store import ChromaStore


class ChromaKind(BesideKind):
    """Opens collections in Chroma: ``chroma://HOST:PORT#COLLECTION``, ``chroma:///FOLDER#COLLECTION``."""

    secrets: ClassVar[str] = KEY

    @classmethod
    def connect(cls, url: str) -> ChromaStore:
        """Connect to a server or a folder; see `revector.backends.chroma.client.open_client`."""
        from revector.backends.chroma.store import ChromaStore

        return ChromaStore.open(url)

    @classmethod
    def release(
        cls, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Let an adopted collection go; with `in_place`, what serves gets the name of the collection that was adopted.

        Chroma has no aliases, so there is a moment without a collection of that name: between two calls, after the old
        one was dropped. Whoever is cut off there finds what serves under its own name, and renames it.
        """
        where, adopted = place_of(place, cls.secrets), None
        if in_place and cls.is_there(place):
            with closing(cls.opened(where)) as backend:
                adopted = None if backend.source is None else backend.source.collection
        released = super().release(
            place,
            allow_missing=allow_missing,
            in_place=in_place,
            fire_triggers=fire_triggers,
            dry_run=dry_run,
            tell=tell,
        )
        if adopted is None or adopted == released.table:
            return released
        if not dry_run:
            tell(f"renaming {released.table} to {adopted}")
            with closing(cls.connect(where.store)) as store:
                store.rename(released.table, adopted)
        return replace(released, table=adopted)
