"""Models with an announced end: those that are known here, and those that a project names in its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from revector._arguments import shown, strings
from revector._toml import parse_toml
from revector.errors import InvalidArgumentError

__all__ = ["ModelEnd", "end_of", "known_ends", "read_ends"]

_FIELDS = ("models", "on", "instead", "source")


@dataclass(frozen=True)
class ModelEnd:
    """Some models that are, or will be, switched off.

    Parameters
    ----------
    models : tuple of str
        Their names, as spaces have them (`EmbeddingSpace.model`).
    on : date
        From this day on they do not answer.
    instead : str
        What their provider recommends.
    source : str
        Where it was announced.
    """

    models: tuple[str, ...]
    on: date
    instead: str = ""
    source: str = ""


def known_ends() -> tuple[ModelEnd, ...]:
    """Return the ends that are known here; raise `MissingExtraError` as `parse_toml` does."""
    table = parse_toml(files("revector.encoders").joinpath("ends.toml").read_text("utf-8"), "ends.toml")
    return read_ends(table["ends"], "ends.toml")


def read_ends(tables: Any, where: str) -> tuple[ModelEnd, ...]:
    """Read ``[[ends]]`` tables.

    Raises
    ------
    InvalidArgumentError
        They are something else; the message says what was found in which file.
    """
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise InvalidArgumentError(f"{where}: ends is {shown(tables)}, expected [[ends]] tables")
    return tuple(_read(table, where) for table in tables)


def _read(table: Mapping[str, Any], where: str) -> ModelEnd:
    if unknown := table.keys() - set(_FIELDS):
        raise InvalidArgumentError(f"{where}: [[ends]] has no {shown(min(unknown))}; there are {', '.join(_FIELDS)}")
    models, on = strings(table.get("models", ()), f"{where}: models of [[ends]]"), table.get("on")
    if not models or isinstance(on, datetime) or not isinstance(on, date):
        raise InvalidArgumentError(f'{where}: [[ends]] needs models = ["NAME"] and on = 2027-01-31, got {shown(table)}')
    said = {name: table.get(name, "") for name in ("instead", "source")}
    if wrong := [name for name, text in said.items() if not isinstance(text, str)]:
        raise InvalidArgumentError(f"{where}: {wrong[0]} of [[ends]] is {shown(said[wrong[0]])}, expected a string")
    return ModelEnd(tuple(models), on, **said)


def end_of(model: str, ends: Iterable[ModelEnd]) -> ModelEnd | None:
    """Return the end of a model by its name; of several, the last one counts. Case and a folder before it do not."""
    name = model.rpartition("/")[2].casefold()
    found = [end for end in ends if name in {each.casefold() for each in end.models}]
    return found[-1] if found else None
