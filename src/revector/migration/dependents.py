"""What hangs on the vectors of a collection: caches, centroids, saved queries, brought up to date when others serve.

A dependent is registered under a name, with what purges, maps or recomputes it. The very transaction that moves the
alias notes that all of them are due; then they are run. Whoever is cut off in between leaves them due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from revector._arguments import file_path, function, shown, valid_unicode
from revector.backends.contracts import Backend
from revector.errors import HookFailedError, InvalidArgumentError
from revector.ledger.owners import new_owner
from revector.ledger.records import MigrationRecord
from revector.migration.programs import call, environment, is_executable
from revector.spaces import EmbeddingSpace

READY, DUE, DONE, FAILED = "ready", "due", "done", "failed"
_PREFIX = "dependent:"
_LEASE, _LEASE_SECONDS = "dependents", 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moved:
    """What a dependent's function is told: readers see other vectors now.

    Attributes
    ----------
    step : str
        ``"cutover"`` or ``"rollback"``.
    before, after : EmbeddingSpace
        What served, and what serves.
    generation_before, generation_after : int
    """

    step: str
    before: EmbeddingSpace
    after: EmbeddingSpace
    generation_before: int
    generation_after: int


Call: TypeAlias = "Callable[[Moved], object]"


@dataclass(frozen=True)
class Dependent:
    """Something that is made of a collection's vectors.

    Attributes
    ----------
    name : str
    kind : str
        ``"sql"``, ``"hook"`` or ``"call"``.
    action : str
        The statement, the path of the executable, or the name of the function, which the process that gave it has.
    state : str
        ``"ready"`` until the first step, then ``"due"``, ``"done"`` or ``"failed"``.
    step : str
        Which it is, or was, due for.
    error : str
        Why it failed.
    at : float
        Since when, in seconds since the epoch.
    """

    name: str
    kind: str
    action: str
    state: str = READY
    step: str = ""
    error: str = ""
    at: float = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether it is not up to date with what serves."""
        return self.state in (DUE, FAILED)

    def __str__(self) -> str:
        """Return how it is, in words."""
        state = f"{self.name}: {self.state}{f' for the {self.step}' if self.step else ''}"
        return f"{state}: {self.error}" if self.error else state


def new_dependent(name: Any, *, sql: Any = None, hook: Any = None, call: Any = None) -> Dependent:
    """Return a dependent that is to be registered; see `Collection.depends`."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(f"name is {shown(name)}, expected what the dependent is called")
    given = {kind: value for kind, value in (("sql", sql), ("hook", hook), ("call", call)) if value is not None}
    if len(given) != 1:
        raise InvalidArgumentError(f"{name!r} has {len(given)} of sql, hook and call; give one of them")
    ((kind, value),) = given.items()
    return Dependent(valid_unicode(name, "name"), kind, _CHECKS[kind](value))


def dependents(backend: Backend) -> list[Dependent]:
    """Return what hangs on the vectors of a collection, by name."""
    return [Dependent(name=name, **kept) for name, kept in backend.ledger.notes.under(_PREFIX).items()]


def keep_dependent(backend: Backend, dependent: Dependent) -> None:
    """Write a dependent down, in place of the one of its name."""
    kept = asdict(dependent)
    backend.ledger.notes.keep(_PREFIX + kept.pop("name"), kept)


def forget_dependent(backend: Backend, name: str) -> None:
    """Let go of a dependent; raise `InvalidArgumentError` if there is none of that name."""
    with backend.transaction():
        if backend.ledger.notes.get(_PREFIX + name) is None:
            raise InvalidArgumentError(f"nothing called {shown(name)} hangs on this collection")
        backend.ledger.notes.drop(_PREFIX + name)


def let_be_due(backend: Backend, step: str) -> bool:
    """Note, in the transaction that moves the alias, that all dependents are due; tell whether there are any."""
    found = dependents(backend)
    for dependent in found:
        keep_dependent(backend, replace(dependent, state=DUE, step=step, error="", at=time.time()))
    return bool(found)


def dependent_reasons(backend: Backend) -> list[str]:
    """Return what speaks against the next step: dependents that are not up to date with what serves."""
    return [
        f"what hangs on the vectors is not up to date ({dependent}); repair it, then run_dependents()"
        for dependent in dependents(backend)
        if dependent.is_behind
    ]


def run_due(backend: Backend, record: MigrationRecord, calls: Mapping[str, Call]) -> list[Dependent]:
    """Bring dependents up to date that are not; return what is still not.

    Where another process is about it, nothing happens. What fails is noted, and logged; it does not undo the step.
    """
    waiting = [dependent for dependent in dependents(backend) if dependent.is_behind]
    owner = new_owner()
    if not waiting or not backend.ledger.leases.acquire(_LEASE, owner, _LEASE_SECONDS):
        return waiting
    try:
        return [dependent for each in waiting if (dependent := _run(backend, record, each, calls)).state != DONE]
    finally:
        backend.ledger.leases.release(_LEASE, owner)


def _run(backend: Backend, record: MigrationRecord, dependent: Dependent, calls: Mapping[str, Call]) -> Dependent:
    """Run one dependent, and note how it went."""
    try:
        if dependent.kind == "sql":
            return _execute(backend, record, dependent)
        if dependent.kind == "hook":
            _call_hook(backend, record, dependent)
        elif dependent.name not in calls:
            return dependent  # the process that has its function runs it
        else:
            calls[dependent.name](_moved(backend, record, dependent.step))
    except Exception as error:  # whatever a user's function raises
        _log.warning("%s hangs on the vectors and was not brought up to date: %s", dependent.name, error)
        return _noted(backend, record, replace(dependent, state=FAILED, error=str(error) or type(error).__name__))
    return _noted(backend, record, replace(dependent, state=DONE, error=""))


def _execute(backend: Backend, record: MigrationRecord, dependent: Dependent) -> Dependent:
    """Execute a statement, which commits together with the word that it is done."""
    with backend.transaction():
        backend.execute(dependent.action)
        return _noted(backend, record, replace(dependent, state=DONE, error=""))


def _call_hook(backend: Backend, record: MigrationRecord, dependent: Dependent) -> None:
    told = {**environment(backend.place, record, dependent.step), "REVECTOR_DEPENDENT": dependent.name}
    code, output = call(Path(dependent.action), told)
    if code:
        raise HookFailedError(dependent.step, hook=dependent.action, code=code, output=output)


def _noted(backend: Backend, record: MigrationRecord, dependent: Dependent) -> Dependent:
    now = replace(dependent, at=time.time())
    with backend.transaction():
        keep_dependent(backend, now)
        said = {"name": now.name, "state": now.state, "step": now.step, "error": now.error}
        backend.ledger.note(record.id, "dependent", said)
    return now


def _moved(backend: Backend, record: MigrationRecord, step: str) -> Moved:
    pair = (record.source_generation, record.target_generation or record.source_generation)
    before, after = pair if step == "cutover" else pair[::-1]
    get = backend.generations.get
    return Moved(step, get(before).space, get(after).space, before, after)


def _hook(value: Any) -> str:
    path = file_path(value, "hook").absolute()
    if not is_executable(path):
        raise InvalidArgumentError(f"hook is {shown(str(path))}, expected the path of an executable")
    return str(path)


def _sql(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgumentError(f"sql is {shown(value)}, expected a statement such as 'DELETE FROM cache'")
    return valid_unicode(value, "sql")


def _function_name(value: Any) -> str:
    named = function(value, "call")
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"


_CHECKS: dict[str, Callable[[Any], str]] = {"sql": _sql, "hook": _hook, "call": _function_name}
