"""What a local index asks of the generations whose vectors it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Generations

DELETIONS_KEPT = 4_096
"""Whoever lacks no more deletions of a generation than these can follow it, whatever was given back."""


@dataclass(frozen=True)
class VectorChanges:
    """What happened to a generation after a point: vectors written (their present value) and keys deleted.

    `seq` is the point to ask from next time.
    """

    seq: int
    keys: NDArray[np.int64]
    vectors: NDArray[np.float32]
    deleted: NDArray[np.int64]


class VectorFeed(Generations, Protocol):
    """Generations that tell what happened to them.

    Their points are exact, and grow: whoever sees one sees all that was written and deleted up to it, and nothing else.
    """

    def last_seq(self) -> int:
        """Return the present point of the counter that orders all changes of vectors; 0 while there was none."""
        ...

    def changes_since(self, generation: int, seq: int) -> VectorChanges:
        """Return what happened to a generation after point `seq`, a deletion of one of its vectors included.

        From 0 a generation can always be followed: whoever has nothing of it needs to hear of no deletions. To read a
        large one anew, note `last_seq` first, `scan`, then apply the changes since that point.

        Raises
        ------
        PointTooOldError
            Deletions after that point were given back, more than `DELETIONS_KEPT`.
        """
        ...
