"""What opens collections of index files, takes such a file in, and puts another one in its place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from revector.backends.beside.ledger_file import files_of
from revector.backends.beside.places import Place, place_of
from revector.backends.contracts.adoption import Adopted, Released, TableToAdopt, Tell
from revector.backends.sqlite import SqliteBackend
from revector.backends.urls import scheme_of
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, NoCollectionError

__all__ = ["FilePlace", "IndexFileKind"]

_SECRETS = "nothing: a file needs none"


class FilePlace:
    """Where an index file is, and the collection that was made of it.

    Parameters
    ----------
    url : str
        ``SCHEME:///PATH?ledger=PATH#NAME``; name and ledger may be left out.
    name : str, optional
        Of the collection; that of the file if there is none.

    Raises
    ------
    InvalidArgumentError
        The URL is not of that form.
    """

    def __init__(self, url: str | os.PathLike[str], name: str | None = None) -> None:
        self.scheme = scheme_of(url)
        path = unquote(urlsplit(os.fspath(url)).path)
        if urlsplit(os.fspath(url)).netloc or path in ("", "/"):
            raise InvalidArgumentError(f"an index file is given as {self.scheme}:///PATH#NAME, with three slashes")
        self.file = Path(path)
        self.place: Place = place_of(url, _SECRETS, name=name or self.file.stem)
        self.ledger = self.place.ledger
        self.url = self.place.url


class IndexFileKind:
    """Index files of hnswlib, FAISS, usearch and numpy, and Parquet: ``faiss:///FILE?ledger=PATH``.

    The collection of a file is a SQLite file, named ``NAME.SCHEME.db`` in the present folder if nothing else is said.
    """

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, read_only: bool = False) -> SqliteBackend:
        """Open the collection of a file that was adopted.

        Raises
        ------
        NoCollectionError
            It was not adopted: what is in it is not known.
        """
        where = FilePlace(place)
        if not cls.is_there(place):
            raise NoCollectionError(
                f"{where.url} was not adopted; say which documents its vectors are of: revector adopt {where.url} "
                "--table FILE --id id --text text --model MODEL",
                path=where.url,
            )
        return SqliteBackend.open(where.ledger, read_only=read_only)

    @classmethod
    def is_there(cls, place: str | os.PathLike[str]) -> bool:
        """Whether the file was adopted."""
        return SqliteBackend.is_there(FilePlace(place).ledger)

    @classmethod
    def shown(cls, place: str | os.PathLike[str]) -> str:
        """Return the place as it is."""
        return FilePlace(place).url

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
        """Import the vectors of a file, with the documents of another one; see `contracts.adoption`.

        The table is the file of the documents, `vector` its field that has the label of a document's vector.
        """
        from revector.backends.index_files.adopting import adopt

        said = {"dry_run": dry_run, "accept_unidentified": accept_unidentified}
        return adopt(FilePlace(place, table.name), table, candidates, tell=tell, **said)

    @classmethod
    def release(
        cls, place: str, *, allow_missing: bool, in_place: bool, fire_triggers: bool, dry_run: bool, tell: Tell
    ) -> Released:
        """Put a file with the vectors that serve in the place of the one that was adopted; end the collection."""
        from revector.backends.index_files.releasing import release

        where = FilePlace(place)
        backend = cls.open(place)
        released = release(backend, where, allow_missing=allow_missing, dry_run=dry_run, tell=tell)
        for file in () if dry_run else files_of(where.ledger):
            with suppress(FileNotFoundError):
                file.unlink()
        return released
