"""Millions of rows that the database has generated: planned and claimed beside a writer, in little memory."""

from __future__ import annotations

import statistics
import time
from typing import Any

from common import Report
from live_load import Load, Timeline, failures, percentile
from memory_watch import in_process, status_mb
from pg_application import TABLE_STATEMENT, adopt, models, write
from pg_server import connected, database
from revector import Collection
from revector.ledger.owners import new_owner

CLAIMED, CLAIMS, LEASE_SECONDS = 256, 20, 600.0
LONGEST_WRITE_MS, MOST_GROWN_MB = 1_000.0, 100.0
_GENERATE = """
INSERT INTO docs (id, body, price)
SELECT i, 'document ' || i || ' about subject ' || i % 9973 || ' and theme ' || i % 97, 0
FROM generate_series(0, {} - 1) AS i
"""
_SETTLE = """
DELETE FROM revector_docs.jobs WHERE generation = %(generation)s AND document_key IN (
    SELECT document_key FROM revector_docs.jobs WHERE generation = %(generation)s AND state = 'pending'
    ORDER BY priority, turn, document_key LIMIT %(n)s
)
"""


def bench_scale(report: Report, server: str, n: int) -> None:
    """Adopt, start, and claim; assert that memory stays flat and that nobody waits for long."""
    timeline = Timeline()
    with database(server, "scale") as url:
        with connected(url) as connection:
            connection.execute(TABLE_STATEMENT.format(models()[0].space.dimension))
            connection.execute(_GENERATE.format(n))
            connection.execute("VACUUM ANALYZE docs")
        writer = Load(write, url, n)
        grown: dict[str, float] = {}
        for verb in (_adopt, _start):
            name = verb.__name__.strip("_")
            with timeline.phase(name):
                watched = in_process(verb, url)
            grown[name] = watched.peak(0.0, time.monotonic()) - watched.result
        rows = _claims(url, n, timeline)
        written = writer.finish().requests
    errors = failures(written)
    assert not errors, f"{len(errors)} writes failed: {errors[0]}"
    report.table(f"claims of {CLAIMED} at {n} rows", rows)
    longest = {
        phase.name: percentile(timeline.beside(phase.name, written), 100, since="sent") for phase in timeline.phases
    }
    seconds = {name: timeline.seconds(name) for name in ("adopt", "start")}
    report.note(f"{n} rows", seconds=seconds, longest_write_ms=longest, grown_mb=grown)
    if not report.smoke:
        assert max(longest.values()) < LONGEST_WRITE_MS, f"a write waited for {max(longest.values()):.0f} ms"
    assert max(grown.values()) < MOST_GROWN_MB, f"memory grew by {grown} MB"


def _adopt(url: str) -> float:
    before = status_mb("RssAnon")
    adopt(url)
    return before


def _start(url: str) -> float:
    with Collection.open(f"{url}#docs", encoders=models()) as documents:
        before = status_mb("RssAnon")
        documents.migrate(models()[1]).start()
        return before


def _claims(url: str, n: int, timeline: Timeline) -> list[dict[str, Any]]:
    """Claim at several places of the queue; what is between them is taken away."""
    rows, done = [], 0
    with Collection.open(f"{url}#docs", encoders=models()) as documents:
        jobs, owner = documents._backend.ledger.jobs, new_owner()
        generation = documents.migration.record.target_generation  # type: ignore[union-attr]
        for place, share in (("beginning", 0.0), ("middle", 0.5), ("near the end", 0.99)):
            at = min(int(n * share), n - CLAIMED * CLAIMS * 3)
            with connected(url) as connection:
                connection.execute(_SETTLE, {"generation": generation, "n": max(0, at - done)})
                connection.execute("VACUUM revector_docs.jobs")
            done, seconds = at, []
            with timeline.phase("claims"):
                for _ in range(CLAIMS):
                    began = time.perf_counter()
                    claimed = len(jobs.claim(generation, owner, CLAIMED, LEASE_SECONDS))
                    seconds.append(time.perf_counter() - began)
                    assert claimed == CLAIMED, f"{claimed} jobs claimed, not {CLAIMED}"
            rows.append({"place": place, "claim ms": statistics.median(seconds) * 1e3})
            jobs.release(owner)
    return rows
