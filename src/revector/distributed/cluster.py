"""The machines of a cluster, and how many of their cores each worker has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from revector.errors import InvalidArgumentError


@dataclass(frozen=True)
class Machine:
    """What a machine of the cluster lends.

    Attributes
    ----------
    cores : int
    gpus : float
    """

    cores: int
    gpus: float = 0.0

    def room(self, cores: int, num_gpus: float) -> int:
        """Return how many workers find room that take so much each."""
        by_cores = self.cores // cores
        return min(by_cores, int(self.gpus / num_gpus + 1e-9)) if num_gpus else by_cores


@dataclass(frozen=True)
class Division:
    """Workers that take as much each.

    Attributes
    ----------
    workers : int
    cores : int
        Of each, and the threads that it has.
    """

    workers: int
    cores: int


def machines_among(nodes: Iterable[Mapping[str, Any]]) -> list[Machine]:
    """Return the machines that are alive, from what Ray says of its nodes."""
    lent = [node["Resources"] for node in nodes if node["Alive"]]
    return [Machine(int(each.get("CPU", 0)), float(each.get("GPU", 0))) for each in lent]


def division(machines: Sequence[Machine], workers: int | None, num_gpus: float) -> Division:
    """Divide a cluster among workers: each has as many cores as lets all of them find room.

    Parameters
    ----------
    machines : sequence of Machine
    workers : int, optional
        How many; by default one on each machine that has a core, or as many as there are GPUs for.
    num_gpus : float
        GPUs of each; a part of one if it is less than 1.

    Raises
    ------
    InvalidArgumentError
        There is no room for them.
    """
    most = sum(machine.room(1, num_gpus) for machine in machines)
    wanted = workers
    if wanted is None:
        wanted = most if num_gpus else sum(1 for machine in machines if machine.cores)
    if not 1 <= wanted <= most:
        each = f"a core and {num_gpus:g} GPUs" if num_gpus else "a core"
        raise InvalidArgumentError(
            f"the cluster has room for {most} workers with {each} each, expected room for {max(1, wanted)}; ask for "
            "fewer, or let machines join it"
        )
    widest = max(machine.cores for machine in machines)
    fits = (n for n in range(widest, 0, -1) if sum(machine.room(n, num_gpus) for machine in machines) >= wanted)
    return Division(wanted, next(fits))
