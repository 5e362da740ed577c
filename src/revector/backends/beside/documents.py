"""Documents of a collection whose points are in a store: the ledger has them, and their points follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from revector.backends.arguments import checked_ids
from revector.backends.beside.generations import BesideGenerations
from revector.backends.contracts import Document, NewDocument
from revector.backends.sqlite.database import Database
from revector.backends.sqlite.documents import SqliteDocuments
from revector.backends.sqlite.sampling import as_json
from revector.errors import StoreError, UnknownDocumentError

_DELETE = "DELETE FROM documents WHERE key IN (SELECT value FROM json_each(:keys))"


class BesideDocuments(SqliteDocuments):
    """The documents of the ledger; see `revector.backends.contracts.Documents`.

    Parameters
    ----------
    database : Database
        The ledger.
    generations : BesideGenerations
        Where their points are.
    """

    def __init__(self, database: Database, generations: BesideGenerations) -> None:
        super().__init__(database)
        self._generations = generations

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Insert or change documents that were checked; points whose vector stays get the new metadata."""
        return self.take_in(documents)

    def take_in(self, documents: Sequence[NewDocument], *, seen_in: int | None = None) -> list[Document]:
        """Do what `put` does, but for the points of the generation that the documents were seen in."""
        with self._database.transaction():
            before = self.metadata([new.id for new in documents if new.metadata_json is not None])
            written = super().put(documents)
            changed = [d.key for d in written if d.id in before and before[d.id] != d.metadata]
            self._generations.refresh(changed, but=seen_in)
            return written

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Delete documents and their points of every generation; return their keys."""
        return self.let_go(ids)

    def let_go(self, ids: Iterable[str], *, missed_in: int | None = None) -> list[int]:
        """Do what `delete` does, but for the points of the generation in which they are gone already."""
        wanted = checked_ids(ids, ordered=False)
        with self._database.transaction() as connection:
            known = self.keys(wanted)
            if unknown := tuple(id_ for id_ in wanted if id_ not in known):
                raise UnknownDocumentError(unknown)
            self._generations.delete_points(known, but=missed_in)
            keys = list(dict.fromkeys(known[id_] for id_ in wanted))
            connection.exec_driver_sql(_DELETE, {"keys": as_json(keys)})
            return keys


class AdoptedDocuments(BesideDocuments):
    """The points of a user's collection, which are written there; `recapture` takes in what others wrote."""

    def require_storable(self, documents: Sequence[NewDocument]) -> None:
        """Raise `StoreError`: nothing is stored from here."""
        self._refuse()

    def put(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Raise `StoreError`."""
        self._refuse()

    def delete(self, ids: Iterable[str]) -> list[int]:
        """Raise `StoreError`."""
        self._refuse()

    def rehash(self, hashes: Sequence[tuple[int, str, str]]) -> None:
        """Raise `StoreError`: hashes are computed from the text alone."""
        raise StoreError(
            "a template that reads fields of the metadata cannot be used with an adopted collection; adopt it with "
            "these fields among those of the text (--text), or use a model without a template"
        )

    def _refuse(self) -> NoReturn:
        raise StoreError(
            "the documents of an adopted collection are written where they are: by the client of the store, under the "
            "name that readers use; revector sees it"
        )
