"""Metrics of a collection and its migration, for Prometheus: read when they are asked for, and at no other time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from revector import _optional
from revector._arguments import whole_number
from revector.collection import Collection
from revector.errors import MigrationError, RevectorError
from revector.ledger.state import Phase
from revector.migration.migration import Migration

__all__ = ["Metric", "measured", "registry_of", "serving_metrics"]

_MOST_PORT = 65_535


class Metric(NamedTuple):
    """A number with its name, what it says, and the labels that tell it from its like."""

    name: str
    help: str
    value: float
    labels: dict[str, str]


def measured(docs: Collection) -> list[Metric]:
    """Return the metrics of a collection at this moment."""
    found = [
        Metric("revector_documents", "Documents in the collection.", len(docs), {}),
        Metric("revector_search_p50_seconds", "Of the slowest process that searches.", docs.search_p50 / 1000, {}),
        Metric("revector_search_p99_seconds", "Of the slowest process that searches.", docs.search_p99 / 1000, {}),
        Metric("revector_embedding_cost", "Money that services have taken for this process.", docs.spent, {}),
    ]
    for generation, cosine in docs.canary_similarities.items():
        help_ = "Lowest cosine between what the model gave for a fixed text and what it gives now."
        found.append(Metric("revector_canary_cosine", help_, cosine, {"generation": str(generation)}))
    return found if (migration := docs.migration) is None else [*found, *_of_migration(migration)]


def _of_migration(migration: Migration) -> Iterator[Metric]:
    status = migration.status()
    states = {"done": status.moved, "left": status.target_jobs.outstanding, "failed": status.target_jobs.failed}
    for state, count in states.items():
        yield Metric("revector_migration_documents", "Documents by what became of them.", count, {"state": state})
    yield Metric("revector_migration_share", "Part of the documents that have moved.", status.share, {})
    yield Metric("revector_documents_per_second", "Of all workers.", status.documents_per_second, {})
    yield Metric("revector_workers", "That are heard of.", len(status.workers), {})
    stalled = sum(worker.stands_still for worker in status.workers)
    yield Metric("revector_workers_stalled", "That have been at one unit for too long.", stalled, {})
    yield Metric("revector_paused", "Whether the migration is paused.", status.paused, {})
    for phase in Phase:
        yield Metric("revector_phase", "1 for the present one.", phase is status.phase, {"phase": phase.value})
    behind = sum(dependent.is_behind for dependent in status.dependents)
    yield Metric("revector_dependents_behind", "Not up to date with the vectors that serve.", behind, {})
    with suppress(MigrationError):  # there is no rollout
        if (rollout := migration.rollout) is not None:
            yield Metric("revector_rollout_share", "Of the readers who see the new model.", rollout.share, {})


class Collector:
    """What a registry of prometheus-client asks for metrics.

    Parameters
    ----------
    docs : Collection
        Whose.
    more : callable
        Returns further metrics, which need no store.
    """

    def __init__(self, docs: Collection, more: Callable[[], Iterable[Metric]]) -> None:
        self._docs, self._more = docs, more

    def collect(self) -> Iterator[Any]:
        """Yield families of metrics; ``revector_up`` is 0 where the store cannot be asked."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            found, is_up = measured(self._docs), 1.0
        except RevectorError:
            found, is_up = [], 0.0
        families: dict[str, GaugeMetricFamily] = {}
        found = [*found, *self._more(), Metric("revector_up", "Whether the store answers.", is_up, {})]
        for name, help_, value, labels in found:
            family = families.setdefault(name, GaugeMetricFamily(name, help_, labels=list(labels)))
            family.add_metric(list(labels.values()), float(value))
        yield from families.values()


def registry_of(docs: Collection, more: Callable[[], Iterable[Metric]] = tuple) -> Any:
    """Return a registry of prometheus-client: metrics of a collection, of this process, and what else `more` returns.

    Raises
    ------
    MissingExtraError
        The extra ``metrics`` is not installed.
    """
    prometheus = _optional.require("prometheus_client", extra="metrics", purpose="serving metrics")
    registry = prometheus.CollectorRegistry()
    registry.register(Collector(docs, more))
    prometheus.ProcessCollector(registry=registry)
    return registry


@contextmanager
def serving_metrics(docs: Collection, port: int) -> Iterator[int]:
    """Answer Prometheus at a port of all addresses of this machine, for as long as the ``with`` block runs.

    CPU time and memory of the process are among the metrics.

    Parameters
    ----------
    docs : Collection
        Whose metrics.
    port : int
        0 for any that is free.

    Yields
    ------
    int
        The port.

    Raises
    ------
    MissingExtraError
        The extra ``metrics`` is not installed.
    OSError
        The port is taken.
    """
    port = whole_number(port, "port", least=0, most=_MOST_PORT)
    registry = registry_of(docs)
    prometheus = _optional.require("prometheus_client", extra="metrics", purpose="serving metrics")
    server, thread = prometheus.start_http_server(port, registry=registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
