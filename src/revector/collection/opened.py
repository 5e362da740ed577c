"""What every face of a collection shares: where it is, its models, its life."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from revector._arguments import flag
from revector.backends.contracts import Backend
from revector.backends.opening import kind_of, open_backend
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder, space_of
from revector.errors import NoCollectionError, RevectorError
from revector.migration.dependents import (
    Call,
)
from revector.migration.migration import Migration
from revector.migration.serving import ServingReader
from revector.opening import find_again, listed_encoders, require_collection, require_path
from revector.search.searcher import Searcher
from revector.spaces import EmbeddingSpace

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = ["Opened"]

_log = logging.getLogger(__name__)


class Opened:
    """A collection that is open: its store and its models."""

    def __init__(self, backend: Backend, encoders: EncoderSet) -> None:
        self._backend = backend
        self._encoders = encoders
        self._serving = ServingReader(backend)
        self._searcher = Searcher(backend, encoders, self._serving, self._judge)
        self._calls: dict[str, Call] = {}
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        encoder: TextEncoder | None = None,
        *,
        encoders: Iterable[TextEncoder] = (),
        read_only: bool = False,
    ) -> Self:
        """Open a collection, or create it.

        A collection whose file or folder cannot be written is opened to read only, as with `read_only`.

        Parameters
        ----------
        path : str or Path
            The database file, or a URL whose scheme names the backend.
        encoder : TextEncoder, optional
            The collection's model. A new collection needs one; an existing one loads its own from where it came,
            if that is a path or a hub id.
        encoders : iterable of TextEncoder
            Further models at hand, such as that of a migration's other side.
        read_only : bool
            Never write to it, its index or its counts of accesses. Whatever would raises `ReadOnlyError`.

        Raises
        ------
        NoCollectionError
            The collection is new, and there is no encoder.
        SpaceMismatchError
            The encoder is not a model of this collection; the message names the one that is needed.
        StoreError
            The file is not a database of revector, is damaged, or cannot be opened.
        """
        require_path(path)
        read_only = flag(read_only, "read_only")
        given = listed_encoders(encoder, encoders)
        # A service is asked for its space: before there is a file, or a lock to hold.
        space = None if encoder is None else space_of(encoder, "encoder")
        kind = kind_of(path)
        if (encoder is None or read_only) and not kind.is_there(path):
            lacks = "there is nothing to read" if read_only else "a new collection needs an encoder"
            place = kind.shown(path)
            raise NoCollectionError(f"{place!r} does not exist or is empty, and {lacks}", path=place)
        backend = open_backend(path, read_only=read_only)
        try:
            models = EncoderSet(given, folder=backend.folder, place=backend.place)
            require_collection(backend, None if encoder is None else models.written(encoder), space)
            if not read_only:
                find_again(backend, models, given)
        except BaseException:
            backend.close()
            raise
        return cls(backend, models)

    @property
    def place(self) -> str:
        """Where the collection is, as `open` takes it, without a password."""
        return self._backend.place

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written: it was opened so, or its file or folder cannot be written."""
        return self._backend.read_only

    @property
    def spaces(self) -> list[EmbeddingSpace]:
        """The spaces that the collection has vectors of, and the one that it is to move to."""
        record = self._backend.ledger.active(self._backend.alias)
        planned = [] if record is None else [record.target_space]
        return [*(generation.space for generation in self._backend.generations.all()), *planned]

    @property
    def serving_space(self) -> EmbeddingSpace:
        """The space that queries are answered in now."""
        return self._serving.read().serving.space

    @property
    def serving_source(self) -> str | None:
        """Where the model of that space can be loaded from; ``None`` if it was given in memory."""
        serving = self._serving.read().serving
        encoder = self._encoders.find(serving)
        return serving.encoder_source if encoder is None else encoder.source

    @property
    def migration(self) -> Migration | None:
        """The migration that is not retired, or ``None``."""
        return Migration.active(self._backend, self._encoders, calls=self._calls)

    def _judge(self) -> None:
        """Take the step of a rollout that follows from what was seen, in the thread that has written it down."""
        try:
            if (migration := self.migration) is not None:
                migration.judge()
        except RevectorError as error:
            _log.warning("what was seen of the rollout has no consequence yet: %s", error)

    def close(self) -> None:
        """Write the counts of accesses, save the indexes, close the database; closing it again does nothing.

        Whatever is used afterwards, the collection's migration included, raises `ClosedError`.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._searcher.close()
        finally:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
