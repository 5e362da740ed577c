"""``/v1/embeddings`` and ``/v1/models``, as OpenAI's clients ask for them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.responses import JSONResponse, Response

from revector._arguments import choice, whole_number
from revector.backends.contracts import Generation
from revector.collection import Collection
from revector.encoders.base import Kind
from revector.encoders.shortened import shortened_rows
from revector.errors import InvalidArgumentError
from revector.gateway.batching import Batcher
from revector.gateway.bodies import known_fields, texts_of
from revector.gateway.failures import RequestError
from revector.gateway.limits import Limits
from revector.gateway.spaces import LIVE, headers_of, model_id, model_named, named

__all__ = ["Asked", "Embeddings", "models"]

_FIELDS = ("model", "input", "input_type", "encoding_format", "dimensions", "user")
_FORMATS = ("float", "base64")
_KINDS = ("query", "document")
_USAGE = {"prompt_tokens": 0, "total_tokens": 0}
"""Nobody pays for tokens here, and to count them would take a static model as long as to embed them."""
_WRITTEN_AT_ONCE = 20_000
"""More numbers than these are written in a thread, beside other requests."""


@dataclass(frozen=True)
class Asked:
    """What one request wants; `dimensions` is ``None`` for all of them."""

    model: str
    texts: list[str]
    kind: Kind
    is_base64: bool
    dimensions: int | None

    @classmethod
    def of(cls, body: dict[str, Any], limits: Limits) -> Asked:
        """Read it; raise `RequestError` or `InvalidArgumentError` if it is something else."""
        fields = known_fields(body, *_FIELDS, needed=("model", "input"))
        dimensions = fields.get("dimensions")
        if not isinstance(fields["model"], str):
            raise InvalidArgumentError("model is not a text, expected the id of a model, such as 'live'")
        return cls(
            fields["model"],
            texts_of(fields["input"], "input", limits.request_texts),
            "document" if choice(fields.get("input_type", "query"), "input_type", _KINDS) == "document" else "query",
            choice(fields.get("encoding_format", "float"), "encoding_format", _FORMATS) == "base64",
            None if dimensions is None else whole_number(dimensions, "dimensions", least=1),
        )


_Row = tuple[NDArray[np.float32], Generation]


class Embeddings:
    """Embeds what many clients ask for.

    Parameters
    ----------
    docs : Collection
    limits : Limits
    """

    def __init__(self, docs: Collection, limits: Limits) -> None:
        self._docs = docs
        self.batcher: Batcher[tuple[str, Kind], str, _Row] = Batcher(self._embed, limits, "embed")

    async def answer(self, asked: Asked) -> Response:
        """Return vectors of the texts of a request, all of one generation."""
        texts, kind = asked.texts, asked.kind
        with self.batcher.room(len(texts)):
            found = await self.batcher.ask((asked.model, kind), texts)
            if len({generation.id for _, generation in found}) > 1:  # a cut-over came between two of its calls
                found = await self.batcher.ask((model_id(found[-1][1]), kind), texts)
        rows, generation = np.stack([row for row, _ in found]), found[0][1]
        if rows.size > _WRITTEN_AT_ONCE and not asked.is_base64:
            return await asyncio.to_thread(_written, rows, generation, asked)
        return _written(rows, generation, asked)

    def _embed(self, key: tuple[str, Kind], texts: list[str]) -> Sequence[_Row]:
        model, kind = key
        generation = model_named(self._docs.answering, model)
        embedded = self._docs.embed(texts, kind=kind, generation=generation)
        return [(row, embedded.generation) for row in embedded.vectors]


def _written(rows: NDArray[np.float32], generation: Generation, asked: Asked) -> Response:
    found, space = named(generation), generation.space
    if asked.dimensions is not None and asked.dimensions != space.dimension:
        if asked.dimensions > space.dimension:
            raise RequestError(
                f"dimensions is {asked.dimensions}, expected at most {space.dimension}, as {space.model} has",
                param="dimensions",
            )
        rows, space = shortened_rows(rows, space, asked.dimensions)
        found = {"generation": None, "space": space.fingerprint}  # the collection has no vectors of that space
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(row) if asked.is_base64 else row.tolist()}
        for place, row in enumerate(rows)
    ]
    answer = {"object": "list", "model": space.model, **found, "data": data, "usage": _USAGE}
    return JSONResponse(answer, headers=headers_of(found))


def _base64(row: NDArray[np.float32]) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


def models(docs: Collection) -> dict[str, Any]:
    """Return the models that can be asked: the one that serves, under a name that moves and one that does not."""
    answering = docs.answering
    ids = [(LIVE, answering[0]), *((model_id(generation), generation) for generation in answering)]
    return {"object": "list", "data": [_model(id_, generation) for id_, generation in ids]}


def _model(id_: str, generation: Generation) -> dict[str, Any]:
    space = {"name": generation.space.model, "dimensions": generation.space.dimension}
    made = {"object": "model", "created": int(generation.created_at), "owned_by": "revector"}
    return {"id": id_, **made, **named(generation), **space}
