"""A cut-over that is ready, and waits for somebody's word: a file that is taken away, a time, a program."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from revector._arguments import file_path, shown
from revector.backends.contracts import Backend
from revector.errors import InvalidArgumentError
from revector.ledger.owners import new_owner
from revector.ledger.state import Phase, require_transition
from revector.migration.programs import call, is_executable
from revector.migration.signs import WAITING, WorkerSign, say_worker, unsay_worker

LOOK_EVERY_SECONDS = 2.0

Postponement: TypeAlias = "Callable[[], str]"
"""Says why a cut-over is put off; nothing once it may be made."""


def postponement(until: Any) -> Postponement:
    """Return what puts a cut-over off.

    Parameters
    ----------
    until : str, Path, datetime or callable
        A time in ISO 8601 (local unless it says otherwise); an executable, which is run every other second until its
        exit code is 0; any other path, for as long as there is something; or a function as `Postponement` says.

    Raises
    ------
    InvalidArgumentError
        It is something else.
    """
    if callable(until):
        return until  # type: ignore[no-any-return]
    if isinstance(until, datetime):
        return lambda: _until_time(until)
    if not isinstance(until, (str, os.PathLike)) or not os.fspath(until):
        raise InvalidArgumentError(f"postpone_until is {shown(until)}, expected a path, a time or a function")
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        path = file_path(until, "postpone_until")
    else:
        return lambda: _until_time(moment)
    return lambda: _until_passes(path) if is_executable(path) else _until_gone(path)


def wait_while(
    put_off: Postponement, backend: Backend, migration_id: int, generation: int, meanwhile: Callable[[], object]
) -> bool:
    """Wait for as long as a cut-over is put off, and do something meanwhile; tell whether it was.

    `status` says why. Others may take another step: then it ends.

    Raises
    ------
    IllegalTransitionError
        Somebody else did.
    """
    owner, waited = new_owner(), False
    try:
        while why := put_off():
            require_transition(backend.ledger.record(migration_id).phase, Phase.SERVING)
            if not waited:
                backend.ledger.note(migration_id, "postpone", {"why": why})
            waited, now = True, time.time()
            say_worker(backend, WorkerSign(owner, now, now, generation, WAITING, f"waits: the cut-over, {why}", None))
            meanwhile()
            time.sleep(LOOK_EVERY_SECONDS)
    finally:
        if waited:
            unsay_worker(backend, owner)
    return waited


def _until_time(moment: datetime) -> str:
    return f"until {moment:%Y-%m-%d %H:%M}" if datetime.now(moment.tzinfo) < moment else ""


def _until_gone(path: Path) -> str:
    return f"while {path} exists" if path.exists() else ""


def _until_passes(path: Path) -> str:
    code, output = call(path, {})
    return f"until {path} ends with 0; it ended with {code}{': ' if output else ''}{output}" if code else ""
