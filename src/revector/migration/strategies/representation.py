"""Representation: the same model in fewer numbers, filled from the stored vectors, without the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from revector.migration.strategies.base import Facts, Plain, Work


@dataclass(frozen=True)
class Representation(Plain):
    """Fill the new generation from the vectors of the old one, as fast as the store reads and writes.

    The strategy of a migration to a space that shortens the present one (`revector.Shortened`), unless another one is
    given. The old generation answers alone until the cut-over: it is complete, and the better one.
    """

    NAME: ClassVar[str] = "representation"

    def fills(self, facts: Facts) -> Work:
        """Let workers take vectors from the old generation, and embed only what lacks one there."""
        return Work(derived=True)
