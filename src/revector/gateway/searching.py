"""``/search``: by a text, or by the vector of an embedding that says where it belongs."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import flag, shown, valid_unicode, whole_number
from revector.backends.filters import parse_where
from revector.collection import Collection, Hit
from revector.errors import InvalidArgumentError
from revector.gateway.batching import Batcher
from revector.gateway.bodies import known_fields
from revector.gateway.failures import RequestError
from revector.gateway.limits import Limits
from revector.gateway.spaces import named, of_vector
from revector.rerank.base import Reranker

__all__ = ["Searches"]

_FIELDS = ("query", "vector", "generation", "space", "k", "where", "explain", "rerank", "threshold", "key")
_OF_A_TEXT = ("threshold", "key")
"""What a search by a vector does not have: its scores are those of its own space, and no rollout takes part in it."""
_Options = str
"""What is asked of a search beside its query, as JSON: equal ones go into one call."""
_Alone = tuple[_Options, object]
"""The same, and something that no other search is equal to."""
_RERANKED_AT_ONCE = 8
"""Calls with a re-ranker, which may be a service that answers after a second."""


class Searches:
    """Answers the searches of many clients.

    Parameters
    ----------
    docs : Collection
    limits : Limits
    reranker : Reranker or None
        Of the searches that ask for one.
    """

    def __init__(self, docs: Collection, limits: Limits, reranker: Reranker | None) -> None:
        self._docs, self._limits, self._reranker = docs, limits, reranker
        self.texts: Batcher[_Options, str, list[Hit]] = Batcher(self._search, limits, "search")
        self.reranked: Batcher[_Alone, str, list[Hit]] = Batcher(self._rerank, limits, "rerank", _RERANKED_AT_ONCE)
        self.vectors: Batcher[_Options, _Vector, dict[str, Any]] = Batcher(self._search_vectors, limits, "vectors")

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the hits of a search."""
        fields = known_fields(body, *_FIELDS)
        if ("query" in fields) == ("vector" in fields):
            raise RequestError("expected either 'query', a text, or 'vector', an embedding with its generation")
        options = self._options(fields)
        if "query" in fields:
            if "generation" in fields or "space" in fields:
                raise RequestError("a text is of no generation; leave it out, or give a vector", param="generation")
            hits = await self._hits(options, _text(fields["query"]), rerank=fields.get("rerank", False))
            return {"hits": [asdict(hit) for hit in hits]}
        if fields.get("rerank", False):
            raise RequestError("a re-ranker reads the query's text; give 'query' in place of 'vector'", param="rerank")
        for name in _OF_A_TEXT:
            if name in fields:
                raise RequestError(f"{name} is for searches by a text; give 'query' in place of 'vector'", param=name)
        vector = (_vector(fields["vector"]), fields.get("generation"), fields.get("space"))
        with self.vectors.room(1):
            (found,) = await self.vectors.ask(options, [vector])
        return found

    async def _hits(self, options: _Options, text: str, *, rerank: bool) -> list[Hit]:
        if not rerank:
            with self.texts.room(1):
                return (await self.texts.ask(options, [text]))[0]
        with self.reranked.room(1):  # alone: of the queries of one call, each would wait for those before it
            return (await self.reranked.ask((options, object()), [text]))[0]

    def _options(self, fields: dict[str, Any]) -> _Options:
        """Check what all searches have. The rest is checked by the search: equal ones alone share its call."""
        if flag(fields.get("rerank", False), "rerank") and self._reranker is None:
            raise RequestError("this gateway has no re-ranker; start it with --rerank MODEL", param="rerank")
        options: dict[str, Any] = {
            "k": whole_number(fields.get("k", 10), "k", least=1, most=self._limits.hits),
            "where": fields.get("where"),
            "explain": flag(fields.get("explain", False), "explain"),
            **{name: fields[name] for name in _OF_A_TEXT if name in fields},
        }
        parse_where(options["where"])
        return json.dumps(options, sort_keys=True)

    def _search(self, options: _Options, texts: list[str]) -> list[list[Hit]]:
        return self._docs.search(texts, **json.loads(options))

    def _rerank(self, alone: _Alone, texts: list[str]) -> list[list[Hit]]:
        return self._docs.search(texts, rerank=self._reranker, **json.loads(alone[0]))

    def _search_vectors(self, options: _Options, vectors: list[_Vector]) -> Sequence[dict[str, Any]]:
        asked, found = json.loads(options), []
        for vector, generation, space in vectors:
            of = of_vector(self._docs.answering, generation, space)
            if len(vector) != of.space.dimension:
                raise RequestError(
                    f"vector has {len(vector)} numbers, expected {of.space.dimension}, as generation {of.id} has",
                    param="vector",
                )
            hits = self._docs.search_vector(vector, of.space, **asked)
            found.append({**named(of), "hits": [asdict(hit) for hit in hits]})
        return found


_Vector = tuple[NDArray[np.float32], Any, Any]
"""A vector, and what its client says of where it belongs: generation and space."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidArgumentError(f"query is {shown(value)}, expected a text")
    return valid_unicode(value, "query")


def _vector(value: Any) -> NDArray[np.float32]:
    """Read a vector: a list of numbers, or base64 of little-endian float32, as embeddings come."""
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
            return np.frombuffer(raw, "<f4").astype(np.float32)
        except (binascii.Error, ValueError) as error:
            raise RequestError("vector is not base64 of float32 numbers", param="vector") from error
    if not isinstance(value, list) or not all(type(each) in (int, float) for each in value):
        raise RequestError(f"vector is {shown(value)}, expected a list of numbers, or base64", param="vector")
    try:
        with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused by the search
            return np.array(value, dtype=np.float64).astype(np.float32)
    except OverflowError as error:
        raise RequestError("vector holds a number beyond float64", param="vector") from error
