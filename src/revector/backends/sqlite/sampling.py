"""Keys at random from a table, and lists of keys as one parameter of a statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from revector.backends.sampling import Population, draw

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def drawn(
    connection: Connection, population: Population, n: int, seed: int, parameters: Mapping[str, Any] = _NOTHING
) -> NDArray[np.int64]:
    """Return `n` keys at random, or all if they are fewer, in ascending order; statements call a list ``:keys``."""

    def ask(statement: str, keys: NDArray[np.int64] | None) -> NDArray[np.int64]:
        found = connection.exec_driver_sql(statement, {**parameters, "keys": keys if keys is None else as_json(keys)})
        return np.fromiter(found.scalars(), dtype=np.int64)

    return draw(ask, population, n, seed)


def as_json(values: Sequence[Any] | NDArray[Any]) -> str:
    """Return a list as JSON, to pass any number of values as one parameter."""
    return json.dumps(values.tolist() if isinstance(values, np.ndarray) else [_plain(value) for value in values])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
