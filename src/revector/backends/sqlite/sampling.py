"""Keys at random from a table of any size, and lists of keys as one parameter of a statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

_LEAST_DENSITY = 1 / 16
_HIGHEST_KEY = "SELECT coalesce(max(key), 0) FROM documents"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Population(NamedTuple):
    """The statements that count the keys to draw from, list them, and find those of a list (``:keys``)."""

    size: str
    keys: str
    among: str


def drawn(
    connection: Connection, population: Population, n: int, seed: int, parameters: Mapping[str, Any] = _NOTHING
) -> NDArray[np.int64]:
    """Return `n` keys at random, or all if they are fewer, in ascending order.

    Keys are guessed, and kept where they exist. Where few of the keys below the highest one do, the existing ones are
    gone through in an order that is as good as random, which takes as long as counting them, and no memory either.
    """
    rng = np.random.default_rng(seed)
    count, highest = (_number(connection, of, parameters) for of in (population.size, _HIGHEST_KEY))
    if count <= 4 * n:
        keys = _keys(connection, population.keys, parameters)
        return np.sort(rng.choice(np.sort(keys), size=min(n, len(keys)), replace=False))
    if count < _LEAST_DENSITY * highest:
        return np.sort(_keys(connection, f"{population.keys} {_shuffled(rng)} LIMIT {n}", parameters))
    found = np.empty(0, dtype=np.int64)
    while len(found) < n:
        guesses = np.unique(rng.integers(1, highest + 1, size=n * highest // count + 16))
        more = _keys(connection, population.among, {**parameters, "keys": as_json(guesses)})
        found = np.unique(np.concatenate([found, more]))
    return np.sort(rng.choice(found, size=n, replace=False))


def as_json(values: Sequence[Any] | NDArray[Any]) -> str:
    """Return a list as JSON, to pass any number of values as one parameter."""
    return json.dumps(values.tolist() if isinstance(values, np.ndarray) else [_plain(value) for value in values])


def _shuffled(rng: np.random.Generator) -> str:
    """Order by a permutation of the residues modulo a prime, products of which fit into 64 bits."""
    factor, start = rng.integers(1 << 20, 1 << 30, size=2).tolist()
    return f"ORDER BY (key % 2147483647 * {factor} + {start}) % 2147483647"


def _number(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> int:
    return int(connection.exec_driver_sql(statement, dict(parameters)).scalar_one())


def _keys(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.fromiter(connection.exec_driver_sql(statement, dict(parameters)).scalars(), dtype=np.int64)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
