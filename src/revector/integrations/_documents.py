"""What the frameworks ask of documents beyond what a collection does: ids for those without one, lenient deletions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from revector.collection import Collection
from revector.errors import UnknownDocumentError

__all__ = ["delete_known", "named"]


def named(ids: Iterable[str | None]) -> list[str]:
    """Return ids, a new one for each that is missing."""
    return [str(uuid.uuid4()) if id_ is None else id_ for id_ in ids]


def delete_known(collection: Collection, ids: Iterable[str]) -> int:
    """Delete those of some documents that exist, and return how many those were."""
    wanted = list(dict.fromkeys(ids))
    while True:
        try:
            collection.delete(wanted)
        except UnknownDocumentError as error:
            unknown = set(error.ids)
            wanted = [id_ for id_ in wanted if id_ not in unknown]
            continue
        return len(wanted)
