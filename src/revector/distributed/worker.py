"""What a process of a cluster does: it opens the collection, holds the model, and works along. It knows no engine."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass

from revector.collection import Collection
from revector.encoders.sources import load_encoder
from revector.errors import StoreError
from revector.migration.filling.worker import WorkerReport
from revector.migration.patience import patient
from revector.threads import set_num_threads


@dataclass(frozen=True)
class Order:
    """What a worker is told; it holds no secret, for an engine may keep it.

    Attributes
    ----------
    place : str
        The collection's URL, without secrets.
    sources : tuple of str
        Models that are not where the collection says; see `revector.encoders.sources`.
    threads : int
        That the native encoder may use.
    niceness : int
        How far the process stands back behind others.
    replaces : bool
        Whether it comes in place of one that died, so that the store may be away as well.
    """

    place: str
    sources: tuple[str, ...] = ()
    threads: int = 1
    niceness: int = 0
    replaces: bool = False


class RemoteWorker:
    """One worker of a crew, in a process of its own. `stop` may be called while `work` runs, in another thread.

    Parameters
    ----------
    order : Order
    """

    def __init__(self, order: Order) -> None:
        self._order, self._stop = order, threading.Event()
        self._docs: Collection | None = None

    def host(self) -> str:
        """Return the name of the machine on which the process has found room."""
        return socket.gethostname()

    def work(self) -> WorkerReport:
        """Embed until nothing is outstanding, or until told to stop.

        Raises
        ------
        StoreError
            The collection cannot be opened from this machine.
        EncoderError
            The model is not at hand here, or refuses to go on.
        """
        self._stop.clear()
        if self._docs is None:
            self._docs = self._opened()
        migration = self._docs.migration
        return WorkerReport(0, 0, 0, 0.0) if migration is None else migration.work_along(self._stop)

    def stop(self) -> None:
        """End `work` after the unit in hand."""
        self._stop.set()

    def _opened(self) -> Collection:
        order = self._order
        before = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, max(before, order.niceness))
        set_num_threads(order.threads)
        given = [load_encoder(source) for source in order.sources]
        opening = patient(Collection.open) if order.replaces else Collection.open
        try:
            return opening(order.place, encoders=given)
        except StoreError as error:
            raise StoreError(
                f"the worker on {socket.gethostname()} cannot open the collection: {error}. Workers are told the URL "
                "without its password: let each machine find it in PGPASSWORD or ~/.pgpass, and let the URL name a "
                "host that all of them reach"
            ) from error
