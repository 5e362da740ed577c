"""Logs for programs: a JSON object a line on stderr, and among them how far a run is."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from revector.cli.printing import strict
from revector.migration.filling.progress import Progress

PROGRESS_EVERY_SECONDS = 10.0

_log = logging.getLogger("revector.progress")


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: ``at``, ``level``, ``logger``, ``message``, and its ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        said = {"at": record.created, "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        fields = getattr(record, "fields", {})
        return json.dumps(strict({**said, "message": record.getMessage(), **fields}), ensure_ascii=True)


@contextmanager
def json_logs(*, wanted: bool) -> Iterator[None]:
    """Write what is logged as JSON lines to stderr, for as long as the ``with`` block runs, if that is wanted."""
    if not wanted:
        yield
        return
    handler, root = logging.StreamHandler(), logging.getLogger("revector")
    handler.setFormatter(JsonLines())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def logged(show: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return what shows progress, and logs it every ten seconds and at the end."""
    next_at = 0.0

    def update(progress: Progress) -> None:
        nonlocal next_at
        show(progress)
        if time.monotonic() >= next_at or progress.done == progress.total:
            next_at = time.monotonic() + PROGRESS_EVERY_SECONDS
            said = {**dataclasses.asdict(progress), "share": progress.share}
            _log.info("%d of %d documents", progress.done, progress.total, extra={"fields": said})

    return update
