"""Landing: the one place where vectors are written and the jobs that asked for them are settled.

Vectors come before the ledger. Where both commit together, that makes no difference; where they do not, whoever dies in
between leaves a job whose vector exists, which costs a look, and never a job that is done without its vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Document, Keys
from revector.encoders.once import Vector
from revector.ledger.jobs import Claim, JobRequest
from revector.migration.priorities import PRIORITY_UPDATED

LATER_SECONDS = 1.0
"""After this time it is tried again to store what a store has left for later."""


@dataclass(frozen=True)
class Rows:
    """Vectors on their way to their documents.

    Attributes
    ----------
    keys : ndarray of int64, shape (n,)
        Of the documents.
    hashes : list of str, length n
        Content hashes of the texts that were embedded.
    vectors : ndarray of float32, shape (n, dimension)
    """

    keys: NDArray[np.int64]
    hashes: list[str]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.hashes)

    def parts(self, size: int) -> Iterator[Rows]:
        """Yield them in parts of at most so many."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Rows(self.keys[part], self.hashes[part], self.vectors[part])

    @classmethod
    def of(cls, keys: Keys, hashes: Sequence[str], vectors: Mapping[str, Vector]) -> Rows:
        """Return the rows of those documents for whose content hash there is a vector."""
        places = [place for place, hash_ in enumerate(hashes) if hash_ in vectors]
        taken = [hashes[place] for place in places]
        rows = [vectors[hash_] for hash_ in taken]
        matrix = np.concatenate(rows).reshape(len(rows), -1) if rows else np.empty((0, 0), dtype=np.float32)
        return cls(np.asarray(keys, dtype=np.int64)[places], taken, matrix)


def land(
    backend: Backend, generation: int, rows: Rows, *, failed: Mapping[Claim, Exception] | None = None, owner: str = ""
) -> int:
    """Store vectors where their documents still have the text that was embedded, and settle the jobs for these texts.

    Parameters
    ----------
    backend : Backend
        Where to.
    generation : int
        Where the vectors belong.
    rows : Rows
        What was embedded.
    failed : mapping of Claim to Exception, optional
        What could not be embedded, and why.
    owner : str
        Who holds the claims, of what failed and of what could not be stored now.

    Returns
    -------
    int
        How many vectors landed.
    """
    landed = 0
    with backend.transaction():
        if len(rows):
            landed = backend.generations.put(generation, rows.keys, rows.hashes, rows.vectors)
            hashes = dict(zip(rows.keys.tolist(), rows.hashes, strict=True))
            if landed < len(hashes):
                _give_back(backend, generation, owner, hashes)
            backend.ledger.jobs.complete(generation, hashes)
            if not backend.capabilities.conditional_upsert:
                _ask_for_overwritten(backend, generation, rows.keys)
        for claim, error in (failed or {}).items():
            backend.ledger.jobs.fail(claim, owner, str(error))
    return landed


def _give_back(backend: Backend, generation: int, owner: str, hashes: dict[int, str]) -> None:
    """Take those out of some hashes by key that are not stored: a store may leave some for later, as do their jobs."""
    left = [key for key in backend.generations.stale_keys(generation, list(hashes)).tolist() if key in hashes]
    claims = [Claim(generation, key, hashes.pop(key), PRIORITY_UPDATED, 0) for key in left]
    backend.ledger.jobs.postpone(claims, owner, LATER_SECONDS)


def _ask_for_overwritten(backend: Backend, generation: int, keys: Keys) -> None:
    """Ask again where a vector of an older text may just have been put in the place of the present one's.

    Whoever puts it there looks afterwards, so that the last one to write notices.
    """
    hashes = backend.documents.content_hashes(backend.generations.stale_keys(generation, keys))
    backend.ledger.jobs.enqueue(generation, [JobRequest(key, hash_, PRIORITY_UPDATED) for key, hash_ in hashes.items()])


def land_written(backend: Backend, generation: int, written: Sequence[Document], vectors: Mapping[str, Vector]) -> None:
    """Store the vectors of documents that the open transaction wrote; ask for those that are missing.

    Whatever job such a document still had is closed: it was for the text before.

    Parameters
    ----------
    backend : Backend
        Where to.
    generation : int
        Where the vectors belong.
    written : sequence of Document
        As they are stored now.
    vectors : mapping of str to ndarray of float32, shape (dimension,)
        By content hash; the others' are asked for.
    """
    keys, hashes = [document.key for document in written], [document.content_hash for document in written]
    rows = Rows.of(keys, hashes, vectors)
    if len(rows):
        backend.generations.put(generation, rows.keys, rows.hashes, rows.vectors)
    stale = set(backend.generations.stale_keys(generation, keys).tolist())
    missing = [JobRequest(d.key, d.content_hash, PRIORITY_UPDATED) for d in written if d.key in stale]
    backend.ledger.jobs.enqueue(generation, missing)
    backend.ledger.jobs.settle(generation, [d.key for d in written if d.key not in stale])
