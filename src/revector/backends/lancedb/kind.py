"""What a URL of LanceDB says: the folder of the tables, and which of their columns hold ids and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from revector.backends.beside.kind import BesideKind
from revector.backends.contracts.adoption import Released, Tell
from revector.errors import InvalidArgumentError

if TYPE_CHECKING:
    from revector.backends.lancedb.store import LanceStore


class LanceKind(BesideKind):
    """Opens collections in LanceDB: ``lancedb:///FOLDER?id=COLUMN&vector=COLUMN#TABLE``; both may be left out."""

    secrets: ClassVar[str] = "those of the object store in the environment"
    vector_option: ClassVar[str | None] = "vector"

    @classmethod
    def connect(cls, url: str) -> LanceStore:
        """Open the folder; see `revector.backends.lancedb.store.LancePlace`."""
        from revector.backends.lancedb.store import LanceStore

        return LanceStore.open(url)

    @classmethod
    def release(
        cls, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Let an adopted table go; raise `InvalidArgumentError` where it shall have the old one's name."""
        if in_place:
            raise InvalidArgumentError(
                "LanceDB cannot rename a table; leave out --in-place, and give the application the new name"
            )
        return super().release(
            place,
            allow_missing=allow_missing,
            in_place=in_place,
            fire_triggers=fire_triggers,
            dry_run=dry_run,
            tell=tell,
        )
