"""What models are given of documents: the text and, where templates say so, fields of the metadata.

A document has one content hash, whatever number of generations are live, and each with a template of its own: the hash
of its text and of every field that one of the templates reads, that of a planned migration included. So equal hashes
mean that all models are given the same, and a change of any field makes the vectors stale. Where no template reads more
than the text, and for documents without these fields, the hash is that of the text.

A template that reads a further field is known to all writers from the plan on; `rehash` brings the documents that were
written before to it, with their vectors, before the generation of that template exists. So nothing is ever stored in it
under a hash that says less than its template reads. When a template is gone, hashes that say too much are harmless.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from revector.backends.contracts import Backend, Document, NewDocument, content_hash
from revector.spaces import EmbeddingSpace

Inputs = dict[str, tuple[str, Mapping[str, Any]]]
"""Text and metadata of documents, by content hash."""


def fields_read(spaces: Sequence[EmbeddingSpace]) -> tuple[str, ...]:
    """Return the fields of the metadata that the templates of some spaces read."""
    templates = [space.template for space in spaces if space.template is not None]
    return tuple(sorted({name for template in templates for name in template.of_metadata}))


def hashed(
    backend: Backend, documents: Sequence[NewDocument], fields: Sequence[str]
) -> tuple[list[NewDocument], Inputs]:
    """Return new documents with the hash of all that models are given of them, and what that is.

    Parameters
    ----------
    backend : Backend
        Where the metadata are of documents that are to keep them.
    documents : sequence of NewDocument
    fields : sequence of str
        What templates read.
    """
    if not fields:
        return list(documents), {new.content_hash: (new.text, {}) for new in documents}
    kept = backend.documents.metadata([new.id for new in documents if new.metadata_json is None])
    found, inputs = [], Inputs()
    for new in documents:
        metadata = kept.get(new.id, {}) if new.metadata_json is None else json.loads(new.metadata_json)
        hash_ = content_hash(new.text, _read(metadata, fields))
        found.append(new._replace(content_hash=hash_))
        inputs[hash_] = (new.text, metadata)
    return found, inputs


def rehash(backend: Backend, fields: Sequence[str]) -> None:
    """Bring the hashes of all documents, and of their vectors, to what templates read; slice by slice."""
    if not fields:
        return
    for documents in backend.documents.scan():
        changed = [(d.key, d.content_hash, hash_of(d, fields)) for d in documents]
        backend.documents.rehash([change for change in changed if change[1] != change[2]])


def hash_of(document: Document, fields: Sequence[str]) -> str:
    """Return the hash of all that models are given of a document."""
    return content_hash(document.text, _read(document.metadata, fields))


def _read(metadata: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {name: metadata[name] for name in fields if metadata.get(name) is not None}
