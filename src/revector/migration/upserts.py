"""Writes of any number of documents: embedded and stored slice by slice, without those that the model refuses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from revector.backends.contracts import Backend, Document, Generation, NewDocument
from revector.encoders.at_hand import EncoderSet
from revector.encoders.base import TextEncoder
from revector.encoders.once import Embedded, Vectors, embed_once
from revector.encoders.shortened import shortened_vectors
from revector.errors import EncoderError, ModelChangedError, RefusedDocumentsError
from revector.migration.canaries import require_same_model
from revector.migration.inputs import Inputs, hashed
from revector.migration.landing import Rows, land
from revector.migration.serving import Serving, ServingReader
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
            serving = self.serving.read()
            part, inputs = hashed(self.backend, part, serving.fields)
            embedded, vectors = self._embed(serving, inputs)
            taken = [new for new in part if new.content_hash in embedded.vectors]
            stored = write_documents(self.backend, taken, vectors, reader=self.serving) if taken else []
            self._embed_again([document for document in stored if document.content_hash not in inputs])
            written += stored
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

    def _embed_again(self, documents: Sequence[Document]) -> None:
        """Embed documents that hold something else than what was embedded: metadata that others wrote meanwhile."""
        if documents:
            _, vectors = self._embed(self.serving.read(), {d.content_hash: (d.text, d.metadata) for d in documents})
            keys, hashes = [d.key for d in documents], [d.content_hash for d in documents]
            for generation, found in vectors.items():
                land(self.backend, generation, Rows.of(keys, hashes, found))

    def _embed(self, serving: Serving, inputs: Inputs) -> tuple[Embedded, dict[int, Vectors]]:
        """Embed documents for readers, and what that model took by all other models at hand.

        A model of the other generation that has yet to be loaded is not waited for: it is loaded behind the write, and
        the jobs of what was written meanwhile do its work.
        """
        reading = serving.findable(self.encoders)
        model = self.encoders.require(reading, purpose="writing to this collection")
        embedded = self._embed_for(reading, model, inputs)
        taken = {hash_: given for hash_, given in inputs.items() if hash_ in embedded.vectors}
        vectors = {reading.id: embedded.vectors}
        for live in serving.live:
            if live.id == reading.id:
                continue
            if live.space.derives_from(reading.space):
                vectors[live.id] = shortened_vectors(embedded.vectors, live.space)
                continue
            find = self.encoders.find if live == serving.serving else self.encoders.find_behind
            if (other := find(live)) is not None:
                vectors[live.id] = self._embed_aside(live, other, taken)
        return embedded, vectors

    def _embed_for(self, generation: Generation, encoder: TextEncoder, inputs: Inputs) -> Embedded:
        require_same_model(self.backend, self.encoders, generation, encoder)
        texts = {hash_: generation.space.text_of(*given) for hash_, given in inputs.items()}
        return embed_once(encoder, texts, self.backend.generations.with_hashes(generation.id, list(texts)))

    def _embed_aside(self, generation: Generation, encoder: TextEncoder, inputs: Inputs) -> Vectors:
        """Embed for a generation that readers can do without: what fails here is left to its jobs."""
        try:
            embedded = self._embed_for(generation, encoder, inputs)
        except ModelChangedError as error:
            _log.error("%s", error)
            return {}
        if embedded.failure is not None:
            _log.warning(
                "%d of %d texts were written without a vector of %s, which is left to a job: %s",
                len(inputs) - len(embedded.vectors),
                len(inputs),
                generation.space,
                embedded.failure,
            )
        return embedded.vectors
