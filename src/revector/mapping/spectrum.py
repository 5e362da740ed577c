"""What singular values say about a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spectrum:
    """Shape of a decreasing sequence of singular values.

    Parameters
    ----------
    effective_rank : float
        Exponential of their entropy (O. Roy and M. Vetterli, "The effective rank", EUSIPCO 2007).
    condition : float
        Largest over smallest; infinite if rank-deficient.
    rank : int
        How many are more than float32 rounding.
    """

    effective_rank: float
    condition: float
    rank: int

    @classmethod
    def of(cls, values: NDArray[np.float64], dimension: int) -> Spectrum:
        """Describe singular values, largest first, of a matrix whose larger side is `dimension`."""
        shares = values[values > 0] / values.sum()
        rank = int(np.sum(values > dimension * np.finfo(np.float32).eps * values[0]))
        condition = float(values[0] / values[-1]) if rank == len(values) else float("inf")
        return cls(float(np.exp(-np.sum(shares * np.log(shares)))), condition, rank)
