"""What things cost, as a user says it: by numbers, or by a file. Nothing is fetched, and nothing is known beforehand.

A file is JSON or TOML, with the prices of several models if that is wanted::

    currency = "USD"
    machine_hour = 0.40                  # of one machine with one worker

    [models."text-embedding-3-small"]
    per_million_tokens = 0.02            # asked at once
    batch_per_million_tokens = 0.01      # by the batch API
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from revector._arguments import file_path, number, shown, valid_unicode
from revector._toml import parse_toml
from revector.encoders.batching import BATCH_SHARE
from revector.errors import InvalidArgumentError

__all__ = ["Price", "Prices", "read_prices"]

_MOST_BYTES = 1 << 20
_AMOUNTS = ("per_million_tokens", "batch_per_million_tokens", "machine_hour")


@dataclass(frozen=True)
class Price:
    """What something costs, and how it comes about."""

    name: str
    amount: float
    how: str


@dataclass(frozen=True)
class Prices:
    """What things cost; ``None`` where that is not known.

    Parameters
    ----------
    per_million_tokens, batch_per_million_tokens : float, optional
        Of a service, asked at once and by its batch API; half as much if it is not said.
    machine_hour : float, optional
        Of a machine that runs a worker with a model of its own.
    currency : str
        Of all of them, for people.
    """

    per_million_tokens: float | None = None
    batch_per_million_tokens: float | None = None
    machine_hour: float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        for name in _AMOUNTS:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, number(value, name, least=0))
        if not isinstance(self.currency, str):
            raise InvalidArgumentError(f"currency is {shown(self.currency)}, expected str")
        valid_unicode(self.currency, "currency")

    def with_more(self, **given: float | None) -> Prices:
        """Return them with what is given, and not ``None``, in the place of what they say."""
        said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(self, **said)

    def of_tokens(self, tokens: float) -> tuple[Price, ...]:
        """Return what a service takes for so many tokens: asked at once, and by its batch API."""
        if self.per_million_tokens is None and self.batch_per_million_tokens is None:
            return ()
        millions, online, batch = tokens / 1e6, self.per_million_tokens, self.batch_per_million_tokens
        found = []
        if online is not None:
            found.append(Price("online", millions * online, f"{online:g} a million tokens"))
        if batch is None and online is not None:
            how = f"{BATCH_SHARE * online:g} a million tokens, half of it: not said"
            found.append(Price("batch API", millions * BATCH_SHARE * online, how))
        elif batch is not None:
            found.append(Price("batch API", millions * batch, f"{batch:g} a million tokens"))
        return tuple(found)

    def of_machines(self, seconds: float, machines: int) -> tuple[Price, ...]:
        """Return what so many machines cost for a time."""
        if self.machine_hour is None:
            return ()
        hours = machines * seconds / 3600
        return (Price("machines", hours * self.machine_hour, f"{self.machine_hour:g} an hour of a machine"),)

    def shown(self, amount: float) -> str:
        """Return an amount as people read it."""
        figures = f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:.2g}"
        return f"{figures} {self.currency}".rstrip()


def read_prices(path: str | os.PathLike[str], model: str = "") -> Prices:
    """Read prices of a file.

    Parameters
    ----------
    path : str or Path
        JSON or TOML.
    model : str
        Whose prices; those that stand outside of ``models`` are of every model.

    Raises
    ------
    InvalidArgumentError
        There is no such file, or it is not one of prices; the message says what is wrong.
    """
    file = file_path(path)
    said = _parsed(file)
    models = said.pop("models", {})
    if not isinstance(models, Mapping) or not all(isinstance(each, Mapping) for each in models.values()):
        raise InvalidArgumentError(f"{file}: models is {shown(models)}, expected prices under the name of each model")
    known = {field.name for field in fields(Prices)}
    said |= models.get(model, {})
    if unknown := said.keys() - known:
        raise InvalidArgumentError(
            f"{file}: {shown(min(unknown))} is not a price; there are {', '.join(sorted(known))}"
        )
    try:
        return Prices(**said)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{file}: {error}") from error


def _parsed(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{file} cannot be read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise InvalidArgumentError(f"{file} is larger than {_MOST_BYTES >> 20} MB; expected a table of prices")
    try:
        text = content.decode("utf-8-sig")
        found = parse_toml(text, file.name) if file.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{file} is neither JSON nor TOML, by its name: {error}") from error
    if not isinstance(found, dict):
        raise InvalidArgumentError(f"{file} is a JSON {type(found).__name__}, expected an object of prices")
    return found
