"""How many documents a worker takes at a time: as many as its encoder embeds in a third of a second."""

from __future__ import annotations

UNIT_SECONDS = 0.35
LEAST, MOST = 32, 2048
_GROWTH = 4  # at a time: the first units are small, and say little


class Pace:
    """Follows the speed of an encoder.

    Parameters
    ----------
    batch : int or None
        Texts that are given to the encoder at a time; as many as are claimed at a time, unless it is said.

    Attributes
    ----------
    load : int
        Documents to claim at a time.
    """

    def __init__(self, batch: int | None) -> None:
        self._batch, self._most = batch, MOST
        self.load = self._whole(LEAST)

    @property
    def unit(self) -> int:
        """Documents to encode at a time."""
        return min(self._batch or MOST, self._most)

    def hold_to(self, batch: int | None, rate: float | None) -> None:
        """Let batches have another size, and no unit more documents than may be embedded in a second."""
        self._batch, self._most = batch, MOST if rate is None else max(1, round(rate))

    def note(self, texts: int, seconds: float) -> None:
        """Take what some texts have cost into account."""
        if texts:
            wanted = UNIT_SECONDS * texts / max(seconds, 1e-6)
            self.load = self._whole(int(min(MOST, _GROWTH * self.load, max(LEAST, wanted))))

    def _whole(self, documents: int) -> int:
        """Return the number that makes whole batches."""
        return documents if self._batch is None else -(-documents // self._batch) * self._batch
