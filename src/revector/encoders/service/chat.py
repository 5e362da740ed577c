"""Any service with an OpenAI-compatible ``/v1/chat/completions``, asked for JSON under a strict schema."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from revector._arguments import number, shown, whole_number
from revector._secrets import Secret
from revector.encoders.service.account import Account
from revector.encoders.service.answers import read_fields, tokens_charged
from revector.encoders.service.api import (
    Endpoint,
    address_of_environment,
    request_headers,
    require_fields,
    service_address,
    service_key,
)
from revector.encoders.service.client import BlamedTextsError, Question, RetryPolicy, ServiceClient
from revector.encoders.service.pacing import Pacer, SpendMeter
from revector.encoders.service.token_counts import counter_for
from revector.errors import InvalidArgumentError, ServiceError

__all__ = ["ChatModel", "ChatOptions", "Said", "Task", "strict_format"]

T = TypeVar("T")

_PATH = "/chat/completions"
_OTHER_TOKENS = 64  # around messages, generously
_BYTES_OF_AN_ANSWER = 4 << 20


class ChatOptions(TypedDict, total=False):
    """Arguments of a `ChatModel` beside its name."""

    base_url: str | None
    api_key: str | Secret | None
    headers: Mapping[str, str | Secret] | None
    fields: Mapping[str, Any] | None
    concurrency: int
    timeout_seconds: float
    price_per_million_tokens: float | None
    spend_cap: float | None
    retries: RetryPolicy | None
    pacer: Pacer | None


@dataclass(frozen=True)
class Said(Generic[T]):
    """What a model said, and what it was charged; `tokens` is ``None`` if the service does not say."""

    value: T
    tokens: int | None


@dataclass(frozen=True)
class Task(Generic[T]):
    """What is asked of a model, over and over with other data.

    Parameters
    ----------
    words : str
        The task; the same for all data, which stands apart from it.
    schema : dict
        Of the JSON that answers it, as `strict_format` takes it.
    read : callable
        Takes what the model wrote, parsed; returns what is made of it. Any ``LookupError``, ``TypeError`` or
        ``ValueError``, and a `ServiceError` with its message, says that the answer cannot be used.
    expected : str
        What `read` expects, for messages.
    """

    words: str
    schema: Mapping[str, Any]
    read: Callable[[Any], T]
    expected: str


def strict_format(name: str, properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of an answer: an object with a list, under a name, of objects with all of some properties."""
    entry = _strict(properties)
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": _strict({name: {"type": "array", "items": entry}})},
    }


def _strict(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


class ChatModel(Account):
    """A language model that answers in JSON. Safe to call from several threads.

    Retries, the pace, prices and the spend cap are as for `OpenAIEncoder`.

    Parameters
    ----------
    model : str
        As the service calls it.
    base_url : str, optional
        Up to the version (``http://localhost:8000/v1``); ``$OPENAI_BASE_URL`` or that of OpenAI by default.
    api_key : str, optional
        ``$OPENAI_API_KEY`` by default. It is never shown.
    headers : mapping of str to str, optional
        Further headers, kept out of sight as well.
    fields : mapping, optional
        Further JSON fields of a request; ``{"temperature": 0}`` by default.
    concurrency : int
        Most requests under way.
    timeout_seconds : float
        Longest silence of the service before an attempt is given up.
    price_per_million_tokens : float, optional
        In any currency; where a service asks more for what it writes, that price.
    spend_cap : float, optional
        In the same currency, over the life of this object.
    retries : RetryPolicy, optional
        When to try again: 3 times within 30 s by default.
    pacer : Pacer, optional
        Holds the account's limits; may be shared with encoders.

    Raises
    ------
    InvalidArgumentError
        An argument cannot be used, or a variable of the environment.
    ImportError
        The extra ``openai`` is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        fields: Mapping[str, Any] | None = None,
        concurrency: int = 8,
        timeout_seconds: float = 30.0,
        price_per_million_tokens: float | None = None,
        spend_cap: float | None = None,
        retries: RetryPolicy | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        try:
            key, sent = service_key(api_key), request_headers({} if headers is None else headers)
            address = address_of_environment() if base_url is None else service_address(base_url, "base_url")
        finally:
            del api_key, headers, base_url  # or a traceback with its locals would show them
        if not isinstance(model, str) or not model:
            raise InvalidArgumentError(f"model is {model!r}, expected a name")
        require_fields("fields", fields)
        for name, value, kind in (("retries", retries, RetryPolicy), ("pacer", pacer, Pacer)):
            if not isinstance(value, (kind, type(None))):
                raise InvalidArgumentError(f"{name} is {shown(value)}, expected a {kind.__name__}")
        self._model, self._count = model, counter_for(model)
        self.concurrency = whole_number(concurrency, "concurrency", least=1)
        money = {"price_per_million_tokens": price_per_million_tokens, "spend_cap": spend_cap}
        self._meter = SpendMeter(*(None if of is None else number(of, name, least=0) for name, of in money.items()))
        self._endpoint = Endpoint(
            address,
            key=key,
            headers=sent,
            timeout_seconds=number(timeout_seconds, "timeout_seconds", above=0),
            connections=self.concurrency,
            path=_PATH,
        )
        self._client = ServiceClient(
            self._endpoint,
            {"model": model, **({"temperature": 0} if fields is None else fields)},
            pacer=pacer or Pacer(),
            meter=self._meter,
            retries=retries or RetryPolicy(attempts=3, deadline_seconds=30.0),
        )

    @property
    def model(self) -> str:
        """As the service calls it."""
        return self._model

    def price_of(self, tokens: int) -> float | None:
        """Return what tokens cost; ``None`` without a price."""
        return self._meter.price_of(tokens)

    def tokens(self, task: Task[Any], given: Any, answer_tokens: int) -> int:
        """Return what a request is charged at most, whose answer has so many tokens at most."""
        return sum(self._count([task.words, _as_json(given)])) + _OTHER_TOKENS + answer_tokens

    def ask(self, task: Task[T], given: Any, answer_tokens: int, stop: threading.Event) -> Said[T]:
        """Set a task on some data, which is sent as JSON, apart from the task's words.

        Parameters
        ----------
        task : Task
        given : JSON value
            The data.
        answer_tokens : int
            Of the answer, at most.
        stop : threading.Event
            Ends every wait with `revector.encoders.service.pacing.Stopped`.

        Raises
        ------
        RateLimitedError
            The service refuses for longer than `retries` waits.
        SpendCapError
            The request could cost more than is left of the spend cap.
        ServiceError
            The service cannot be reached, refuses, or gives an answer that cannot be right.
        """
        messages = [{"role": "system", "content": task.words}, {"role": "user", "content": _as_json(given)}]
        payload = {"response_format": task.schema, **self._client.payload, "messages": messages}
        tokens = self.tokens(task, given, answer_tokens)
        question = Question(payload, lambda body: _read(body, task), tokens, _BYTES_OF_AN_ANSWER)
        try:
            return self._client.ask(question, patience=self._client.patience(), stop=stop)
        except BlamedTextsError as refused:
            error = ServiceError(str(refused), status=refused.status, body=refused.body)
        raise error


def _as_json(given: Any) -> str:
    return json.dumps(given, ensure_ascii=False)


def _read(body: bytes, task: Task[T]) -> Said[T]:
    """Read a completion; errors as for `revector.encoders.service.answers.read_answer`."""
    fields = read_fields(body, "choices")
    try:
        message = fields["choices"][0]["message"]
        if message.get("refusal"):
            raise ServiceError(f"the model refuses: {message['refusal']}")
        value = task.read(json.loads(message["content"]))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ServiceError(f"expected a message of JSON with {task.expected}") from error
    return Said(value, tokens_charged(fields, least=1))
