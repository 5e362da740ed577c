"""Writes of any number of documents: embedded and stored slice by slice, without those that the model refuses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from revector.backends.contracts import Backend, Document, Generation, NewDocument
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.once import Embedded, Vectors, embed_once
from revector.errors import EncoderError, RefusedDocumentsError
from revector.migration.serving import ServingReader
from revector.migration.writes import write_documents

DOCUMENTS_A_SLICE = 512
"""So many are embedded before they are stored: a few requests of a service at a time, and a short transaction."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upsert:
    """Writes documents to a collection.

    Attributes
    ----------
    backend, encoders : Backend, EncoderSet
    serving : ServingReader
    """

    backend: Backend
    encoders: EncoderSet
    serving: ServingReader

    def write(self, documents: Sequence[NewDocument]) -> list[Document]:
        """Insert or change documents that are checked; return them as they are stored.

        Raises
        ------
        RefusedDocumentsError
            The model refuses some; the others are stored.
        EncoderError
            The model stopped; `stored` counts what was stored before.
        """
        written: list[Document] = []
        refused: dict[str, EncoderError] = {}
        for start in range(0, len(documents), DOCUMENTS_A_SLICE):
            part = documents[start : start + DOCUMENTS_A_SLICE]
            embedded, vectors = self._embed(part)
            taken = [new for new in part if new.content_hash in embedded.vectors]
            written += write_documents(self.backend, taken, vectors) if taken else []
            errors = embedded.errors
            refused |= {new.id: errors[new.content_hash] for new in part if new.content_hash in errors}
            if isinstance(embedded.stopped, EncoderError):
                embedded.stopped.stored = len(written)
            if embedded.stopped is not None:
                raise embedded.stopped
        if refused:
            reasons = {id_: str(error) for id_, error in refused.items()}
            raise RefusedDocumentsError(reasons, stored=len(written)) from next(iter(refused.values()))
        return written

    def _embed(self, documents: Sequence[NewDocument]) -> tuple[Embedded, dict[int, Vectors]]:
        """Embed documents for readers, and what that model took by all other models at hand."""
        texts = {new.content_hash: new.text for new in documents}
        reading = self.serving.read().findable(self.encoders)
        model = self.encoders.require(reading, purpose="writing to this collection")
        embedded = self._embed_for(reading, model, texts)
        taken = {hash_: text for hash_, text in texts.items() if hash_ in embedded.vectors}
        vectors = {reading.id: embedded.vectors}
        for live in self.serving.read().live:
            other = None if live.id == reading.id else self.encoders.find(live)
            if other is not None:
                vectors[live.id] = self._embed_aside(live, other, taken)
        return embedded, vectors

    def _embed_for(self, generation: Generation, encoder: TextEncoder, texts: Mapping[str, str]) -> Embedded:
        return embed_once(encoder, texts, self.backend.generations.with_hashes(generation.id, list(texts)))

    def _embed_aside(self, generation: Generation, encoder: TextEncoder, texts: Mapping[str, str]) -> Vectors:
        """Embed for a generation that readers can do without: what fails here is left to its jobs."""
        embedded = self._embed_for(generation, encoder, texts)
        if embedded.failure is not None:
            _log.warning(
                "%d of %d texts were written without a vector of %s, which is left to a job: %s",
                len(texts) - len(embedded.vectors),
                len(texts),
                generation.space,
                embedded.failure,
            )
        return embedded.vectors
