"""One run of a crew on Ray: who works, who has died, and who came in their place."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from revector.errors import MigrationError, StoreBusyError, StoreUnavailableError
from revector.migration.filling.crew import Look
from revector.migration.filling.progress import Progress
from revector.migration.filling.worker import WorkerReport

DEATHS_A_WORKER = 8
"""So many deaths for each worker, without a document done in between, end a run. A document that kills its workers is
set aside by the ledger long before, while the others are done."""
_LOOK_SECONDS = 0.5
_LAST_SECONDS = 30.0  # for a unit in hand: a third of a second, or as long as a service takes for it

_log = logging.getLogger(__name__)


class Member:
    """A worker of the crew, as the process sees it that has hired it.

    Parameters
    ----------
    ray : module
    actor : ActorHandle
        A `revector.distributed.worker.RemoteWorker`.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self._host = actor.host.remote()
        self._report: Any = None

    @property
    def is_placed(self) -> bool:
        """Whether there was room for it, so that it works, or has died."""
        return bool(self._ray.wait([self._host], timeout=0)[0])

    @property
    def host(self) -> str:
        """The machine of one that is placed, and has not died."""
        return str(self._ray.get(self._host))

    def work(self) -> Any:
        """Let it work, unless it still waits for room to begin; return what its report is asked of."""
        if self._report is None or self._ray.wait([self._report], timeout=0)[0]:
            self._report = self._actor.work.remote()
        return self._report

    def stop(self) -> None:
        """Tell it to stop after the unit in hand."""
        self._actor.stop.remote()

    def end(self) -> None:
        """End its process; what it has under lease is free once the lease runs out."""
        self._ray.kill(self._actor)


class Employer(Protocol):
    """Whoever hires and dismisses members."""

    def hire(self, *, replaces: bool = False) -> Member:
        """Return a new member."""
        ...

    def dismiss(self, member: Member) -> None:
        """End a member."""
        ...


class Shift:
    """Lets members work until nothing is outstanding.

    Parameters
    ----------
    ray : module
    employer : Employer
    members : iterable of Member
    look : callable
        Says how far they are.
    stop : threading.Event
        Ends it.
    """

    def __init__(
        self, ray: Any, employer: Employer, members: Iterable[Member], look: Look, stop: threading.Event
    ) -> None:
        self._ray, self._employer, self._look, self._stop = ray, employer, look, stop
        self._working = {member.work(): member for member in members}
        self._most_deaths = DEATHS_A_WORKER * len(self._working)
        self._report, self._deaths = WorkerReport(0, 0, 0, 0.0), 0
        self._ended_documents = -1
        self._has_ended = False

    def until_done(self) -> WorkerReport:
        """Wait for the members; return what they did together, and how long it took."""
        began = time.monotonic()
        while not self._is_over():
            ended, _ = self._ray.wait(list(self._working), timeout=_LOOK_SECONDS)
            for call in ended:
                self._take(call, self._working.pop(call))
            self._note(self._look())
            if self._stop.is_set():
                self._tell_to_stop()
        return replace(self._report, seconds=time.monotonic() - began)

    def _note(self, progress: Progress) -> None:
        """Forget who died before another document was done, or set aside."""
        if (ended := progress.done + progress.failed) != self._ended_documents:
            self._ended_documents, self._deaths = ended, 0

    def break_off(self) -> None:
        """Let those who work land what they have; end those who do not come to an end."""
        self._tell_to_stop()
        if calls := [call for call, member in self._working.items() if member.is_placed]:
            self._ray.wait(calls, num_returns=len(calls), timeout=_LAST_SECONDS)
        for member in self._working.values():
            self._employer.dismiss(member)

    def _is_over(self) -> bool:
        """Tell whether nobody works any more. One that waits for room does not count once another has come to an end.

        None comes to an end while there is anything that it could do.
        """
        may_be_over = self._has_ended or self._stop.is_set()
        return not self._working or (may_be_over and not any(m.is_placed for m in self._working.values()))

    def _take(self, call: Any, member: Member) -> None:
        """Add the report of a member that has ended; let another one go on for one that has died."""
        try:
            self._report += self._ray.get(call)
            self._has_ended = True
        except self._ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, (StoreBusyError, StoreUnavailableError)):
                _log.warning("the worker on %s has ended: %s", member.host, error.cause)
                raise error.cause from None
            self._goes_on(member, error.cause)
        except self._ray.exceptions.RayActorError as error:
            self._employer.dismiss(member)
            self._goes_on(self._employer.hire(replaces=True), error)

    def _goes_on(self, member: Member, error: Exception) -> None:
        """Let a member work in place of one that has died of an error, or again."""
        self._deaths += 1
        if self._deaths > self._most_deaths:
            raise MigrationError(
                f"{self._deaths} workers died, one after the other, and no document was done in between; mend what the "
                f"last one died of, then run it again: {error}"
            ) from error
        _log.warning("a worker died, and another one takes its place when there is room: %s", error)
        self._working[member.work()] = member

    def _tell_to_stop(self) -> None:
        for member in self._working.values():
            member.stop()
