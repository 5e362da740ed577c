"""OpenAI's batch API: a file of requests, answered within a day at half the price.

Nothing here is charged but the job itself, which is begun once: its metadata carries our handle, and a request to begin
it that got no answer is looked for before it is made again.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any, TypeVar
from urllib.parse import quote

from revector.encoders.batching import BATCH_SHARE, BatchLine, BatchState, LineAnswer, is_passing
from revector.encoders.service.api import Endpoint, Reply, Request
from revector.encoders.service.batch_answers import HANDLE, Said, read_batch, read_batches, read_id, read_line
from revector.encoders.service.client import BlamedTextsError, Question, RetryPolicy, ServiceClient
from revector.encoders.service.pacing import Clock, Pacer, SpendMeter
from revector.encoders.texts import unicode_error
from revector.errors import RateLimitedError, ServiceError, SpendCapError

__all__ = ["BatchApi"]

_EMBEDDINGS = "/v1/embeddings"
_WINDOW = "24h"
_PAGE = 100  # jobs that are listed at a time
_MOST_PAGES = 100
_SETTLING_SECONDS = 5.0  # before a job is looked for whose beginning got no answer: it may just be listed
_READINGS = 3  # of a file that is cut off
_BYTES_OF_AN_ANSWER = 1 << 24
_BYTES_OF_A_FILE = 1 << 36
_GONE = 404

T = TypeVar("T")


class BatchApi:
    """The batch jobs of one model. Safe to share between threads; see `revector.encoders.batching.BatchService`.

    Parameters
    ----------
    endpoint : Endpoint
        Of the service.
    fields : callable
        Returns the fields of every request, beside its text.
    prepare : callable
        Returns texts as the model is to be given them.
    count : callable
        Returns the tokens of each text, at most.
    dimension : callable
        Returns the length of a row.
    require_model : callable
        Raises `ServiceError` if an answer is of another model.
    meter : SpendMeter
        Counts the money.
    retries : RetryPolicy
    clock : Clock
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        fields: Callable[[], Mapping[str, Any]],
        prepare: Callable[[Sequence[str]], list[str]],
        count: Callable[[Sequence[str]], Sequence[int]],
        dimension: Callable[[], int],
        require_model: Callable[[str | None], None],
        meter: SpendMeter,
        retries: RetryPolicy,
        clock: Clock,
    ) -> None:
        self._endpoint, self._fields, self._prepare, self._count = endpoint, fields, prepare, count
        self._dimension, self._require_model = dimension, require_model
        self._meter, self._retries, self._clock = meter, retries, clock

    def lines(self, texts: Mapping[str, str]) -> Iterator[BatchLine]:
        """Yield the requests for texts by content hash; those that are not valid Unicode are left out."""
        prepared = dict(zip(texts, self._prepare(list(texts.values())), strict=True))
        sound = {name: text for name, text in prepared.items() if not unicode_error(text)}
        fields, counts = self._fields(), self._count(list(sound.values()))
        for (name, text), tokens in zip(sound.items(), counts, strict=True):
            asked = {"custom_id": name, "method": "POST", "url": _EMBEDDINGS, "body": {**fields, "input": text}}
            yield BatchLine(name, json.dumps(asked, ensure_ascii=False).encode() + b"\n", tokens)

    def send(self, file: IO[bytes], handle: str, stop: threading.Event) -> str:
        """Send a file of requests; return the service's name for it."""
        part = (f"revector-{handle}.jsonl", file, "application/jsonl")
        return self._ask("POST", "/files", read_id, stop, files={"file": part}, data={"purpose": "batch"})

    def create(self, file_id: str, handle: str, stop: threading.Event) -> BatchState:
        """Begin a job, once: what got no answer is looked for before it is tried again."""
        wanted = {"input_file_id": file_id, "endpoint": _EMBEDDINGS, "completion_window": _WINDOW}
        wanted["metadata"] = {HANDLE: handle}  # type: ignore[assignment]
        once = replace(self._retries, attempts=1)
        for attempt in itertools.count(1):
            try:
                return self._shown(self._ask("POST", "/batches", read_batch, stop, retries=once, json=wanted))
            except (ServiceError, RateLimitedError) as error:
                if not is_passing(error):
                    raise
                self._clock.wait(max(_SETTLING_SECONDS, self._retries.pause(attempt, 1.0)), stop)
                if (found := self.find(handle, stop)) is not None:
                    return found
                if attempt >= self._retries.attempts:
                    raise
        raise AssertionError("unreachable")

    def find(self, handle: str, stop: threading.Event) -> BatchState | None:
        """Return the job of a handle, if the service has it."""
        after: str | None = ""
        for _ in range(_MOST_PAGES):
            params = {"limit": _PAGE, **({"after": after} if after else {})}
            page, after = self._ask("GET", "/batches", read_batches, stop, params=params)
            if (found := next((each for each in page if each.handle == handle), None)) is not None:
                return self._shown(found)
            if after is None:
                break
        return None

    def look(self, id_: str, stop: threading.Event) -> BatchState | None:
        """Return how far a job is; ``None`` if the service has no such job."""
        return self._of_job("GET", f"/batches/{quote(id_, safe='')}", stop)

    def cancel(self, id_: str, stop: threading.Event) -> BatchState | None:
        """Call a job off; what it has done is charged, and can be read."""
        return self._of_job("POST", f"/batches/{quote(id_, safe='')}/cancel", stop)

    def _of_job(self, method: str, path: str, stop: threading.Event) -> BatchState | None:
        try:
            state = self._ask(method, path, read_batch, stop)
        except ServiceError as error:
            if error.status == _GONE:
                return None
            raise
        return self._shown(state)

    def _shown(self, state: BatchState) -> BatchState:
        """Return a state without anything that was sent as a header; its name is written down and sent again."""
        if self._endpoint.shown(state.id) != state.id:
            raise ServiceError("the service calls a job by something that cannot be written down", status=400)
        return replace(state, status=self._endpoint.shown(state.status), error=self._endpoint.shown(state.error))

    def answers(self, state: BatchState, stop: threading.Event) -> Iterator[LineAnswer]:
        """Yield the answers and errors of a job that is over, in any order; one may come twice.

        Files that are cut off, or hold fewer lines than the service has counted, are read again, a few times.
        """
        for _ in range(_READINGS):
            n_lines, is_whole = 0, True
            for name in state.files:
                for answer in self._read(name, stop):
                    n_lines += 1
                    is_whole &= answer is not None
                    if answer is not None:
                        yield replace(answer, reason=self._endpoint.shown(answer.reason))
            if is_whole and n_lines >= state.completed:
                return

    def _read(self, name: str, stop: threading.Event) -> Iterator[LineAnswer | None]:
        """Yield what the lines of a file say; ``None`` for one that cannot be read."""
        dimension = self._dimension()
        with tempfile.TemporaryFile() as file:
            self._ask("GET", f"/files/{quote(name, safe='')}/content", _unread_body, stop, into=file)
            file.seek(0)
            for line in file:
                if line.strip():
                    yield read_line(line, dimension=dimension, require_model=self._require_model)

    def price_of(self, tokens: int) -> float | None:
        """Return what tokens of a job cost; ``None`` without a price."""
        return self._meter.price_of(tokens * BATCH_SHARE)

    def room(self) -> int | None:
        """Return how many tokens of jobs the spend cap leaves; ``None`` without a cap."""
        return self._meter.room(BATCH_SHARE)

    @property
    def spend_cap(self) -> float | None:
        """The most that the model may cost; ``None`` without a cap."""
        return self._meter.cap

    def note_job(self, handle: str, tokens: int, *, paid: bool) -> None:
        """Count a job towards the spend cap: what it costs at most, or has cost, in place of what was noted before."""
        self._meter.note_job(handle, tokens, share=BATCH_SHARE, paid=paid)

    def drop_job(self, handle: str) -> None:
        """Count a job no longer: it is not done."""
        self._meter.drop_job(handle)

    def adopt_job(self, handle: str, tokens: int) -> None:
        """Count a job towards the spend cap that another process has sent or paid, unless it is counted."""
        if not self._meter.knows_job(handle):
            self.note_job(handle, tokens, paid=False)

    def refusal(self) -> SpendCapError:
        """Return the error for a text that the spend cap does not leave room for."""
        return self._meter.refusal((self.room() or 0) * BATCH_SHARE + 1)

    def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], Said[T]],
        stop: threading.Event,
        *,
        into: IO[bytes] | None = None,
        retries: RetryPolicy | None = None,
        **content: Any,
    ) -> T:
        """Ask the service something that costs nothing, for as long as that may help.

        Raises
        ------
        RateLimitedError, ServiceError
            It refuses for now; it fails, or refuses.
        """
        most = _BYTES_OF_AN_ANSWER if into is None else _BYTES_OF_A_FILE
        request = Request(method, self._endpoint.address + path, content, into)
        client = ServiceClient(
            _Place(self._endpoint, request),
            {},
            pacer=Pacer(clock=self._clock),
            meter=SpendMeter(),
            retries=retries or self._retries,
        )
        try:
            return client.ask(Question({}, read, 0, most), patience=client.patience(), stop=stop).value
        except BlamedTextsError as refused:  # there are no texts to blame
            error = ServiceError(str(refused), status=refused.status, body=refused.body)
        raise error


class _Place:
    """One request of an endpoint, asked again and again as a `ServiceClient` does."""

    def __init__(self, endpoint: Endpoint, request: Request) -> None:
        self._endpoint, self._request, self.url = endpoint, request, request.url

    def post(self, payload: Mapping[str, Any], *, most_bytes: int) -> Reply:
        """Send the request; what an earlier attempt has written is dropped."""
        if self._request.into is not None:
            self._request.into.seek(0)
            self._request.into.truncate()
        return self._endpoint.send(self._request, most_bytes=most_bytes)

    def shown(self, said: str | bytes) -> str:
        """Return the beginning of what somebody said, without secrets."""
        return self._endpoint.shown(said)


def _unread_body(_: bytes) -> Said[None]:
    return Said(None)
