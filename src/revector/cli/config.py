"""Defaults of options: from environment variables, and from ``revector.toml``. What is typed comes before both.

At the top of the file, a key is the default of every command that has an option of that name (or the COLLECTION); in a
table with a command's name, it is that of this command::

    collection = "docs.db"
    encoder = ["/models/minilm"]

    [run]
    nice = 15

    [[ends]]                      # models with an announced end, for doctor
    models = ["our-embedder-v1"]
    on = 2027-03-31

In the environment, these are ``REVECTOR_COLLECTION``, ``REVECTOR_ENCODER`` and ``REVECTOR_RUN_NICE``. Yes and no to
what cannot be undone are always typed. Values are shown in no message: one may hold a password.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from revector._arguments import file_path, shown
from revector._toml import parse_toml
from revector.encoders.ends import ModelEnd, read_ends
from revector.errors import InvalidArgumentError

FILE = "revector.toml"
PREFIX = "REVECTOR_"
_TYPED = frozenset({"yes", "force", "json", "help"})
"""Options that have no default but their own."""
_FOR_ONE_COMMAND = "model"
"""What it is the model of depends on the command, so that it has no default for all of them."""
_ENDS = "ends"
_MOST_BYTES = 1 << 20

Values = Mapping[str, Any]
Commands = Mapping[str, Any]
"""The commands of the command line, as typer has them, by name."""


@dataclass(frozen=True)
class Settings:
    """What is not typed.

    Attributes
    ----------
    defaults : mapping
        By command, the values of its options and arguments by the names of their parameters.
    ends : tuple of ModelEnd
        Models with an announced end.
    """

    defaults: Mapping[str, Values] = field(default_factory=dict)
    ends: tuple[ModelEnd, ...] = ()


def load_settings(path: Path | None, commands: Commands) -> Settings:
    """Read what is not typed, of the environment and of a file.

    Parameters
    ----------
    path : Path or None
        The file; by default ``REVECTOR_CONFIG``, or ``revector.toml`` where the command is typed, if it is there.
    commands : mapping
        All commands by name.

    Raises
    ------
    InvalidArgumentError
        The file cannot be read, is not TOML, or has a key that is not known.
    """
    wanted = path or (Path(named) if (named := os.environ.get(f"{PREFIX}CONFIG")) else None)
    file = Path(FILE) if wanted is None else wanted
    said = _read(file) if wanted is not None or file.is_file() else {}
    ends = read_ends(said.pop(_ENDS, []), str(file))
    shared = {key: value for key, value in said.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in said.items() if isinstance(value, dict)}
    _require_known(shared, tables, commands, str(file))
    defaults = {}
    for name, command in commands.items():
        own = tables.get(_key(name), {})
        parameters = parameters_of(command)
        found = {key: _said(name, key, own, shared) for key in parameters}
        defaults[name] = {
            parameters[key].name: _value(parameters[key], value) for key, value in found.items() if value is not None
        }
    return Settings(defaults, ends)


def parameters_of(command: Any) -> dict[str, Any]:
    """Return the parameters of a command that may have a default from elsewhere, by the names that they have there."""
    named = {_name(parameter): parameter for parameter in command.params}
    return {name: parameter for name, parameter in named.items() if name not in _TYPED}


def _name(parameter: Any) -> str:
    """Return the longest name of an option, as it is typed, or that of an argument."""
    typed = max(parameter.opts, key=len) if parameter.param_type_name == "option" else str(parameter.name)
    return typed.lstrip("-").replace("-", "_")


def _said(command: str, key: str, own: Values, shared: Values) -> Any:
    """Return the default of an option: the environment comes before the file, the command before all; else ``None``."""
    variables = [f"{PREFIX}{command}_{key}", *([f"{PREFIX}{key}"] if key != _FOR_ONE_COMMAND else [])]
    for variable in variables:
        if value := os.environ.get(_key(variable).upper()):
            return value
    return own.get(key, shared.get(key))


def _value(parameter: Any, value: Any) -> Any:
    """Return a default as the parameter takes it: several words are a list where it may be given several times."""
    if not getattr(parameter, "multiple", False):
        return value
    return shlex.split(value) if isinstance(value, str) else value


def _read(file: Path) -> dict[str, Any]:
    file = file_path(file, "--config")
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise InvalidArgumentError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{file} is not UTF-8; save it as UTF-8") from None
    if len(content) > _MOST_BYTES:
        raise InvalidArgumentError(f"{file} is larger than {_MOST_BYTES >> 20} MB; expected a few options")
    found = parse_toml(text, str(file))
    return {_key(key): _keys(value) if isinstance(value, dict) else value for key, value in found.items()}


def _keys(table: Mapping[str, Any]) -> dict[str, Any]:
    return {_key(key): value for key, value in table.items()}


def _key(key: str) -> str:
    return key.replace("-", "_")


def _require_known(shared: Values, tables: Values, commands: Commands, where: str) -> None:
    own = {_key(name): parameters_of(command) for name, command in commands.items()}
    options = {name for parameters in own.values() for name in parameters} - {_FOR_ONE_COMMAND}
    for key, value in shared.items():
        _require(key, options, where)
        _require_plain(value, f"{where}: {key}")
    for key, table in tables.items():
        _require(key, {*own, _ENDS}, where)
        for option, value in table.items():
            _require(option, own[key], f"{where}: [{key}]")
            _require_plain(value, f"{where}: {option} of [{key}]")


def _require(key: str, known: Iterable[str], where: str) -> None:
    if key in known:
        return
    if key in _TYPED:
        raise InvalidArgumentError(f"{where} has {key!r}, which has to be typed: take it out")
    near = get_close_matches(key, sorted(known), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
    raise InvalidArgumentError(f"{where} has no key {shown(key)}; {hint}")


def _require_plain(value: Any, where: str) -> None:
    values = value if isinstance(value, list) else [value]
    if wrong := [each for each in values if not isinstance(each, (str, int, float))]:
        raise InvalidArgumentError(
            f"{where} holds {type(wrong[0]).__name__}, expected a string, a number, true or false, or a list of them"
        )
