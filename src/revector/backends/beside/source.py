"""What is known of a collection that was adopted: the user's points, and which of their fields are embedded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from revector.backends.contracts import NewDocument, content_hash

__all__ = ["ADOPTED", "Source", "payload_of", "source_of"]

ADOPTED = "adopted"
"""The note of a ledger that says so."""


@dataclass(frozen=True)
class Source:
    """A user's collection.

    Parameters
    ----------
    collection : str
        Its physical name: that of the first generation.
    alias : str
        The name that readers of the store use; moved at a cut-over, where the store has aliases.
    text : tuple of str
        The fields that are embedded, joined by blank lines.
    metric : {"cosine", "dot"}
        By which its vectors are searched.
    """

    collection: str
    alias: str
    text: tuple[str, ...]
    metric: str

    def text_of(self, payload: Mapping[str, Any]) -> str:
        """Return what is embedded of a point; nothing where no field holds a text."""
        found = (payload.get(field) for field in self.text)
        return "\n\n".join(each for each in found if isinstance(each, str) and each)

    def document_of(self, id_: str, payload: Mapping[str, Any]) -> NewDocument:
        """Return a point as a document; what `payload_of` makes of it is the payload again."""
        text = self.text_of(payload)
        metadata = {name: value for name, value in payload.items() if not self._is_told(name, text)}
        return NewDocument(id_, text, content_hash(text), json.dumps(metadata, sort_keys=True))

    def _is_told(self, field: str, text: str) -> bool:
        """Whether a field is the text itself, which need not be kept twice."""
        return bool(text) and self.text == (field,)

    def as_note(self) -> str:
        """Return what is kept in the ledger."""
        return json.dumps(asdict(self))


def source_of(note: str) -> Source:
    """Return what `Source.as_note` kept."""
    kept = json.loads(note)
    return Source(**{**kept, "text": tuple(kept["text"])})


def payload_of(source: Source | None, id_: str, text: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a document's points: in an adopted collection all that the user's point has."""
    if source is None:
        return {"id": id_, "text": text, "metadata": dict(metadata)}
    told: Sequence[str] = source.text if len(source.text) == 1 and text else ()
    return {**metadata, **dict.fromkeys(told, text)}
