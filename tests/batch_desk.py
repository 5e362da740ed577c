"""The batch jobs of the service of the tests: honest by default, in an order of its own, or whatever else."""

from __future__ import annotations

import base64
import json
import random
import re
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services import MODEL, Behaviour, Exchange, closes, tokens_of

Lines = list[dict[str, Any]]


@dataclass
class Job:
    """A batch job, as the service has it."""

    id: str
    lines: Lines
    metadata: dict[str, str]
    looks_left: int
    status: str = "in_progress"
    output: str | None = None
    errors: str | None = None
    failed: list[dict[str, str]] = field(default_factory=list)
    answered: int = 0
    tokens: int = 0

    @property
    def texts(self) -> list[str]:
        return [line["body"]["input"] for line in self.lines]

    def document(self) -> dict[str, Any]:
        counts = {"total": len(self.lines), "completed": self.answered, "failed": 0}
        found = {"object": "batch", "id": self.id, "status": self.status, "metadata": self.metadata}
        found |= {"request_counts": counts, "output_file_id": self.output, "error_file_id": self.errors}
        found |= {"errors": {"object": "list", "data": self.failed} if self.failed else None}
        return found | ({"usage": {"total_tokens": self.tokens}} if self.tokens else {})


def lost_answer(desk: BatchDesk, exchange: Exchange, answer: Callable[[], Any]) -> None:
    """Do what was asked, and hang up."""
    answer()
    closes(exchange)


def refusing(behave: Behaviour) -> Callable[[BatchDesk, Exchange, Callable[[], Any]], None]:
    """Do nothing of what was asked, and answer something else."""
    return lambda desk, exchange, answer: behave(exchange)


@dataclass
class BatchDesk:
    """Files and jobs.

    Attributes
    ----------
    looks : int
        How often a job is looked at before it is over.
    refuses : callable
        Tells whether a text gets an error in place of a row.
    ends : str
        ``"completed"``; after half of the texts: ``"expired"``.
    changes : callable
        Makes other answers of the lines of answers.
    cuts : int
        So many times a file of answers is cut off in the middle.
    most_tokens : int
        That may be out at a time.
    script : dict of str to deque
        What to do with the next requests whose method and path match, such as ``"POST /batches$"``.
    """

    looks: int = 1
    refuses: Callable[[str], bool] = lambda text: False
    ends: str = "completed"
    changes: Callable[[Lines], Lines] = lambda lines: lines
    cuts: int = 0
    most_tokens: int = 1 << 60
    script: dict[str, deque[Any]] = field(default_factory=dict)
    says_usage: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    paid: Counter[str] = field(default_factory=Counter)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def then(self, pattern: str, *behaviours: Any) -> BatchDesk:
        self.script.setdefault(pattern, deque()).extend(behaviours)
        return self

    @property
    def tokens(self) -> int:
        """Tokens that jobs were charged."""
        return sum(job.tokens for job in self.jobs.values())

    @property
    def tokens_out(self) -> int:
        out = [job for job in self.jobs.values() if job.status == "in_progress"]
        return sum(tokens_of(text) for job in out for text in job.texts)

    def handle(self, exchange: Exchange, method: str, path: str, body: bytes) -> None:
        with self._lock:
            parts = urlsplit(path)
            said = f"{method} {parts.path}"
            self.asked.append(said)
            self.keys.add(exchange.headers.get("authorization", ""))
            waiting = next((self.script[p] for p in self.script if re.search(p, said) and self.script[p]), None)
            answer = lambda: self._answer(said, parse_qs(parts.query), body)  # noqa: E731
            if waiting:
                waiting.popleft()(self, exchange, answer)
                return
            status, found = answer()
            exchange.send(status, found)

    def _answer(self, said: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        if said == "POST /files":
            return self._new_file(re.search(rb"\r\n\r\n(\{.*?)\r\n--", body, re.DOTALL)[1])
        if said == "POST /batches":
            return self._new_job(json.loads(body))
        if said == "GET /batches":
            return self._page(query.get("after", [""])[0])
        name = said.split("/")[2]
        if said.startswith("GET /files") and name in self.files:
            return 200, self._content(name)
        if name not in self.jobs:
            return 404, {"error": {"message": f"no {name}"}}
        if said.endswith("/cancel"):
            self._end(self.jobs[name], "cancelled", share=0.5)
        return 200, self._looked_at(self.jobs[name])

    def _new_file(self, content: bytes) -> tuple[int, Any]:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return 200, {"object": "file", "id": name, "purpose": "batch"}

    def _new_job(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        lines = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines() if line]
        assert (wanted["endpoint"], wanted["completion_window"]) == ("/v1/embeddings", "24h")
        assert len({line["custom_id"] for line in lines}) == len(lines)
        job = Job(f"batch_{len(self.jobs)}", lines, wanted["metadata"], self.looks)
        if self.tokens_out + sum(map(tokens_of, job.texts)) > self.most_tokens:
            job.status, job.failed = "failed", [{"code": "token_limit_exceeded", "message": "too many tokens are out"}]
        self.jobs[job.id] = job
        return 200, job.document()

    def _page(self, after: str) -> tuple[int, Any]:
        newest_first = list(reversed(self.jobs.values()))
        start = 0 if not after else 1 + [job.id for job in newest_first].index(after)
        page = newest_first[start : start + 2]
        return 200, {"data": [job.document() for job in page], "has_more": start + 2 < len(newest_first)}

    def _looked_at(self, job: Job) -> dict[str, Any]:
        if job.status == "in_progress":
            job.looks_left -= 1
            if job.looks_left < 0:
                self._end(job, self.ends, share=1.0 if self.ends == "completed" else 0.5)
        return job.document()

    def _end(self, job: Job, status: str, *, share: float) -> None:
        """Answer a share of the texts, in an order of its own."""
        if job.status != "in_progress":
            return
        done = random.Random(job.id).sample(job.lines, round(share * len(job.lines)))
        sound = [line for line in done if not self.refuses(line["body"]["input"])]
        answers = self.changes([self._answered(line) for line in sound])
        refused = [self._refused(line) for line in done if self.refuses(line["body"]["input"])]
        job.status, job.answered = status, len(sound)
        self.paid.update(line["body"]["input"] for line in sound)
        job.tokens = sum(tokens_of(line["body"]["input"]) for line in sound) if self.says_usage else 0
        job.output = self._new_file(_written(answers))[1]["id"] if answers else None
        job.errors = self._new_file(_written(refused))[1]["id"] if refused else None

    def _answered(self, line: dict[str, Any]) -> dict[str, Any]:
        text = line["body"]["input"]
        row = 3 * MODEL.encode([text])[0]
        written = base64.b64encode(row.astype("<f4").tobytes()).decode()
        usage = {"prompt_tokens": tokens_of(text), "total_tokens": tokens_of(text)}
        data = [{"object": "embedding", "index": 0, "embedding": written}]
        body = {"object": "list", "data": data, "model": line["body"]["model"], "usage": usage}
        return {
            "id": "r",
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "body": body},
            "error": None,
        }

    def _refused(self, line: dict[str, Any]) -> dict[str, Any]:
        body = {"error": {"message": "this text is not taken"}}
        return {"custom_id": line["custom_id"], "response": {"status_code": 400, "body": body}, "error": None}

    def _content(self, name: str) -> bytes:
        content = self.files[name]
        if self.cuts and any(job.output == name for job in self.jobs.values()):
            self.cuts -= 1
            return content[: len(content) // 2]
        return content


def _written(lines: Lines) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
