"""The routes of a gateway, and what holds of each: who may ask, how much, and how a failure is said."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from revector import _optional
from revector._secrets import Secret
from revector.collection import Collection
from revector.errors import RevectorError
from revector.gateway.batching import Batcher
from revector.gateway.bodies import Bodies
from revector.gateway.embeddings import Asked, Embeddings, models
from revector.gateway.failures import RequestError, answer_to
from revector.gateway.hearing import feedback_of
from revector.gateway.limits import Limits
from revector.gateway.searching import Searches
from revector.gateway.tokens import require_token
from revector.gateway.writing import Writes
from revector.metrics import Metric, registry_of
from revector.rerank.base import Reranker

__all__ = ["Gateway"]

_LOOK_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)

Respond = Callable[[Request], Awaitable[Response]]


class Gateway:
    """A collection as an ASGI application. Belongs to one event loop, and does not close the collection.

    Parameters
    ----------
    docs : Collection
    token : Secret, optional
        Whoever asks for anything but its health has to bring it.
    reranker : Reranker, optional
        Of the searches that ask for one.
    limits : Limits, optional
    """

    def __init__(
        self,
        docs: Collection,
        *,
        token: Secret | None = None,
        reranker: Reranker | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._docs, self._token, self._bodies = docs, token, Bodies(limits)
        self._embeddings = Embeddings(docs, limits)
        self._searches = Searches(docs, limits, reranker)
        self._writes = Writes(docs, limits)
        self._answers: Counter[int] = Counter()
        self.app = Starlette(
            routes=[
                Route("/v1/embeddings", self._asked(self._embed), methods=["POST"]),
                Route("/v1/models", self._asked(self._models), methods=["GET"]),
                Route("/search", self._asked(self._search), methods=["POST"]),
                Route("/documents", self._asked(self._write), methods=["POST"]),
                Route("/feedback", self._asked(self._hear), methods=["POST"]),
                Route("/metrics", self._asked(self._metrics), methods=["GET"]),
                Route("/healthz", _healthy, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _not_there},
            lifespan=self._life,
        )
        self.app.router.redirect_slashes = False

    @property
    def _batchers(self) -> dict[str, Batcher[Any, Any, Any]]:
        return {
            "embeddings": self._embeddings.batcher,
            "search": self._searches.texts,
            "rerank": self._searches.reranked,
            "vectors": self._searches.vectors,
            "documents": self._writes.batcher,
        }

    @asynccontextmanager
    async def _life(self, _app: Starlette) -> AsyncIterator[None]:
        for batcher in self._batchers.values():
            batcher.start()
        watching = asyncio.get_running_loop().create_task(self._load_new_models())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            for batcher in self._batchers.values():
                await batcher.close()

    async def _load_new_models(self) -> None:
        """Load the model of a migration when it begins, so that no request after its cut-over waits for it."""
        while True:
            try:
                await asyncio.to_thread(self._docs.load_models)
            except Exception as error:  # a model may fail as it likes: requests that need it say so
                _log.warning("the models of the collection could not be looked at: %s", error)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _asked(self, respond: Respond) -> Respond:
        """Return what answers a request of somebody who may ask; a failure is an answer, too."""

        async def answer(request: Request) -> Response:
            try:
                if self._token is not None:
                    require_token(request.headers.get("authorization"), self._token)
                response = await respond(request)
            except Exception as error:
                response = answer_to(error)
            self._answers[response.status_code] += 1
            return response

        return answer

    async def _embed(self, request: Request) -> Response:
        with self._bodies.holding() as held:
            body = await self._bodies.read(request, held)
            return await self._embeddings.answer(Asked.of(body, self._bodies.limits))

    async def _search(self, request: Request) -> Response:
        with self._bodies.holding() as held:
            return JSONResponse(await self._searches.answer(await self._bodies.read(request, held)))

    async def _write(self, request: Request) -> Response:
        with self._bodies.holding() as held:
            return JSONResponse(await self._writes.answer(await self._bodies.read(request, held)))

    async def _hear(self, request: Request) -> Response:
        with self._bodies.holding() as held:
            said = feedback_of(await self._bodies.read(request, held))
            await asyncio.to_thread(self._docs.record_feedback, **said)
        return Response(status_code=204)

    async def _models(self, _request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(models, self._docs))

    async def _metrics(self, _request: Request) -> Response:
        client = _optional.require("prometheus_client", extra="metrics", purpose="/metrics")
        measured = list(self._measured())  # here, where nothing is counted meanwhile
        registry = registry_of(self._docs, lambda: measured)
        text = await asyncio.to_thread(client.generate_latest, registry)
        return Response(text, media_type=client.CONTENT_TYPE_LATEST)

    def _measured(self) -> Iterator[Metric]:
        for status, count in sorted(self._answers.items()):
            yield Metric("revector_gateway_answers", "Since it was started.", count, {"status": str(status)})
        for work, batcher in self._batchers.items():
            yield Metric("revector_gateway_waiting", "Texts that wait.", batcher.waiting, {"work": work})
            yield Metric("revector_gateway_calls", "Since it was started.", batcher.calls, {"work": work})
            yield Metric("revector_gateway_texts", "In these calls.", batcher.answered, {"work": work})

    async def _ready(self, _request: Request) -> Response:
        try:
            await asyncio.to_thread(lambda: self._docs.answering)
        except RevectorError as error:
            _log.warning("the collection cannot be asked: %s", error)
            return PlainTextResponse("the collection cannot be asked\n", 503)
        return PlainTextResponse("ready\n")


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path[:80]}: {error.detail}"
    return answer_to(RequestError(said, status=error.status_code, code="not_found"))
