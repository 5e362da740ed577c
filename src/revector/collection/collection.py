"""`Collection`: documents, their vectors, and the migration between models, as one object."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from revector._arguments import flag, function, shown, valid_unicode
from revector.backends.arguments import checked_documents
from revector.backends.contracts import Backup, Document, Preparation, VectorInfo
from revector.backends.opening import open_backend
from revector.collection.contents import Contents
from revector.collection.deciding import Deciding
from revector.collection.embedding import Embedding
from revector.collection.hearing import Hearing
from revector.collection.migrating import Migrating
from revector.collection.preparing import Preparing
from revector.encoders.base import TextEncoder, space_of
from revector.encoders.ends import ModelEnd
from revector.errors import InvalidArgumentError
from revector.evaluation.health import CollectionHealth, examine_collection
from revector.evaluation.same_space import take_over
from revector.exporting import Export, export
from revector.importing import Import, import_vectors
from revector.migration.asking import reconcile
from revector.migration.canaries import canary_similarities, examine_canaries
from revector.migration.slices import in_slices
from revector.migration.status import obstacle_of
from revector.migration.upserts import Upsert
from revector.migration.writes import delete_documents
from revector.moving import Moved, move
from revector.spaces import require_one_of

__all__ = ["Collection"]


class Collection(Deciding, Preparing, Embedding, Hearing, Contents, Migrating):
    """A live collection of texts. Open one with `open`; safe to share between threads.

    Parameters
    ----------
    backend : Backend
        Where documents, vectors and the truth about migrations are; the collection closes it.
    encoders : EncoderSet
        The models at hand.
    """

    def upsert(
        self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any] | None] | None = None
    ) -> list[Document]:
        """Insert documents, or change those whose ids exist.

        The texts are embedded, each once, by every model at hand whose vectors are live, and written with them. Those
        of a model that searches can do without and that is not at hand, is being loaded, or fails, come later, by the
        migration's `run`.

        Documents are stored in their order, 512 at a time, each slice in a transaction of its own: a call with more may
        be cut off between two slices. The same call again embeds only what is not stored yet.

        Raises
        ------
        RefusedDocumentsError
            The model that searches read with refuses some texts. All other documents are stored; of the refused ones
            there is what there was before.
        EncoderError
            No model at hand would let searches find the documents: nothing is stored. Or that model stopped, as
            `ServiceError`, `RateLimitedError` and `SpendCapError` say: what it had embedded is stored, and `stored`
            counts it.
        InvalidArgumentError
            Lengths differ, an id comes twice, an id or a text is not a string of valid Unicode, metadata is not a JSON
            object, or the store cannot hold one of the documents; nothing is embedded.
        """
        documents = checked_documents(ids, texts, metadata)
        self._backend.require_writable()
        self._backend.documents.require_storable(documents)
        return Upsert(self._backend, self._encoders, self._serving).write(documents)

    def delete(self, ids: Iterable[str]) -> None:
        """Delete documents, with their vectors of every generation.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist; then nothing is deleted.
        """
        delete_documents(self._backend, ids)

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """Return documents in the order of `ids`; raise `UnknownDocumentError` if one does not exist."""
        return self._backend.documents.by_id(ids)

    def info(self, ids: Sequence[str]) -> list[VectorInfo]:
        """Return what is known of the documents' serving vectors: model, revision, dimension, time, text, generation.

        Raises
        ------
        UnknownDocumentError
            Some ids do not exist.
        """
        with self._backend.snapshot():
            return self._backend.generations.info(self._serving.read().serving.id, ids)

    def ids(self) -> list[str]:
        """Return the ids of all documents, the oldest first."""
        return list(self._backend.documents.ids())

    def __len__(self) -> int:
        return self._backend.documents.count()

    @property
    def canary_similarities(self) -> dict[int, float]:
        """By generation, the lowest cosine between what its model gave for a fixed text, and gave when last asked."""
        return canary_similarities(self._backend)

    @property
    def obstacle(self) -> str:
        """What keeps the collection from being moved, and what to do about that; empty where nothing does."""
        return obstacle_of(self._backend)

    def remember(self, encoder: TextEncoder, *, same_space: bool = False) -> None:
        """Write down where a model of this collection is loaded from now on: `encoder.source`.

        A model near the database's file is written with its way from there, so that both can be moved together.

        Parameters
        ----------
        encoder : TextEncoder
            A model of this collection.
        same_space : bool
            Let the model be another one by its contract (another provider, a runtime with files of its own), if it is
            proved to give what is stored for some hundred documents: then the collection goes on with it, and nothing
            is rebuilt. See `revector.evaluation.same_space`.

        Raises
        ------
        SpaceMismatchError
            It is not a model of this collection.
        InvalidArgumentError
            It exists in memory only.
        MigrationError
            `same_space`, and the collection has a migration that is not retired.
        """
        space, source = space_of(encoder, "encoder"), self._encoders.written(encoder)
        if source is None:
            raise InvalidArgumentError("the encoder has no source (a path, an id or a service) to load it from again")
        if flag(same_space, "same_space"):
            take_over(self._backend, self._serving.read().serving, encoder, source)
            self._serving.forget()
        require_one_of([each.plain for each in self.spaces], space.plain, purpose="the model of this collection")
        with self._backend.transaction():
            for generation in self._backend.generations.all():
                if generation.space.plain.fingerprint == space.plain.fingerprint:
                    self._backend.generations.set_encoder_source(generation.id, source)
            record = self._backend.ledger.active(self._backend.alias)
            if record is not None and record.target_space.plain.fingerprint == space.plain.fingerprint:
                self._backend.ledger.note(record.id, "remember", target_encoder_source=source)
        self._encoders.add(encoder)

    def check(self, *, ends: Iterable[ModelEnd] = ()) -> CollectionHealth:
        """Look at the database file, at the vectors of the generation that serves, at its index, and at the models.

        Reads the whole file, measures the index's recall beside exact search for 200 of its vectors, looks for vectors
        of other spaces in a sample, and asks the models at hand for a few fixed texts again, to see whether they give
        what they gave at first.

        Parameters
        ----------
        ends : iterable of ModelEnd
            Models with an announced end (`revector.encoders.ends`), such as ``known_ends()``.

        Returns
        -------
        CollectionHealth
            With what is wrong, and what to do about it.
        """
        serving = self._serving.read().serving
        canaries = examine_canaries(self._backend, self._encoders)
        return examine_collection(self._backend, serving, canaries, tuple(ends))

    def recapture(self) -> None:
        """Look through all documents, and ask for the vectors that they lack; `follow` embeds them.

        Those are of what others may have written unseen, and in a collection of our own of what was lost.
        """
        self._backend.require_writable()
        self._backend.recapture(anew=True)
        in_slices(self._backend.recapture)
        for generation in self._serving.read().live:
            reconcile(self._backend, generation.id)

    def prepare(self) -> Preparation:
        """Make the index ready for searches at their fastest, after many documents were added at once.

        Without it that happens behind searches, in processes that stay. Searches go on meanwhile.
        """
        return self._backend.index.prepare(self._serving.read().serving)

    def backup(self, directory: str | os.PathLike[str]) -> Backup:
        """Copy the collection as it is now into a folder, under its own name; others may read and write it meanwhile.

        The copy is checked before it appears, and can be opened, also in the middle of a migration, which goes on from
        there. It is without indexes, which are built anew, and without models. A copy is restored the same way: open
        it, and back it up to where it shall be.

        Parameters
        ----------
        directory : str or Path
            Made if it does not exist. A file that is there is never replaced.

        Raises
        ------
        StoreError
            The copy exists, does not fit, cannot be written or does not pass its check; nothing is left of it.
        """
        return self._backend.backup(_folder(directory))

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int, int], object] | None = None,
        stop: threading.Event | None = None,
    ) -> Export:
        """Write all documents, their metadata and the vectors that serve into a file, batch by batch.

        Each batch is one moment; what is written meanwhile is in it or not.

        Parameters
        ----------
        path : str or Path
            Ends in ``.parquet``, ``.jsonl``, ``.npy`` or ``.beir``; `revector.formats.vector_files` says what is where.
            A file that is there is never replaced.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` in documents after each batch.
        stop : threading.Event, optional
            Calls it off after the batch in hand; nothing is left then.

        Raises
        ------
        InvalidArgumentError
            Another name, a file that is there, or one that cannot be written.
        MissingExtraError
            Parquet, and the extra ``parquet`` is not installed.
        """
        if on_progress is not None:
            function(on_progress, "on_progress")
        return export(self._backend, self._serving.read().serving, path, on_progress, stop)

    def import_vectors(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int], object] | None = None,
        stop: threading.Event | None = None,
    ) -> Import:
        """Insert or change documents with the vectors of a file, which are those of the model that serves.

        Parameters
        ----------
        path : str or Path
            Ends in ``.parquet``, ``.jsonl`` or ``.npy``; `revector.formats.vector_reading` says what is where. Where it
            does not name the space of its vectors, some of its texts are embedded again to tell.
        on_progress : callable, optional
            Called as ``on_progress(done)`` in documents after each batch.
        stop : threading.Event, optional
            Calls it off after the batch in hand; what was stored stays.

        Raises
        ------
        SpaceMismatchError
            The vectors are of another space; nothing is stored.
        InvalidArgumentError
            The file cannot be read; the batches before the row that is named are stored.
        """
        self._backend.require_writable()
        return import_vectors(self._backend, self._encoders, self._serving, path, on_progress, stop)

    def move(
        self,
        to: str | os.PathLike[str],
        *,
        on_progress: Callable[[int, int], object] | None = None,
        stop: threading.Event | None = None,
    ) -> Moved:
        """Copy the collection into another store: documents, the vectors that serve, and their space.

        This one stays as it is. The other one is a collection once all of it is there; a call that was cut off is
        repeated, and goes on. What is written here meanwhile is taken along, what is written after the end is not.
        Events of earlier migrations and counts of hits stay here.

        Parameters
        ----------
        to : str or Path
            Where nothing is yet, as `open` takes it.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` in documents.
        stop : threading.Event, optional
            Calls it off after the batch in hand.

        Raises
        ------
        MigrationError
            A migration is under way, or others write faster than is moved.
        InvalidArgumentError
            There is a collection already, or the beginning of another move.
        """
        with closing(open_backend(to)) as target:
            return move(self._backend, self._serving.read().serving, target, on_progress, stop)


def _folder(directory: Any) -> Path:
    shape = os.fspath(directory) if isinstance(directory, (str, os.PathLike)) else None
    if not isinstance(shape, str) or not shape or "\0" in shape or "://" in shape:
        raise InvalidArgumentError(f"directory is {shown(directory)}, expected the path of a folder")
    return Path(valid_unicode(shape, "directory")).absolute()
