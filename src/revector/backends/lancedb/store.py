"""LanceDB as a store of vectors: see `revector.backends.beside.store.VectorStore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from revector._optional import require
from revector.backends.beside.refusals import require_fitting
from revector.backends.beside.store import Page, StoreCapabilities
from revector.backends.beside.unaliased import WithoutAliases
from revector.backends.contracts import EXACT, IndexShape
from revector.backends.lancedb.columns import Columns, columns_of, metric_of, own_schema, schema_like
from revector.backends.lancedb.indexes import Graph, graph_of, other_indexes
from revector.errors import ClosedError, InvalidArgumentError, RevectorError, StoreError

__all__ = ["LancePlace", "LanceStore"]

Matrix = NDArray[np.float32]

_EXTRA, _PURPOSE = "lancedb", "a collection in LanceDB"
_SAMPLE = 100
_CANDIDATES = 128
_SCANNED_ENOUGH = 0.5


@dataclass(frozen=True)
class LancePlace:
    """Where tables are, and what their columns mean.

    Parameters
    ----------
    path : str
        A folder, or the URI of one in an object store.
    id, vector : str, optional
        The columns of ids and vectors, where their names do not say so.
    """

    path: str
    id: str | None = None
    vector: str | None = None

    @classmethod
    def of(cls, url: str) -> LancePlace:
        """Read a URL, ``lancedb:///FOLDER?id=COLUMN&vector=COLUMN``; raise `InvalidArgumentError` for another."""
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.netloc + parts.path)
        if "@" in parts.netloc or not path.strip("/"):
            raise InvalidArgumentError("a URL of LanceDB is lancedb:///FOLDER, and holds no user or password")
        return cls(path, options.get("id"), options.get("vector"))


class LanceStore(WithoutAliases):
    """The tables of a folder.

    Parameters
    ----------
    place : LancePlace
    """

    capabilities = StoreCapabilities(
        aliases=False,
        carries=True,
        ids="text or integers, in a column",
        notices=(
            "a table has no alias and cannot be renamed: readers ask revector which one serves",
            "LanceDB does not wait for the disk (no fsync): after a power cut, run 'revector doctor'",
            "readers that keep a table open see changes at once only with read_consistency_interval=timedelta(0)",
        ),
    )

    def __init__(self, place: LancePlace) -> None:
        lancedb = require("lancedb", extra=_EXTRA, purpose=_PURPOSE)
        self._place, self._closed = place, False
        with self._errors():
            self._database = lancedb.connect(place.path, read_consistency_interval=timedelta(0))

    @classmethod
    def open(cls, url: str) -> LanceStore:
        """Open the tables at a URL."""
        return cls(LancePlace.of(url))

    @property
    def url(self) -> str:
        """Where the tables are."""
        return f"lancedb://{self._place.path}"

    def names(self) -> list[str]:
        """Return the names of the tables."""
        database, found, token = self._open(), list[str](), None
        with self._errors():
            while True:
                answer = database.list_tables(page_token=token)
                found += answer.tables
                if not (token := answer.page_token):
                    return found

    def create(self, name: str, dimension: int, metric: str, *, like: str | None = None) -> None:
        """Make an empty table, with the columns and indexes of another one."""
        source = None if like is None else self._named(like)
        if name in self.names():
            if self.count(name):
                raise StoreError(f"{self.url} has a table {name!r} with points already; choose another name")
            self.drop(name)
        schema = own_schema(dimension, metric)
        if source is not None:
            schema = schema_like(self._columns(source), dimension, metric)
        with self._errors():
            table = self._open().create_table(name, schema=schema)
        if source is not None:
            self._index_alike(table, source, metric)

    def _index_alike(self, table: Any, source: Any, metric: str) -> None:
        columns = self._columns(source)
        with self._errors():
            if graph := graph_of(source, columns.vector):
                table.create_index(columns.vector, config=graph.config(metric))
            for column, config in other_indexes(source):
                table.create_index(column, config=config)

    def drop(self, name: str) -> None:
        """Delete a table."""
        with self._errors():
            self._open().drop_table(name, ignore_missing=True)

    def put(
        self,
        name: str,
        ids: Sequence[str],
        vectors: Matrix,
        payloads: Sequence[Mapping[str, Any]],
        *,
        like: str | None = None,
    ) -> None:
        """Write points, in place of those that have the ids: one new version of the table."""
        table = self._named(name)
        columns = self._columns(table)
        if not len(ids):
            return
        require_fitting(self.url, name, vectors, columns.dimension)
        with self._errors():
            rows = columns.table(ids, vectors, payloads)
            if columns.others and like is not None:
                rows = self._with_others(rows, columns, self._named(like), ids)
            merge = table.merge_insert(columns.id).when_matched_update_all().when_not_matched_insert_all()
            merge.execute(rows)

    def _with_others(self, rows: Any, columns: Columns, source: Any, ids: Sequence[str]) -> Any:
        """Return rows with the other vectors that the same points have in another table."""
        wanted = [columns.id, *columns.others]
        found = source.search().where(_among(columns, ids)).limit(len(ids)).select(wanted).to_arrow()
        at = {str(id_): place for place, id_ in enumerate(found[columns.id].to_pylist())}
        order = [at.get(id_) for id_ in ids]
        for name in columns.others:
            rows = rows.append_column(columns.schema.field(name), found[name].take(_places(order)))
        return rows.select([name for name in columns.schema.names if name in rows.column_names])

    def read(self, name: str, ids: Sequence[str], *, vectors: bool = False) -> Page:
        """Return those of some points that exist."""
        table = self._named(name)
        columns = self._columns(table)
        wanted = list(dict.fromkeys(ids))
        where = _among(columns, wanted) if wanted else "false"
        return self._page(columns, table.search().where(where).limit(max(1, len(wanted))), vectors)

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Delete points."""
        table = self._named(name)
        if len(ids):
            with self._errors():
                table.delete(_among(self._columns(table), ids))

    def search(self, name: str, queries: Matrix, k: int) -> list[tuple[list[str], list[float]]]:
        """Return ids and scores of the nearest points of each query."""
        table = self._named(name)
        columns = self._columns(table)
        metric = self._metric(table, columns)
        return [self._nearest(table, columns, query, k, metric) for query in queries]

    def _nearest(
        self, table: Any, columns: Columns, query: NDArray[np.float32], k: int, metric: str
    ) -> tuple[list[str], list[float]]:
        with self._errors():
            asked = table.search(np.ascontiguousarray(query, np.float32), vector_column_name=columns.vector)
            asked = asked.distance_type(metric).limit(k).ef(max(_CANDIDATES, k)).refine_factor(2)
            rows = asked.select([columns.id, "_distance"]).to_arrow()
        # a distance is one minus the cosine, or one minus the inner product
        scores = [1.0 - value for value in rows["_distance"].to_pylist()]
        return [str(value) for value in rows[columns.id].to_pylist()], scores

    def scan(self, name: str, *, batch: int = 1_000, after: Any = None, vectors: bool = False) -> Iterator[Page]:
        """Yield all points in the order of their ids."""
        ordering = require("lancedb.query", extra=_EXTRA, purpose=_PURPOSE).ColumnOrdering
        while True:
            table = self._named(name)
            columns = self._columns(table)
            asked = table.search().order_by([ordering(column_name=columns.id)]).limit(batch + 1)
            if after is not None:
                asked = asked.where(f"{_quoted(columns.id)} > {_literal(columns, after)}")
            page = self._page(columns, asked, vectors)
            if len(page.ids) <= batch:
                yield page
                return
            after = page.ids[batch - 1]
            matrix = None if page.vectors is None else page.vectors[:batch]
            yield replace(page, ids=page.ids[:batch], payloads=page.payloads[:batch], vectors=matrix, next=after)

    def count(self, name: str) -> int:
        """Count the points."""
        table = self._named(name)
        with self._errors():
            return int(table.count_rows())

    def describe(self, name: str) -> dict[str, Any]:
        """Return what adoption has to know of a table."""
        table = self._named(name)
        columns = self._columns(table)
        sample = self._page(columns, table.search().limit(_SAMPLE), False)
        return {
            "dimension": columns.dimension,
            "metric": self._metric(table, columns),
            "points": self.count(name),
            "fields": sorted({field for payload in sample.payloads for field in payload}),
            "indexes": [str(self.shape(name)), *(column for column, _ in other_indexes(table))],
            "others": list(columns.others),
        }

    def moment(self) -> AbstractContextManager[None]:
        """Do nothing: no read waits for what was written before it."""
        return nullcontext()

    def shape(self, name: str) -> IndexShape:
        """Tell how the vectors are indexed, and which other columns are."""
        table = self._named(name)
        with self._errors():
            graph = graph_of(table, self._columns(table).vector)
            others = ", ".join(sorted(f"{column} ({type(config).__name__})" for column, config in other_indexes(table)))
        indexed = {"other indexes": others} if others else {}
        if graph is None:
            return IndexShape(EXACT, indexed, why="" if others else "the table has no index of its vectors")
        return IndexShape(graph.kind, {**graph.options, **indexed})

    def settle(self, name: str) -> None:
        """Put what was written since into the indexes; build them anew where they hold little of it."""
        table = self._named(name)
        columns = self._columns(table)
        with self._errors():
            graph = graph_of(table, columns.vector)
            if graph is not None and graph.missing > _SCANNED_ENOUGH * table.count_rows():
                table.create_index(columns.vector, config=graph.config(self._metric(table, columns)), replace=True)
            table.optimize()

    def stored_bytes(self, name: str) -> int:
        """Return the bytes of the present version."""
        table = self._named(name)
        with self._errors():
            return int(table.stats()["total_bytes"])

    def close(self) -> None:
        """Let go of the folder."""
        self._closed, self._database = True, None

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(self.url)

    def _open(self) -> Any:
        self._require_open()
        return self._database

    def _named(self, name: str) -> Any:
        with self._errors():
            return self._open().open_table(name)

    def _columns(self, table: Any) -> Columns:
        return columns_of(self.url, table.name, table.schema, self._place.id, self._place.vector)

    def _page(self, columns: Columns, asked: Any, vectors: bool) -> Page:
        wanted = [columns.id, *columns.payload, *[columns.vector] * vectors]
        with self._errors():
            return columns.page(asked.select(wanted).to_arrow(), vectors)

    def _metric(self, table: Any, columns: Columns) -> str:
        """Return the metric that the table was made with, or is indexed by; without either it is the cosine."""
        graph: Graph | None = graph_of(table, columns.vector)
        found = metric_of(table.schema) or (graph.metric if graph else "cosine")
        if found not in ("cosine", "dot"):
            raise StoreError(
                f"{self.url}: the vectors of {table.name!r} are indexed by {found}, expected cosine or dot; build the "
                "index with one of those first"
            )
        return found

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn LanceDB's errors into revector's."""
        try:
            yield
        except RevectorError:
            raise
        except (ValueError, RuntimeError, OSError, NotImplementedError, KeyError) as error:
            raise StoreError(f"{self.url}: {error}") from error


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"


def _literal(columns: Columns, id_: str) -> str:
    if "int" in str(columns.schema.field(columns.id).type):
        return str(int(id_))
    return "'" + id_.replace("'", "''") + "'"


def _among(columns: Columns, ids: Sequence[str]) -> str:
    return f"{_quoted(columns.id)} in ({', '.join(_literal(columns, id_) for id_ in dict.fromkeys(ids))})"


def _places(order: list[int | None]) -> Any:
    return require("pyarrow", extra=_EXTRA, purpose=_PURPOSE).array(order, "int64")
