"""A unit of work: some texts and what is known of them, and what became of them.

Nothing here knows a backend, a ledger, a thread or a clock: a thread, another process or another machine runs the same
function.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from revector.encoders.base import TextEncoder
from revector.encoders.once import Vectors, embed_once
from revector.errors import EncoderError
from revector.migration.landing import Rows


@dataclass(frozen=True)
class Unit:
    """Documents that need a vector of one generation.

    Attributes
    ----------
    generation : int
        Where the vectors belong.
    keys : ndarray of int64, shape (n,)
        Of the documents.
    hashes, texts : list of str, length n
        Content hashes and texts, as they were read.
    known : dict of str to ndarray of float32, shape (dimension,)
        Vectors by content hash of those texts that have been embedded before.
    """

    generation: int
    keys: NDArray[np.int64]
    hashes: list[str]
    texts: list[str]
    known: Vectors

    def part(self, start: int, stop: int) -> Unit:
        """Return the documents from one place to another."""
        hashes = self.hashes[start:stop]
        known = {hash_: self.known[hash_] for hash_ in self.known.keys() & set(hashes)}
        return Unit(self.generation, self.keys[start:stop], hashes, self.texts[start:stop], known)

    def knowing(self, vectors: Iterable[Vectors]) -> Unit:
        """Return the unit with further vectors known, as far as they are of its texts."""
        wanted = set(self.hashes)
        more = {hash_: found[hash_] for found in vectors for hash_ in found.keys() & wanted}
        return replace(self, known={**more, **self.known}) if more else self


@dataclass(frozen=True)
class UnitResult:
    """What became of a unit.

    Attributes
    ----------
    rows : Rows
        Vectors of its documents, known ones included.
    errors : dict of str to EncoderError
        Why a text has none, by content hash.
    stopped : Exception or None
        Why the other documents have neither: the encoder, or its service, did not go on.
    embedded : int
        Texts that were embedded.
    """

    rows: Rows
    errors: dict[str, EncoderError]
    stopped: Exception | None
    embedded: int


def run_unit(encoder: TextEncoder, unit: Unit) -> UnitResult:
    """Embed the texts of a unit, each once, and those whose vectors are known not at all. Nothing is raised."""
    embedded = embed_once(encoder, dict(zip(unit.hashes, unit.texts, strict=True)), unit.known)
    rows = Rows.of(unit.keys, unit.hashes, embedded.vectors)
    return UnitResult(rows, embedded.errors, embedded.stopped, len(embedded.vectors) - len(unit.known))
