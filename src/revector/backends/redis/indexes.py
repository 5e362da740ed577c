"""What RediSearch tells of an index, and the arguments that make another one like it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from revector.backends.contracts import EXACT, IndexShape
from revector.backends.redis.hashes import VECTOR
from revector.errors import StoreError

__all__ = ["HNSW", "Attribute", "SearchIndex", "escaped", "index_of", "like_another", "new_index", "text_of"]

HNSW = "HNSW"
_METRICS = {"COSINE": "cosine", "IP": "dot"}
_DISTANCES = {metric: distance for distance, metric in _METRICS.items()}
_GRAPH = {"M": "16", "EF_CONSTRUCTION": "200"}
_OF_VECTORS = ("ALGORITHM", "DATA_TYPE", "DIM", "DISTANCE_METRIC", *_GRAPH)
_WITH_VALUES = ("WEIGHT", "SEPARATOR", "COORD_SYSTEM")
_FLAGS = ("CASESENSITIVE", "WITHSUFFIXTRIE", "INDEXEMPTY", "INDEXMISSING", "SORTABLE", "UNF", "NOSTEM", "NOINDEX")
"""In the order in which ``FT.CREATE`` takes them."""


@dataclass(frozen=True)
class Attribute:
    """A field of hashes that an index knows.

    Parameters
    ----------
    field : str
        Its name in hashes.
    name : str
        Its name in queries.
    kind : str
        ``VECTOR``, ``TEXT``, ``TAG``, ``NUMERIC``, ``GEO`` …
    options : mapping of str to str
        What has a value, names in capitals.
    flags : tuple of str
    """

    field: str
    name: str
    kind: str
    options: Mapping[str, str]
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as people read it."""
        details = [f"{name} {value}" for name, value in self.options.items()] + list(self.flags)
        return f"{self.name} {self.kind}" + (f" ({', '.join(details)})" if details else "")

    def arguments(self) -> Iterator[str]:
        """Yield what ``FT.CREATE`` is told of it."""
        yield from (self.field, "AS", self.name, self.kind)
        if self.kind == "VECTOR":
            options = {name: value for name, value in self.options.items() if name != "ALGORITHM"}
            pairs = [part for name, value in options.items() for part in (_created(name), value)]
            yield from (self.options["ALGORITHM"], str(len(pairs)), *pairs)
        else:
            flags = {name: (name,) for name in self.flags}
            values = {name: (name, value) for name, value in self.options.items()}
            for name in (*_WITH_VALUES, *_FLAGS):
                yield from values.get(name, flags.get(name, ()))


@dataclass(frozen=True)
class SearchIndex:
    """An index over hashes whose keys begin alike: a physical collection.

    Parameters
    ----------
    name : str
    prefixes : tuple of str
    attributes : tuple of Attribute
    stopwords : tuple of str, or None
        Where they are not the usual ones.
    options : tuple of str
        ``NOFREQS`` and the like.
    filter : str
        Which hashes it leaves out; empty if none.
    key_type : str
        ``HASH`` or ``JSON``.
    points : int
        Hashes that it knows.
    vector_bytes : int
        That its vectors take, graph included.
    is_filling : bool
        Whether it still looks for hashes that were there before it.
    chosen : str
        The vector that is searched; empty for the first one.
    """

    name: str
    prefixes: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    stopwords: tuple[str, ...] | None = None
    options: tuple[str, ...] = ()
    filter: str = ""
    key_type: str = "HASH"
    points: int = 0
    vector_bytes: int = 0
    is_filling: bool = False
    chosen: str = ""

    @property
    def prefix(self) -> str:
        """What the keys of its points begin with."""
        return self.prefixes[0]

    @property
    def vectors(self) -> list[Attribute]:
        """All its vectors."""
        return [attribute for attribute in self.attributes if attribute.kind == "VECTOR"]

    @property
    def vector(self) -> Attribute:
        """The vector that is searched: the one that was chosen, or the first one.

        An index that was made for a collection of our own has but one, whatever was chosen for those that were adopted.
        """
        return next((vector for vector in self.vectors if vector.name == self.chosen), self.vectors[0])

    @property
    def vector_fields(self) -> set[str]:
        """The fields of hashes that hold vectors."""
        return {vector.field for vector in self.vectors}

    @property
    def dimension(self) -> int:
        """Of the vector that is searched."""
        return int(self.vector.options["DIM"])

    @property
    def metric(self) -> str:
        """Of the vector that is searched."""
        return _METRICS[self.vector.options["DISTANCE_METRIC"]]

    @property
    def shape(self) -> IndexShape:
        """How it is searched, its other fields included."""
        options = {name.lower(): value for name, value in self.vector.options.items() if name in _GRAPH}
        payload = "; ".join(str(one) for one in self.attributes if one != self.vector)
        if payload:
            options["payload indexes"] = payload
        algorithm = self.vector.options["ALGORITHM"]
        return IndexShape(EXACT if algorithm == "FLAT" else algorithm.lower(), options)

    def require_movable(self, url: str) -> None:
        """Raise `StoreError` if its points cannot be moved, and say why."""
        if problem := self._problem():
            raise StoreError(f"{url}: the index {self.name!r} {problem}")

    def _problem(self) -> str:
        if self.key_type != "HASH":
            return f"is over {self.key_type} documents; only hashes are supported"
        if len(self.prefixes) != 1 or self.prefixes[0] in ("", "*"):
            return f"has the prefixes {list(self.prefixes)}; exactly one is expected, and no empty one"
        if self.filter:
            return "has a filter, which leaves hashes out; make one without"
        if not self.vectors:
            return "has no vector; expected one field of type VECTOR"
        names = [vector.name for vector in self.vectors]
        if self.chosen and names != [VECTOR] and self.chosen not in names:
            return f"has no vector {self.chosen!r}; there are {', '.join(names)}"
        kind, metric = self.vector.options["DATA_TYPE"], self.vector.options["DISTANCE_METRIC"]
        if kind != "FLOAT32":
            return f"holds vectors of {kind}; only FLOAT32 is supported"
        if metric not in _METRICS:
            return f"measures by {metric}; only {' and '.join(_METRICS)} are supported"
        return ""

    def arguments(self) -> list[str]:
        """Return what makes it, for ``FT.CREATE``."""
        stopwords = [] if self.stopwords is None else ["STOPWORDS", str(len(self.stopwords)), *self.stopwords]
        fields = [part for attribute in self.attributes for part in attribute.arguments()]
        where = ["ON", "HASH", "PREFIX", "1", self.prefix]
        return [self.name, *where, *self.options, *stopwords, "SCHEMA", *fields]

    def overlaps(self, prefix: str) -> bool:
        """Tell whether hashes may belong to this index and to one with a prefix."""
        ours = [one.rstrip("*") for one in self.prefixes]
        return any(one.startswith(prefix) or prefix.startswith(one) for one in ours)


def new_index(name: str, dimension: int, metric: str) -> SearchIndex:
    """Return an index over nothing but a vector, which is searched by a graph."""
    options = {
        "ALGORITHM": HNSW,
        "DATA_TYPE": "FLOAT32",
        "DIM": str(dimension),
        "DISTANCE_METRIC": _DISTANCES[metric],
        **_GRAPH,
    }
    return SearchIndex(name, (_prefix_of(name),), (Attribute(VECTOR, VECTOR, "VECTOR", options),))


def like_another(name: str, dimension: int, metric: str, like: SearchIndex) -> SearchIndex:
    """Return an index that is like another, for vectors of another dimension."""
    options = {**like.vector.options, "DIM": str(dimension), "DISTANCE_METRIC": _DISTANCES[metric]}
    vector = replace(like.vector, options=options)
    attributes = tuple(vector if one == like.vector else one for one in like.attributes)
    return SearchIndex(name, (_prefix_of(name),), attributes, like.stopwords, like.options)


def index_of(told: list[Any], chosen: str) -> SearchIndex:
    """Return what ``FT.INFO`` tells, in the second version of the protocol, and which vector is searched."""
    found = _named(told)
    definition, words = _named(found["index_definition"]), found.get("stopwords_list")
    return SearchIndex(
        text_of(found["index_name"]),
        tuple(map(text_of, definition["prefixes"])),
        tuple(_attribute(one) for one in found["attributes"]),
        None if words is None else tuple(map(text_of, words)),
        tuple(map(text_of, found["index_options"])),
        text_of(definition.get("filter", "")),
        text_of(definition["key_type"]),
        int(float(found["num_docs"])),
        int(float(found["vector_index_sz_mb"]) * 2**20),
        bool(int(found["indexing"])),
        chosen,
    )


def text_of(value: Any) -> str:
    """Return what the server says as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _attribute(told: list[Any]) -> Attribute:
    texts = list(map(text_of, told))
    place = texts.index("type")  # before it come the names, whose values may be any word
    names, rest = _named(texts[:place]), texts[place + 2 :]
    kind, options, flags = texts[place + 1], {}, []
    while rest:
        name = rest.pop(0)
        if name.upper() in (*_OF_VECTORS, *_WITH_VALUES):
            options[name.upper()] = rest.pop(0)
        else:
            flags.append(name.upper())
    return Attribute(names["identifier"], names["attribute"], kind, options, tuple(flags))


def _named(pairs: Iterable[Any]) -> dict[str, Any]:
    """Return a list of names and values, in turns, as a mapping."""
    both = iter(pairs)
    return {text_of(name): next(both) for name in both}


def _prefix_of(name: str) -> str:
    return f"{name}:"


def _created(option: str) -> str:
    """Return how ``FT.CREATE`` calls what ``FT.INFO`` calls otherwise."""
    return "TYPE" if option == "DATA_TYPE" else option


def escaped(name: str) -> str:
    """Return a name of an attribute, or a part of a key's pattern, so that nothing in it has a meaning of its own."""
    return re.sub(r"([^\w])", r"\\\1", name)
