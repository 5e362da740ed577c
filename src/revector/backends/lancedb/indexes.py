"""The indexes of a table: their parameters, and how such a one is made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from revector._optional import require

__all__ = ["Graph", "graph_of", "other_indexes"]

_HNSW = {"max_connections": "m", "construction_ef": "ef_construction"}
_SCALAR = ("BTree", "Bitmap", "LabelList", "FTS")


@dataclass(frozen=True)
class Graph:
    """The index of a column of vectors.

    Parameters
    ----------
    kind : str
        As LanceDB calls it: ``IvfHnswSq``, ``IvfPq``.
    metric : str
        ``"cosine"``, ``"dot"`` or ``"l2"``.
    parameters : mapping of str to int
        As its class takes them.
    missing : int
        Vectors that it does not hold yet.
    """

    kind: str
    metric: str
    parameters: Mapping[str, int]
    missing: int

    @property
    def options(self) -> dict[str, str]:
        """The parameters, as they are shown."""
        return {name: str(value) for name, value in self.parameters.items()}

    def config(self, metric: str) -> Any:
        """Return what makes such an index for a metric."""
        return getattr(_index(), self.kind)(distance_type=metric, **self.parameters)


def graph_of(table: Any, column: str) -> Graph | None:
    """Return the index of a column of vectors, if there is one."""
    for each in table.list_indices():
        if list(each.columns) == [column] and each.index_type.startswith("Ivf"):
            details = each.index_details or {}
            hnsw = {_HNSW[name]: value for name, value in details.get("hnsw", {}).items() if name in _HNSW}
            bits = details.get("compression", {}).get("num_bits")
            parameters = {**hnsw, **({"num_bits": bits} if bits and each.index_type.endswith("Pq") else {})}
            return Graph(each.index_type, str(details["metric_type"]).lower(), parameters, each.num_unindexed_rows)
    return None


def other_indexes(table: Any) -> list[tuple[str, Any]]:
    """Return the indexes of other columns, each with what makes it again; its parameters are LanceDB's defaults."""
    found = [(each.columns[0], each.index_type) for each in table.list_indices() if len(each.columns) == 1]
    return [(column, getattr(_index(), kind)()) for column, kind in found if kind in _SCALAR]


def _index() -> Any:
    return require("lancedb.index", extra="lancedb", purpose="an index of LanceDB")
