"""Approximate nearest neighbours: graphs in memory, and in files that processes share."""

from revector.index.arguments import DtypeName, MetricName
from revector.index.health import HnswHealth
from revector.index.hnsw import HnswIndex
from revector.index.snapshot import HnswSnapshot

__all__ = ["DtypeName", "HnswHealth", "HnswIndex", "HnswSnapshot", "MetricName"]
