"""A cluster that fills a generation, simulated: whether encoders, claims or landings are what it waits for.

Each worker is the pipeline that it is (`revector.migration.filling.worker`): one load is claimed ahead, one unit is
encoded, and at most `MOST_WAITING` units wait to land, all of those that wait together in one transaction. The store
serves claims and landings by so many connections at a time as it has cores; a claim and a landing take what was
measured, a part of it for each transaction, the rest for each document. Beside them is what workers ask and say
whether or not they get anywhere: whether they may go on, what limits them, that they live.

The arithmetic is the lesser of what the encoders and the store can do. The simulation, which knows of queues and of
chance, has to come close to it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from revector.migration.filling.lander import MOST_NUMBERS, MOST_WAITING
from revector.migration.filling.pace import MOST, UNIT_SECONDS

DOCUMENTS, MACHINES, DIMENSION = 100_000_000, 50, 384
RATES = {"2 cores, 217 docs/s": 217.0, "16 cores, 1,700 docs/s": 1_700.0, "a GPU, 10,000 docs/s": 10_000.0}
"""MiniLM in bfloat16 as measured on two cores; on 16 and on a GPU, that is an assumption."""
STORE_CORES = (2, 16, 64)
JITTER = 0.1  # of the time that a unit takes: texts differ in length
ASKS_A_SECOND = 8.0  # of each worker: whether it may run, and the throttle, four times each
SAYS_A_SECOND = 0.5 + 1 / 20  # its sign, and the heartbeat


@dataclass(frozen=True)
class Store:
    """What the store takes, in seconds of one of its cores.

    Attributes
    ----------
    cores : int
        Transactions that it works on at a time.
    claim_seconds, claim_document_seconds : float
        Of a claim, and of each document in it, with the reading of its text.
    landing_seconds, landing_document_seconds : float
        Of a landing, and of each document in it, with the end of its job.
    ask_seconds, say_seconds : float
        Of a question that workers ask a few times a second, and of a word that they say.
    """

    cores: int
    claim_seconds: float
    claim_document_seconds: float
    landing_seconds: float
    landing_document_seconds: float
    ask_seconds: float = 0.0002
    say_seconds: float = 0.0005


@dataclass(frozen=True)
class Cluster:
    """Workers that embed so many documents a second each, and their store."""

    workers: int
    documents_per_second: float
    dimension: int
    store: Store

    @property
    def load(self) -> int:
        """Documents of a claim: what a worker embeds in `UNIT_SECONDS`, within its limits."""
        return max(1, min(MOST, round(UNIT_SECONDS * self.documents_per_second)))

    @property
    def rows(self) -> int:
        """Documents of a landing, at most."""
        return max(1, MOST_NUMBERS // self.dimension)

    @property
    def background(self) -> float:
        """Share of the store's cores that goes into questions and signs."""
        store = self.store
        spent = self.workers * (ASKS_A_SECOND * store.ask_seconds + SAYS_A_SECOND * store.say_seconds)
        return min(1.0, spent / store.cores)

    @property
    def encoders_bound(self) -> float:
        """Documents a second that the encoders can do together."""
        return self.workers * self.documents_per_second

    @property
    def store_bound(self) -> float:
        """Documents a second that the store can do, where as many land together as are claimed together."""
        store = self.store
        claim = store.claim_seconds / self.load + store.claim_document_seconds
        landing = store.landing_seconds / min(self.rows, self.load) + store.landing_document_seconds
        return store.cores * (1 - self.background) / (claim + landing)


MEASURED = Store(
    cores=2,
    claim_seconds=4e-3,
    claim_document_seconds=75e-6,
    landing_seconds=1.4e-3,
    landing_document_seconds=51e-6,
    ask_seconds=0.44e-3,
    say_seconds=0.78e-3,
)
"""As `benchmarks/results/ray-store.json` has it, but a document of a claim costs what it does where 48 claim at once.
The machine was busy with other things, which makes it too much rather than too little."""


class Simulation:
    """Events in the order of their time; a store that serves who came first."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster, self.rng, self.now = cluster, random.Random(seed), 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self._free, self._queue = cluster.store.cores, deque[tuple[float, Callable[[], None]]]()
        self._slower = 1 / max(1e-9, 1 - cluster.background)
        self.busy, self.claiming, self.landed = 0.0, 0.0, 0

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        """Let something happen later."""
        self._serial += 1
        heapq.heappush(self._events, (self.now + seconds, self._serial, then))

    def ask_store(self, seconds: float, then: Callable[[], None], *, is_claim: bool = False) -> None:
        """Have the store do something that takes so long on one core."""
        self.claiming += is_claim * seconds * self._slower
        self._queue.append((seconds * self._slower, then))
        self._serve()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= seconds:
            self.now, _, then = heapq.heappop(self._events)
            then()
        self.now = seconds

    def _serve(self) -> None:
        while self._free and self._queue:
            seconds, then = self._queue.popleft()
            self._free -= 1
            self.busy += seconds
            self.after(seconds, lambda then=then: self._served(then))

    def _served(self, then: Callable[[], None]) -> None:
        self._free += 1
        then()
        self._serve()


class SimulatedWorker:
    """Claims ahead, encodes, lands behind."""

    def __init__(self, simulation: Simulation) -> None:
        self._at, self._cluster = simulation, simulation.cluster
        self._loaded, self._claiming, self._encoding, self._landing = 0, False, False, False
        self._waiting: list[int] = []
        self.encoding_seconds = 0.0
        self._at.after(self._at.rng.uniform(0, 1), self._step)

    def _step(self) -> None:
        if not self._claiming and not self._loaded:
            self._claiming = True
            store, load = self._cluster.store, self._cluster.load
            self._at.ask_store(store.claim_seconds + load * store.claim_document_seconds, self._claimed, is_claim=True)
        if self._waiting and not self._landing:
            self._land()
        if self._loaded and not self._encoding and len(self._waiting) < MOST_WAITING:
            self._encode()

    def _claimed(self) -> None:
        self._claiming, self._loaded = False, self._cluster.load
        self._step()

    def _encode(self) -> None:
        documents, self._loaded, self._encoding = self._loaded, 0, True
        seconds = documents / self._cluster.documents_per_second * self._at.rng.uniform(1 - JITTER, 1 + JITTER)
        self.encoding_seconds += seconds
        self._at.after(seconds, lambda: self._encoded(documents))
        self._step()

    def _encoded(self, documents: int) -> None:
        self._encoding = False
        self._waiting.append(documents)
        self._step()

    def _land(self) -> None:
        documents, self._waiting, self._landing = sum(self._waiting), [], True
        store, parts = self._cluster.store, -(-documents // self._cluster.rows)
        seconds = parts * store.landing_seconds + documents * store.landing_document_seconds
        self._at.ask_store(seconds, lambda: self._landed(documents))

    def _landed(self, documents: int) -> None:
        self._landing = False
        self._at.landed += documents
        self._step()


@dataclass(frozen=True)
class Outcome:
    """What a simulation has found.

    Attributes
    ----------
    documents_per_second : float
    encoders, claims, landings : float
        Share of the time of the encoders that they were busy, and of the store's cores that went into each.
    """

    documents_per_second: float
    encoders: float
    claims: float
    landings: float

    @property
    def saturated(self) -> str:
        """What the others wait for."""
        if self.encoders > self.claims + self.landings:
            return "encoders"
        return "claims" if self.claims > self.landings else "store writes"


def simulate(cluster: Cluster, seconds: float, seed: int = 0) -> Outcome:
    """Let a cluster work for some time; what happens in the first quarter is not counted."""
    simulation = Simulation(cluster, seed)
    workers = [SimulatedWorker(simulation) for _ in range(cluster.workers)]
    simulation.run(seconds / 4)
    before = simulation.landed, simulation.busy, simulation.claiming, sum(w.encoding_seconds for w in workers)
    simulation.run(seconds)
    after = simulation.landed, simulation.busy, simulation.claiming, sum(w.encoding_seconds for w in workers)
    landed, busy, claiming, encoding = (((y - x) / (0.75 * seconds)) for x, y in zip(before, after, strict=True))
    cores = cluster.store.cores
    return Outcome(landed, encoding / cluster.workers, claiming / cores, (busy - claiming) / cores)


def figures(store: Store, smoke: bool) -> Iterator[dict[str, object]]:
    """Yield a row for each kind of machine: the arithmetic, and what the simulation makes of it."""
    seconds = 30.0 if smoke else 120.0
    for name, rate in RATES.items():
        for cores in STORE_CORES:
            cluster = Cluster(MACHINES, rate, DIMENSION, replace(store, cores=cores))
            found = simulate(cluster, seconds)
            yield {
                "a machine": name,
                "store cores": cores,
                "encoders, docs/s": round(cluster.encoders_bound),
                "store, docs/s": round(cluster.store_bound),
                "simulated, docs/s": round(found.documents_per_second),
                "saturated": found.saturated,
                "encoders, claims, landings busy": f"{found.encoders:.0%}, {found.claims:.0%}, {found.landings:.0%}",
                "hours": DOCUMENTS / found.documents_per_second / 3600,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="seconds in place of minutes")
    given = parser.parse_args()
    for row in figures(MEASURED, smoke=given.smoke):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
