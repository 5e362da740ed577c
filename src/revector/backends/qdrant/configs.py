"""How a collection of Qdrant is made, read from one that is there: so that another one is like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdrant_client import models

from revector.backends.contracts import EXACT, IndexShape
from revector.errors import StoreError

__all__ = ["DISTANCES", "indexes_of", "like_config", "other_vectors", "searched_vector", "shape_of"]

DISTANCES = {"cosine": models.Distance.COSINE, "dot": models.Distance.DOT}
UNNAMED = ""
"""How Qdrant calls the vector of a collection whose vector has no name."""


def dense_vectors(info: models.CollectionInfo) -> dict[str, models.VectorParams]:
    """Return the dense vectors of a collection by their names."""
    vectors = info.config.params.vectors
    if isinstance(vectors, models.VectorParams):
        return {UNNAMED: vectors}
    return dict(vectors or {})


def searched_vector(name: str, info: models.CollectionInfo, wanted: str | None) -> tuple[str, models.VectorParams, str]:
    """Return the name of the vector that is searched, what it is like, and its metric.

    Raises
    ------
    StoreError
        There are several and none was named, there is none of that name, or it cannot be moved.
    """
    dense = {key: each for key, each in dense_vectors(info).items() if each.multivector_config is None}
    chosen = wanted if wanted is not None else (next(iter(dense)) if len(dense) == 1 else None)
    if chosen is None or chosen not in dense:
        there = ", ".join(key or "one without a name" for key in dense) or "none"
        raise StoreError(
            f"the collection {name} has these vectors with one row a point: {there}; say which is searched: --vector "
            "NAME, or ?vector=NAME in the URL"
        )
    metrics = {distance: metric for metric, distance in DISTANCES.items()}
    if (metric := metrics.get(dense[chosen].distance)) is None:
        raise StoreError(
            f"the vectors of {name} are measured by {dense[chosen].distance.value}, which is not supported; Cosine and "
            "Dot are"
        )
    return chosen, dense[chosen], metric


def other_vectors(info: models.CollectionInfo, searched: str) -> list[str]:
    """Return the names of the vectors that are not searched, sparse ones included."""
    return [key for key in dense_vectors(info) if key != searched] + list(info.config.params.sparse_vectors or {})


def like_config(info: models.CollectionInfo, searched: str, dimension: int, metric: str) -> dict[str, Any]:
    """Return the arguments that make a collection like another one, with vectors of another dimension."""
    config, params = info.config, info.config.params
    dense = dense_vectors(info)
    changed = {"size": dimension, "distance": DISTANCES[metric]}
    vectors = {**dense, searched: dense[searched].model_copy(update=changed)}
    made = {
        "vectors_config": vectors[UNNAMED] if list(vectors) == [UNNAMED] else vectors,
        "sparse_vectors_config": params.sparse_vectors,
        "shard_number": params.shard_number,
        "replication_factor": params.replication_factor,
        "write_consistency_factor": params.write_consistency_factor,
        "on_disk_payload": params.on_disk_payload,
        "hnsw_config": _diff(models.HnswConfigDiff, config.hnsw_config),
        "optimizers_config": _diff(models.OptimizersConfigDiff, config.optimizer_config),
        "quantization_config": config.quantization_config,
    }
    return {key: value for key, value in made.items() if value is not None}


def indexes_of(info: models.CollectionInfo) -> dict[str, Any]:
    """Return the schemas of the payload indexes by their fields, as `create_payload_index` takes them."""
    return {field: index.params or index.data_type for field, index in sorted((info.payload_schema or {}).items())}


def shape_of(info: models.CollectionInfo, searched: models.VectorParams, *, is_local: bool) -> IndexShape:
    """Tell how a collection is searched: by which graph, and with which payload indexes."""
    fields = {f"index on {field}": index.data_type.value for field, index in (info.payload_schema or {}).items()}
    if is_local:
        return IndexShape(EXACT, fields, why="Qdrant's local mode measures all vectors")
    graph = info.config.hnsw_config.model_dump(exclude_none=True)
    graph |= {} if searched.hnsw_config is None else searched.hnsw_config.model_dump(exclude_none=True)
    quantization = searched.quantization_config or info.config.quantization_config
    options = {"m": str(graph["m"]), "ef_construct": str(graph["ef_construct"])}
    if quantization is not None:
        options["quantization"] = quantization.model_dump_json(exclude_none=True)
    if not graph["m"]:
        return IndexShape(EXACT, fields, why="the collection has no graph (m is 0)")
    return IndexShape("hnsw", {**options, **dict(sorted(fields.items()))})


def _diff(kind: Any, config: Any) -> Any:
    """Return a configuration as a wish for one: with those of its fields that can be wished for."""
    if config is None:
        return None
    said: Mapping[str, Any] = config.model_dump(exclude_none=True)
    return kind(**{key: value for key, value in said.items() if key in kind.model_fields})
