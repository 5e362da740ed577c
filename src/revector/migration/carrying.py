"""Documents whose text is gone: their vectors are carried into the new space by the map between the two.

No model embeds them again, so that their jobs fail, and a cut-over without them has to be allowed. The vectors that
they have in the old generation were made of a text that nobody has any more. What is carried is stored under a mark in
place of a hash: it counts as stale, is no twin of another text, and gives way as soon as there is a text again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from revector.backends.contracts import Backend, Generation
from revector.errors import InvalidArgumentError, NumericalError, StoreError
from revector.mapping import SpaceMap, load_map
from revector.migration.filling.bridge import Fit

DOCUMENTS_A_SLICE = 1_000

_log = logging.getLogger(__name__)


def carry_over(backend: Backend, source: Generation, target: Generation, fit: Fit) -> int:
    """Give documents without a text, and without a vector in the new generation, their old one as the map has it.

    Called outside of transactions, as often as one likes.

    Parameters
    ----------
    backend : Backend
    source, target : Generation
        The old generation and the new one.
    fit : callable
        Fits the map, where there is none yet.

    Returns
    -------
    int
        How many documents without a text have a vector in the new generation by now.
    """
    found, left = 0, []
    for hashes in _without_text(backend, target):
        known = backend.generations.vectors(target.id, list(hashes))[0].tolist()
        found += len(known)
        left.append({key: hashes[key] for key in hashes.keys() - known})
    space_map = _map(backend, source, target, fit) if any(left) else None
    if space_map is None:
        return found
    return found + sum(_carry(backend, source, target, space_map, hashes) for hashes in left if hashes)


def _without_text(backend: Backend, target: Generation) -> Iterator[dict[int, str]]:
    """Yield hashes by key of documents that failed, for they have no text."""
    failed = [job.document_key for job in backend.ledger.jobs.failures(target.id)]
    for start in range(0, len(failed), DOCUMENTS_A_SLICE):
        texts = backend.documents.texts(failed[start : start + DOCUMENTS_A_SLICE], target.space.template)
        if empty := {key: hash_ for key, (hash_, text) in texts.items() if not text.strip()}:
            yield empty


def _map(backend: Backend, source: Generation, target: Generation, fit: Fit) -> SpaceMap | None:
    """Return the map, fitted now if there is none; ``None`` where that is not possible."""
    spaces = source.space.fingerprint, target.space.fingerprint
    blob = backend.generations.load_map(*spaces)
    if blob is None:
        try:
            fit(backend, source.id, target.id)
        except (NumericalError, InvalidArgumentError, StoreError) as error:
            _log.warning("documents without a text are not carried over, for there is no map: %s", error)
        blob = backend.generations.load_map(*spaces)
    return None if blob is None else load_map(blob)


def _carry(
    backend: Backend, source: Generation, target: Generation, space_map: SpaceMap, hashes: dict[int, str]
) -> int:
    keys, vectors = backend.generations.vectors(source.id, list(hashes))
    if not len(keys):
        return 0
    carried = np.asarray(space_map.transform(vectors, space=source.space), np.float32)
    of_keys = [hashes[key] for key in keys.tolist()]
    size = backend.generations.rows_at_once(target.id)
    parts = [slice(start, start + size) for start in range(0, len(keys), size)]
    put = backend.generations.put
    return sum(put(target.id, keys[part], of_keys[part], carried[part], mapped=True) for part in parts)
