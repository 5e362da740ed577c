"""Keys at random from a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from revector.backends.postgres.binary import KeyArray
from revector.backends.postgres.database import on_one_core
from revector.backends.sampling import Population, draw

__all__ = ["Population", "drawn"]


def drawn(connection: Connection, population: Population, n: int, seed: int) -> NDArray[np.int64]:
    """Return `n` keys at random, or all if they are fewer, in ascending order; statements call a list ``%(keys)s``."""
    driver = on_one_core(connection)

    def ask(statement: str, keys: NDArray[np.int64] | None) -> NDArray[np.int64]:
        parameters = None if keys is None else {"keys": KeyArray(keys)}
        found = driver.execute(statement, parameters)
        return np.fromiter((key for (key,) in found), dtype=np.int64)

    return draw(ask, population, n, seed)
