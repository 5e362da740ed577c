"""How a command ends: its exit code, a message for people on stderr, and with ``--json`` one document on stdout."""

from __future__ import annotations

import json
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import typer
from typer.core import TyperGroup

import revector.errors
from revector._secrets import HIDDEN, Secret
from revector.cli.config import Settings, load_settings
from revector.cli.printing import complain, print_json, strict, taken_answer
from revector.cli.wording import as_typed, fields_as_typed
from revector.errors import (
    GateRefusedError,
    InvalidArgumentError,
    LedgerConflictError,
    MigrationError,
    MissingExtraError,
    NoCollectionError,
    RevectorError,
)

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_INTERRUPTED = 130

UsageError: Any = typer.BadParameter.__base__  # of click, or of typer's own copy of it

_SECRET_OPTION = re.compile(r"pass(word|wd)?|pwd|secret|token|.*key", re.IGNORECASE)


class CommandError(InvalidArgumentError):
    """Something that a command cannot do, and the commands that help."""

    def __init__(self, message: str, *next_steps: str) -> None:
        super().__init__(message)
        self._next_steps = next_steps


class Ending:
    """Says how a command ended.

    Parameters
    ----------
    arguments : sequence of str
        What was typed.

    Attributes
    ----------
    collection : str or None
        The collection of the command, once that is known.
    settings : Settings
        What was not typed.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        own = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
        self._as_json = "--json" in own
        self._secrets = [secret for argument in arguments for secret in _secrets_of(argument)]
        self.collection: str | None = None
        self.settings = Settings()

    def configured(self, settings: Settings) -> None:
        """Take what was not typed, whose passwords are not repeated either."""
        self.settings = settings
        for values in settings.defaults.values():
            for value in values.values():
                words = value if isinstance(value, list) else [value]
                self._secrets += [secret for word in words if isinstance(word, str) for secret in _secrets_of(word)]

    def done(self, code: int) -> int:
        """Print the answer of a command that came to its end."""
        answer = taken_answer()
        if code == EXIT_INTERRUPTED:
            return self.interrupted()
        if self._as_json and answer:
            print_json(_dumped(answer[0]))
        return code

    def interrupted(self) -> int:
        """Say that somebody pressed Ctrl-C."""
        self._tell("KeyboardInterrupt", "interrupted", {}, [])
        return EXIT_INTERRUPTED

    def misused(self, error: Any) -> int:
        """Say how the command is used."""
        context = error.ctx
        help_ = f"{context.command_path if context else 'revector'} --help"
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            complain(error.format_message())
            self._document("UsageError", "no command was given", {}, [help_])
            return EXIT_USAGE
        if context is not None:
            complain(self._hidden(context.get_usage()))
        complain(f"Try '{help_}' for help.\n")
        self._tell("UsageError", error.format_message(), {}, [help_])
        return EXIT_USAGE

    def failed(self, error: Exception) -> int:
        """Say what went wrong: in a line where that was foreseen, with a traceback where it was not."""
        if not isinstance(error, (RevectorError, ImportError, OSError)):
            complain(self._hidden(traceback.format_exc()))
        known = fields_as_typed(error.fields) if isinstance(error, RevectorError) else {}
        steps = _next_steps(error, self.collection)
        self._tell(_type_of(error), _message(error, steps), known, steps)
        return EXIT_REFUSED if isinstance(error, GateRefusedError) else EXIT_ERROR

    def _tell(self, type_: str, message: str, known: dict[str, Any], steps: Sequence[str]) -> None:
        complain(f"revector: {self._hidden(message)}")
        self._document(type_, message, known, steps)

    def _document(self, type_: str, message: str, known: dict[str, Any], steps: Sequence[str]) -> None:
        taken_answer()
        if self._as_json:
            error = {**known, "type": type_, "message": message}
            print_json(self._hidden(_dumped({"error": error, "next_steps": list(steps)})))

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
            if secret.isascii() and secret.isprintable():
                text = Secret(secret, name="a secret").hide_in(text)
        return text


class CommandGroup(TyperGroup):
    """Commands that end as `Ending` says."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **extra: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        arguments = sys.argv[1:] if args is None else list(args)
        ending = Ending(arguments)
        try:
            extra.update(standalone_mode=False, obj=ending)
            code = ending.done(super().main(arguments, prog_name or "revector", **extra) or 0)
        except UsageError as error:
            code = ending.misused(error)
        except (KeyboardInterrupt, typer.Abort):
            code = ending.interrupted()
        except Exception as error:
            code = ending.failed(error)
        sys.exit(code)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name, and give it the defaults that were not typed."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is None or ctx.resilient_parsing or "--help" in rest:
            return name, command, rest
        settings = load_settings(ctx.params.get("config"), self.commands)
        if isinstance(ctx.obj, Ending):
            ctx.obj.configured(settings)
        ctx.default_map = {known: dict(values) for known, values in settings.defaults.items()}
        return name, command, _with_collection(command, ctx, rest, settings.defaults[str(name)].get("collection"))


def shell(word: str) -> str:
    """Return a file's name as it is typed: quoted, and never taken for an option."""
    return shlex.quote(f"./{word}" if word.startswith("-") else word)


def _with_collection(command: Any, ctx: Any, args: list[str], collection: str | None) -> list[str]:
    """Return the arguments of a command with the default collection before them, where it was left out.

    That is where there is no argument at all, or one is lacking that has to be there.
    """
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if collection is None or not arguments or arguments[0].name != "collection":
        return args
    parser = command.make_parser(ctx)
    parser.allow_interspersed_args = True
    try:
        given, _, _ = parser.parse_args(list(args))
    except UsageError:
        return args  # the command says what is wrong
    typed = [isinstance(given.get(each.name), str) for each in arguments]
    lacks = any(each.required and not there for each, there in zip(arguments, typed, strict=True))
    return [collection, *args] if lacks or not any(typed) else args


def _next_steps(error: Exception, collection: str | None) -> Sequence[str]:
    place = "COLLECTION" if collection is None else shell(collection)
    if isinstance(error, CommandError):
        return error._next_steps
    if isinstance(error, NoCollectionError):
        return [f"revector init {place} --model MODEL"]
    if isinstance(error, LedgerConflictError):
        return [f"revector {step} {place}" for step in error.steps]
    if isinstance(error, MissingExtraError):
        return [f"pip install 'revector[{error.extra}]'"]
    return []


def _message(error: Exception, steps: Sequence[str]) -> str:
    if isinstance(error, NoCollectionError):
        return f"there is no collection at {error.path}; make one with: {steps[0]}"
    said = str(error) or type(error).__name__
    return as_typed(said) if isinstance(error, MigrationError) else said


def _type_of(error: Exception) -> str:
    """Return the name of an error's class, of ours the public one."""
    public = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == revector.errors.__name__)
    return next(public, type(error).__name__)


def _dumped(document: Any) -> str:
    return json.dumps(strict(document), ensure_ascii=False, allow_nan=False)


def _secrets_of(argument: str) -> list[str]:
    """Return what of an argument is not repeated: user and password of a URL, and the passwords among its options."""
    url, _, query = argument.partition("?")
    user, at, _ = argument.partition("://")[2].rpartition("@") if "://" in argument else url.rpartition("@")
    hidden = [user] if at and ":" in user else []
    return [*hidden, *(value for name, value in parse_qsl(query) if _SECRET_OPTION.fullmatch(name) and len(value) > 3)]
