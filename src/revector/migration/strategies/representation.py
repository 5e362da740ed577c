"""Representation: the same vectors in fewer numbers, or asked by another model: nothing is embedded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from revector.migration.strategies.base import Facts, Plain, Work


@dataclass(frozen=True)
class Representation(Plain):
    """Fill the new generation from the vectors of the old one, as fast as the store reads and writes.

    The strategy of a migration to a space that derives from the present one (`revector.Shortened`,
    `revector.Asymmetric`), unless another one is given. The old generation answers alone until the cut-over: it is
    complete, and the better one.
    """

    NAME: ClassVar[str] = "representation"

    def fills(self, facts: Facts) -> Work:
        """Let workers take vectors from the old generation, and embed only what lacks one there."""
        return Work(derived=True)
