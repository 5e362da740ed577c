"""Letting an adopted collection go: what serves stays, under its alias; the rest of it, and the ledger, are removed."""

from __future__ import annotations

from contextlib import closing, suppress

from revector.backends.beside.backend import BesideBackend
from revector.backends.beside.ledger_file import files_of
from revector.backends.contracts import ALIAS
from revector.backends.contracts.adoption import Released, Tell
from revector.errors import GateRefusedError, InvalidArgumentError, StoreError


def release(backend: BesideBackend, *, allow_missing: bool, in_place: bool, dry_run: bool, tell: Tell) -> Released:
    """Drop the collections that do not serve, then the ledger; whoever was cut off does it again.

    Parameters
    ----------
    backend : BesideBackend
        It is closed.
    allow_missing : bool
        Whether points may be left with a vector of an older text.
    in_place : bool
        Refused where readers follow an alias.
    dry_run : bool
        Change nothing; say what would be done, or raise what would be raised.
    tell : callable
        Is told what happens.

    Raises
    ------
    GateRefusedError
        A migration is under way, or points have no vector of their present text.
    InvalidArgumentError
        It shall be given back in place, and is by its alias.
    StoreError
        The collection was not adopted.
    """
    with closing(backend):
        source, alias = backend.source, backend.generations.alias(ALIAS)
        if source is None or alias is None:
            raise StoreError(f"{backend.url} was not adopted, so that there is nothing to give back")
        if in_place and backend.store.capabilities.aliases:
            raise InvalidArgumentError(f"readers follow the alias {source.alias}, which stays; leave out --in-place")
        missing = backend.generations.count_stale(alias.generation)
        if reasons := _reasons(backend, 0 if allow_missing else missing):
            raise GateRefusedError("release", tuple(reasons))
        serving = backend.collections[alias.generation]
        others = sorted({source.collection, *backend.collections.values()} - {serving} & set(backend.store.names()))
        for name in () if dry_run else others:
            tell(f"dropping {name}")
            backend.store.drop(name)
        given = Released(
            table=serving,
            vectors=backend.store.count(serving),
            indexes=tuple(backend.store.describe(serving)["indexes"]),
            left_out=(),
            missing=missing,
            notices=(*_named(backend, source.alias), *(f"{name} is dropped" for name in others)),
        )
    for file in () if dry_run else files_of(backend.database.path):
        with suppress(FileNotFoundError):
            file.unlink()
    return given


def _reasons(backend: BesideBackend, missing: int) -> list[str]:
    active, reasons = backend.ledger.active(ALIAS), []
    if active is not None:
        reasons.append(f"migration {active.id} is {active.phase}; retire it, or roll it back and retire it")
    if missing:
        reasons.append(
            f"{missing:,} points have no vector of their present text; embed them (run), or --accept-missing"
        )
    return reasons


def _named(backend: BesideBackend, alias: str) -> list[str]:
    """Say by which name readers go on."""
    return [f"the alias {alias} stays"] if backend.store.capabilities.aliases else []
