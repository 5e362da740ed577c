"""Programs of the operator's that run around the steps of a migration, and can stop one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from revector._arguments import file_path
from revector.errors import HookFailedError, InvalidArgumentError
from revector.migration.hands import Hands
from revector.migration.programs import call, environment, is_executable

STEPS = ("start", "run", "verify", "cutover", "rollback", "retire")
_NAMES = {f"{when}-{step}" for when in ("before", "after") for step in STEPS}

_log = logging.getLogger(__name__)


class Hooks:
    """A folder of executables: ``before-cutover``, ``after-cutover``, and so on for each of `STEPS`.

    Each gets what it needs to know in environment variables that begin with ``REVECTOR_``.

    Parameters
    ----------
    folder : str or Path
        Where they are; one that is missing does nothing.

    Raises
    ------
    InvalidArgumentError
        It is not a folder, or holds a hook that would never run: of another name, or not executable.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = file_path(folder, "folder")
        if not self._folder.is_dir():
            raise InvalidArgumentError(f"{self._folder} is not a folder; give the one that holds the hooks")
        for path in sorted(self._folder.glob("before-*")) + sorted(self._folder.glob("after-*")):
            if path.name not in _NAMES:
                raise InvalidArgumentError(f"{path} is not the hook of a step; there are {', '.join(sorted(_NAMES))}")
            if not is_executable(path):
                raise InvalidArgumentError(f"{path} cannot be executed; chmod +x it, or take it away")

    @contextmanager
    def around(self, step: str, migration: Hands) -> Iterator[None]:
        """Run the hook before a step, the step in this block, and the hook after it.

        A hook after the step that fails is an event and a warning: the step is done.

        Raises
        ------
        HookFailedError
            The hook before the step ended with another exit code than 0; the block is not entered.
        """
        self._run(f"before-{step}", step, migration)
        yield
        try:
            self._run(f"after-{step}", step, migration)
        except HookFailedError as error:
            _log.warning("%s", error)

    def _run(self, name: str, step: str, migration: Hands) -> None:
        path = self._folder / name
        if path.exists():
            code, output = call(path, environment(migration.place, migration.record, step))
            migration.note("hook", {"hook": name, "code": code, "output": output})
            if code:
                raise HookFailedError(step, hook=str(path), code=code, output=output)
