"""The migration of a collection, and what hangs on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from revector._arguments import number, whole_number
from revector.encoders.base import TextEncoder, space_of
from revector.ledger.records import Event
from revector.ledger.state import Phase
from revector.migration.dependents import (
    Call,
    Dependent,
    dependents,
    forget_dependent,
    keep_dependent,
    new_dependent,
)
from revector.migration.filling.worker import WorkerReport
from revector.migration.following import follow
from revector.migration.foresight import Foresight, foresee_plan
from revector.migration.migration import Migration
from revector.migration.strategies import Strategy
from revector.migration.watching import watch

if TYPE_CHECKING:
    pass
from revector.collection.opened import Opened

__all__ = ["Migrating"]


class Migrating(Opened):
    """Moves to another model."""

    def migrate(
        self,
        new_encoder: TextEncoder,
        *,
        strategy: Strategy | Sequence[Strategy] | None = None,
        retention_seconds: float | None = None,
    ) -> Migration:
        """Plan the migration to another model; nothing changes before its `start`.

        A migration to the same space that does not serve yet is returned as it stands, so that a script that was
        interrupted can be run again.

        Parameters
        ----------
        new_encoder : TextEncoder
            The model to move to.
        strategy : Strategy, or sequence of Strategy, optional
            How to get there: a `Background`, or several that are asked in their order. Of a migration that goes on:
            replaces what was given before; a priority rule does its work at `start` only.
        retention_seconds : float, optional
            How long the old generation is kept after the cut-over: seven days, or what was given before.

        Raises
        ------
        LedgerConflictError
            The collection has a migration to another space that is not retired; `steps` names the verbs that end it.
        MigrationError
            The collection is in that space already.
        """
        return Migration.plan(
            self._backend,
            new_encoder,
            strategy,
            retention_seconds,
            encoders=self._encoders,
            calls=self._calls,
        )

    def foresee(self, new_encoder: TextEncoder) -> Foresight:
        """Return what `migrate` to another model, and `start`, would do. Nothing is written."""
        migration, space = self.migration, space_of(new_encoder, "new_encoder")
        if migration is None or migration.record.target_space.fingerprint != space.fingerprint:
            return foresee_plan(self._backend, space)
        return migration.foresee("start")

    def depends(
        self,
        name: str,
        *,
        sql: str | None = None,
        hook: str | os.PathLike[str] | None = None,
        call: Call | None = None,
    ) -> None:
        """Register something that is made of the vectors: it is brought up to date whenever others serve.

        That is at the cut-over, and at a rollback from there. Until it has succeeded, the collection can be rolled
        back, and neither cut over again nor retired; `Migration.run_dependents` tries again.

        Parameters
        ----------
        name : str
            What it is called; what had that name before is replaced.
        sql : str, optional
            A statement in the collection's database.
        hook : str or Path, optional
            An executable, told what happened by environment variables that begin with ``REVECTOR_``; 0 is success.
        call : callable, optional
            Takes a `revector.migration.dependents.Moved`. It is not kept: each process that takes these steps registers
            it.

        Raises
        ------
        InvalidArgumentError
            Not one of the three was given, or not what it has to be.
        """
        dependent = new_dependent(name, sql=sql, hook=hook, call=call)
        with self._backend.transaction():
            known = {each.name: each for each in dependents(self._backend)}.get(name)
            if known is None or (known.kind, known.action) != (dependent.kind, dependent.action):
                keep_dependent(self._backend, dependent)
        if call is not None:
            self._calls[name] = call

    def forget_dependent(self, name: str) -> None:
        """Let go of what was registered under a name; raise `InvalidArgumentError` if nothing was."""
        forget_dependent(self._backend, name)
        self._calls.pop(name, None)

    @property
    def dependents(self) -> list[Dependent]:
        """What hangs on the vectors, and whether it is up to date with what serves."""
        return dependents(self._backend)

    def events(self, *, after: int = 0) -> list[Event]:
        """Return what has happened to the migrations of the collection, the oldest first.

        With `after`, the `id` of an event, only what came after it.
        """
        return self._backend.ledger.events_after(whole_number(after, "after", least=0))

    def watch(
        self, *, after: int | None = None, every: float = 1.0, stop: threading.Event | None = None
    ) -> Iterator[Event]:
        """Yield what happens to the migrations of the collection, in whatever process.

        Parameters
        ----------
        after : int, optional
            The `id` of an event: go on after it, from the first one if it is 0. By default only what is new.
        every : float
            Seconds between two looks, which cost a search's look at who serves.
        stop : threading.Event, optional
            Ends it.
        """
        every = number(every, "every", above=0)
        return watch(self._backend, None if after is None else whole_number(after, "after", least=0), every, stop)

    def follow(self, stop: threading.Event) -> WorkerReport:
        """Embed what others write, in every generation whose model is at hand, and fill a new one, until told to stop.

        For collections whose documents are written by programs that know nothing of revector, and for writers without
        the models. May run in several processes at once.

        Parameters
        ----------
        stop : threading.Event
            Ends it after the batch in hand.

        Raises
        ------
        EncoderError
            A model refuses to go on.
        GoneError
            The collection was released or dropped, or an adopted table was.
        """
        return follow(self._backend, self._encoders, self._filled, stop)

    def _filled(self, stop: threading.Event) -> WorkerReport:
        migration = self.migration
        if migration is None or migration.phase is not Phase.FILLING or migration.record.paused:
            return WorkerReport(0, 0, 0, 0.0)
        return migration.run(stop=stop)
