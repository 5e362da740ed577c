"""PostgreSQL: an application that goes on beside a migration, how fast a generation fills, and ten million rows.

``application``: a table of 200,000 rows with an index over its vectors, one process that writes to it in plain SQL,
one that reads what serves by prepared statements, and one that follows what is written (`pg_application`); meanwhile
the table is adopted and moved to another model, there, back, and there again, and given back at last, beside an
application that only inserts by then. No read may fail, no write be lost, and in the end every vector is that of its
row's present text. ``rate``: rows a second of vectors that are at hand and of
whole migrations, what the queue takes of a document, and the triggers of a statement (`pg_rates`). ``vecshift``: the
same table moved by vecshift and by us, with one local service. ``scale``: rows that the database has generated are
planned, and some claimed at the beginning, in the middle and near the end, beside a writer (`pg_scale`).

The server is one of the benchmark's own (`pg_server`), with ``fsync``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from common import Report
from live_load import Load, Request, Timeline, failures, percentile
from pg_application import (
    READS_A_SECOND,
    WRITES_A_SECOND,
    adopt,
    follow,
    insert,
    make_table,
    models,
    read,
    release,
    require_given_back,
    require_right,
    write,
)
from pg_rates import bench_rates, bench_vecshift
from pg_scale import bench_scale
from pg_server import database, described, running
from revector import Collection, Migration
from revector.errors import GateRefusedError
from revector.ledger.state import Phase

PARTS = ("application", "rate", "vecshift", "scale")
PATIENCE_SECONDS = 300.0


def awaited(question: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not question():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def verified(timeline: Timeline, migration: Migration) -> bool:
    """Verify; what was written in the moment may be refused."""
    result = migration.verify()
    timeline.refusals += result.reasons
    return result.passed


def cut_over(timeline: Timeline, migration: Migration) -> bool:
    """Let readers see the new model's vectors, unless a gate refuses."""
    try:
        migration.cutover()
    except GateRefusedError as error:
        timeline.refusals.append(str(error))
    return migration.phase is Phase.SERVING


def there(timeline: Timeline, migration: Migration, again: str) -> None:
    """Move the collection to the new model; the follower embeds."""
    with timeline.phase(f"start{again}"):
        migration.start()
    with timeline.phase(f"filling{again}"):
        awaited(lambda: migration.phase is Phase.PROVING)
    with timeline.phase(f"verify{again}"):
        awaited(lambda: verified(timeline, migration))
    with timeline.phase(f"cut-over{again}"):
        awaited(lambda: cut_over(timeline, migration))


def there_and_back(timeline: Timeline, documents: Collection, seconds: float) -> None:
    """Move the collection, go back, move it again, and delete the old generation."""
    migration = documents.migrate(models()[1], retention_seconds=0)
    there(timeline, migration, "")
    timeline.wait("serving", seconds)
    with timeline.phase("rollback"):
        migration.rollback()
    timeline.wait("rolled back", seconds)
    there(timeline, migration, " again")
    timeline.wait("serving again", seconds)
    with timeline.phase("retire"):
        migration.retire(confirm=True)
    timeline.wait("after", seconds)


def row(timeline: Timeline, phase: str, writes: Sequence[Request], reads: Sequence[Request]) -> dict[str, Any]:
    """Return the figures of a phase; a pause is how long a statement took, whatever was before it in the queue."""
    written, asked = timeline.beside(phase, writes), timeline.beside(phase, reads)
    return {
        "phase": phase,
        "seconds": timeline.seconds(phase),
        "writes": len(written),
        "write p99 ms": percentile(written, 99, since="sent"),
        "longest write ms": percentile(written, 100, since="sent"),
        "reads": len(asked),
        "read p50 ms": percentile(asked, 50, since="sent"),
        "read p99 ms": percentile(asked, 99, since="sent"),
        "read p99 from due ms": percentile(asked, 99),
        "failed": len(failures([*written, *asked])),
    }


def bench_application(report: Report, server: str) -> None:
    """Tell the whole story of an application whose table is adopted."""
    n, seconds = (400, 0.3) if report.smoke else (report.options.rows, 15.0)
    timeline, reads = Timeline(), []
    with database(server, "application") as url:
        make_table(url, n)
        writer = Load(write, url, n)
        timeline.wait("before", seconds)
        with timeline.phase("adopt"):
            adopt(url)
        follower, reader = Load(follow, url), Load(read, url, n)
        timeline.wait("idle", seconds)
        with Collection.open(f"{url}#docs", encoders=models()) as documents:
            try:
                there_and_back(timeline, documents, seconds)
            finally:  # whatever ended it: what was measured until then is reported
                written, reads = writer.finish(), reader.finish()
                phases = dict.fromkeys(phase.name for phase in timeline.phases)
                title = f"{n} rows, {WRITES_A_SECOND:g} writes/s, {READS_A_SECOND:g} reads/s"
                report.table(title, [row(timeline, phase, written.requests, reads) for phase in phases])
            backend, serving = documents._backend, documents._backend.generations.alias("live").generation
            awaited(lambda: not backend.generations.count_stale(serving))
        rows = require_right(url, n, written)
        inserter = Load(insert, url)
        with timeline.phase("release"):
            release(url)
        inserted = inserter.finish()
        follower.finish()
        report.table(f"{n} rows, {WRITES_A_SECOND:g} inserts/s", [row(timeline, "release", inserted, [])])
        failed = failures([*written.requests, *reads, *inserted])
        assert not failed, f"{len(failed)} requests failed: {', '.join(sorted(set(failed))[:3])}"
        lacking = require_given_back(url)
        report.note(
            "in the end", right_rows=rows, failed_requests=0, refusals=timeline.refusals, rows_after_release=lacking
        )


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--rows", type=int, default=200_000, help="of `application` and `rate`")
    parser.add_argument("--vecshift", type=int, default=20_000, help="rows of `vecshift`")
    parser.add_argument("--scale", type=int, default=1_000_000, help="rows of `scale`")
    parser.add_argument("--minilm", type=int, default=2_000, help="documents of `rate`, MiniLM")


def main() -> None:
    """Run the parts that are asked for."""
    report = Report.from_arguments("postgres", rounds=3, parts=PARTS, default_parts=PARTS, more=more)
    with running() as server:
        report.note("the server", **described(server))
        if "application" in report.parts:
            bench_application(report, server)
        if "rate" in report.parts:
            bench_rates(report, server, 400 if report.smoke else report.options.rows)
        if "vecshift" in report.parts:
            bench_vecshift(report, server, 400 if report.smoke else report.options.vecshift)
        if "scale" in report.parts:
            bench_scale(report, server, 20_000 if report.smoke else report.options.scale)
    report.finish()


if __name__ == "__main__":
    main()
