"""``/documents``: what is written through a gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from revector._arguments import shown
from revector.backends.arguments import checked_documents, checked_ids
from revector.collection import Collection
from revector.errors import InvalidArgumentError
from revector.gateway.batching import Batcher
from revector.gateway.bodies import known_fields, require_few
from revector.gateway.failures import RequestError
from revector.gateway.limits import Limits

__all__ = ["Writes"]

_FIELDS = ("upsert", "delete")
_OF_A_DOCUMENT = ("id", "text", "metadata")

Write = tuple[list[Any], list[Any]]
"""Documents to insert or change, and ids of those to delete, as they came."""


class Writes:
    """Writes what clients send, each request by itself.

    Parameters
    ----------
    docs : Collection
    limits : Limits
    """

    def __init__(self, docs: Collection, limits: Limits) -> None:
        self._docs, self._limits = docs, limits
        self.batcher: Batcher[object, Write, None] = Batcher(self._write, limits, "write")

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Delete, then insert or change; return how many of each.

        Raises
        ------
        UnknownDocumentError
            One that is to be deleted does not exist; nothing is written.
        RefusedDocumentsError
            The model refuses some; the others are stored.
        """
        fields = known_fields(body, *_FIELDS)
        upserted, deleted = fields.get("upsert", []), fields.get("delete", [])
        for name, listed in (("upsert", upserted), ("delete", deleted)):
            if not isinstance(listed, list):
                raise RequestError(f"{name} is {shown(listed)}, expected a list", param=name)
            require_few(listed, name, self._limits.request_texts)
        if not upserted and not deleted:
            raise RequestError("there is nothing to write; expected 'upsert', documents, or 'delete', ids")
        with self.batcher.room(max(1, len(upserted))):
            await self.batcher.ask(object(), [(upserted, deleted)])  # its own key: no other request is in the call
        return {"upserted": len(upserted), "deleted": len(deleted)}

    def _write(self, _key: object, writes: list[Write]) -> Sequence[None]:
        for upserted, deleted in writes:
            documents, ids = [_document(each, place) for place, each in enumerate(upserted)], checked_ids(deleted)
            columns: Any = [[each.get(name) for each in documents] for name in _OF_A_DOCUMENT]
            checked = checked_documents(*columns) if documents else []
            if both := {each.id for each in checked} & set(ids):
                raise RequestError(f"{shown(min(both))} is to be deleted and to be stored; say one of them")
            if ids:
                self._docs.delete(ids)
            if documents:
                self._docs.upsert(*columns)
        return [None] * len(writes)


def _document(value: Any, place: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"upsert[{place}] is {shown(value)}, expected an object with 'id' and 'text'")
    fields = known_fields(value, *_OF_A_DOCUMENT)
    for name in ("id", "text"):
        if name not in fields:
            raise InvalidArgumentError(f"upsert[{place}] has no {name!r}")
    return fields
