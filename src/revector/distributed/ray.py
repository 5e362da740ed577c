"""Workers on the machines of a Ray cluster, for `Migration.run`: each an actor that holds the model.

Ray places the processes, and says when one has died. Everything else is in the ledger, in the store where the vectors
are: who holds which documents under lease, what has landed (in the transaction in which its job ends), how fast it
goes, and what limits it. So nothing is lost with an actor, a machine or the process that has started them: what an
actor had in hand is free again when its lease runs out, and another `run` goes on from there.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any

from revector._arguments import number, whole_number
from revector._optional import require
from revector.backends.opening import kind_of
from revector.distributed.cluster import Division, division, machines_among
from revector.distributed.shift import Member, Shift
from revector.distributed.worker import Order, RemoteWorker
from revector.encoders.base import TextEncoder
from revector.errors import InvalidArgumentError, MigrationError
from revector.migration.filling.crew import Look
from revector.migration.filling.worker import WorkerReport

__all__ = ["RayCrew"]

_STATISTICS = "RAY_USAGE_STATS_ENABLED"
_HOST = re.compile(r"(?:ray://)?(?P<host>[^/:]+):(?P<port>\d+)")
_CONNECT_SECONDS = 10.0


class RayCrew:
    """Workers on the machines of a Ray cluster; they end with the ``with`` block, or with this process.

    Parameters
    ----------
    place : str
        The collection's URL, which each machine has to reach. A password in it is not told to the workers.
    address : str, optional
        The cluster's, as ``ray.init`` takes it. By default that of ``RAY_ADDRESS``, else the one of this machine, else
        a new one of this machine alone, which ends with the block.
    workers : int, optional
        How many; by default one on each machine, or as many as there are GPUs for.
    num_gpus : float
        GPUs of each worker; .5 lets two share one, and 0 embeds on processors.
    encoders : iterable of TextEncoder
        Models that are not where the collection says. Workers load them from their `source`.
    niceness : int
        How far workers stand back behind other processes of their machines, 0 to 19.

    Raises
    ------
    InvalidArgumentError
        An argument is something else, or an encoder has no source.
    MissingExtraError
        Ray is not installed.
    """

    def __init__(
        self,
        place: str,
        *,
        address: str | None = None,
        workers: int | None = None,
        num_gpus: float = 0.0,
        encoders: Iterable[TextEncoder] = (),
        niceness: int = 0,
    ) -> None:
        self._workers = None if workers is None else whole_number(workers, "workers", least=1)
        self._num_gpus = _gpus(num_gpus)
        niceness = whole_number(niceness, "niceness", least=0, most=19)
        self._order = Order(kind_of(place).shown(place), tuple(map(_source, encoders)), niceness=niceness)
        self._ray = require("ray", extra="ray", purpose="a crew on a Ray cluster")
        self._address, self._has_connected = address, False
        self._division: Division | None = None
        self._members: set[Member] = set()

    def __enter__(self) -> RayCrew:
        """Return it; workers are started when they are needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers, and leave the cluster."""
        for member in tuple(self._members):
            self.dismiss(member)
        if self._has_connected:
            self._ray.shutdown()
            self._has_connected = False
        self._division = None

    def run(self, look: Look, *, stop: threading.Event) -> WorkerReport:
        """Let all workers work until no job is outstanding; see `revector.migration.filling.crew.Crew`.

        Raises
        ------
        MigrationError
            The cluster cannot be used, or its workers die without getting anywhere.
        InvalidArgumentError
            It has no room for the workers.
        RevectorError
            What a worker raised; but where a store was away for too long, that worker tries again.
        """
        workers = (self._division or self._divided()).workers
        for _ in range(workers - len(self._members)):  # all of them; or those that a run before has dismissed
            self.hire()
        shift = Shift(self._ray, self, self._members, look, stop)
        try:
            return shift.until_done()
        except BaseException:  # a keyboard's, too: what is embedded is paid for
            shift.break_off()
            raise

    def hire(self, *, replaces: bool = False) -> Member:
        """Return a new worker, which is placed once there is room for it."""
        assert self._division is not None
        actor = self._kind.remote(replace(self._order, threads=self._division.cores, replaces=replaces))
        member = Member(self._ray, actor)
        self._members.add(member)
        return member

    def dismiss(self, member: Member) -> None:
        """End a worker, if it has not ended."""
        self._members.discard(member)
        member.end()

    def _divided(self) -> Division:
        """Connect to the cluster, and divide it among the workers."""
        if not self._ray.is_initialized():
            self._connect()
        self._division = division(machines_among(self._ray.nodes()), self._workers, self._num_gpus)
        self._kind = self._ray.remote(RemoteWorker).options(
            num_cpus=self._division.cores,
            num_gpus=self._num_gpus,
            max_concurrency=2,  # to work, and to be told to stop
            max_restarts=0,  # `Shift` sees who died, and how often
            scheduling_strategy="SPREAD",
        )
        return self._division

    def _connect(self) -> None:
        os.environ.setdefault(_STATISTICS, "0")  # a cluster that is started here reports to nobody
        try:
            _require_answer(self._address)
            self._ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise MigrationError(
                f"the Ray cluster {self._address or 'of this machine'} cannot be used: {error}; see whether it runs "
                "('ray status' on one of its machines), or leave the address out"
            ) from error
        self._has_connected = True


def _require_answer(address: str | None) -> None:
    """Raise `OSError` if nobody listens at an address that names a host: Ray itself would ask again for minutes."""
    found = _HOST.fullmatch(address or "")
    if found:
        socket.create_connection((found["host"], int(found["port"])), _CONNECT_SECONDS).close()


def _gpus(value: Any) -> float:
    gpus = number(value, "num_gpus", least=0)
    if gpus > 1 and gpus != int(gpus):
        raise InvalidArgumentError(f"num_gpus is {gpus:g}, expected a part of one GPU, or a whole number of them")
    return gpus


def _source(encoder: TextEncoder) -> str:
    if encoder.source is None:
        raise InvalidArgumentError(
            f"the encoder of {encoder.space} was given in memory, and workers on other machines cannot load it; load "
            "it from a folder, a hub id or a service"
        )
    return encoder.source
