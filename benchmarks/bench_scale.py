"""What a migration costs beside its encoder, and whether that grows with the collection.

``verbs``: for collections of several sizes, every verb of a migration in a process of its own: how long it takes, how
long a writer in another process (20 small documents a second) waited for one at most, and by how much the verb's memory
grew at its peak. ``--model wordllama`` moves words of real texts from WordLlama's first 128 dimensions to all 256; else
the encoder costs nothing (`free_encoder`). ``claims``: ten million documents are planned, and 256 of them claimed at
the beginning, in the middle and near the end. ``rate``: documents a second of ``run`` beside those of the bare encoder
at its best batch size, and the difference as microseconds a document; and what SQLite takes of them, by SQL that leases
every job and lands a vector for it.

Memory is told twice. *Grown* are all pages (VmHWM): those of mapped files are among them, although they belong to the
page cache, processes share them, and they are taken back when memory is short. *Anonymous* are the process's own pages
(RssAnon, looked at every 20 ms). *Graph* is what the process had mapped of graphs in the end; no verb may grow by more
than 150 MB beyond it, all pages counted.

Documents are short and unique. ``scale_page.py`` makes a page of the figures.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from common import Report
from free_encoder import FreeEncoder
from live_load import Load, Request, Timeline, failures, lost, percentile, write
from live_texts import real_texts, spliced_texts
from memory_watch import in_process, mapped_mb, status_mb
from migrating import halved, ingested, migrate, timed
from raw_store import claims, insert_documents, plain_seconds, settle
from revector import Collection, Encoder, Migration
from revector.backends.contracts import ROWS_AT_ONCE
from revector.encoders.base import TextEncoder
from revector.formats.named_models import fetch_model

PARTS = ("verbs", "claims", "rate")
WRITES_A_SECOND = 20.0
CLAIMED, CLAIMS = 256, 20
BATCHES = (64, 1024, 4096)
PASSAGE, WHOLE = 250, 100_000  # characters at most
BEYOND_GRAPH_MB = 150.0


def verified(migration: Migration) -> None:
    """Verify, and insist on a pass."""
    result = migration.verify()
    assert result.passed, f"the verification failed: {', '.join(result.reasons)}"


VERBS: dict[str, Callable[[Migration], object]] = {
    "start": lambda migration: migration.start(),
    "run": lambda migration: migration.run(),
    "verify": verified,
    "cutover": lambda migration: migration.cutover(),
    "rollback": lambda migration: migration.rollback(),
    "start again": lambda migration: migration.start(),
    "run again": lambda migration: migration.run(),
    "verify again": verified,
    "cutover again": lambda migration: migration.cutover(),
    "retire": lambda migration: migration.retire(confirm=True, force=True),
}
SMOKE_VERBS = ("start", "run", "verify", "cutover", "rollback", "retire")


def short_texts(n: int) -> Iterator[str]:
    """Yield texts of a few words, none twice."""
    return (f"document {i} about subject {i % 9973} and theme {i % 97}" for i in range(n))


def models() -> tuple[FreeEncoder, FreeEncoder]:
    """Return the old and the new model."""
    return FreeEncoder(1), FreeEncoder(2)


Encoders = Callable[[], tuple[TextEncoder, TextEncoder]]
"""Loads the old and the new model, in the process that will use them: a function that can be pickled."""


class Material(NamedTuple):
    """What collections are made of."""

    title: str
    encoders: Encoders
    texts: Callable[[int], Iterator[str]]


def static_models(small: Path) -> tuple[TextEncoder, TextEncoder]:
    """Load WordLlama cut to half of its dimensions, and all of it."""
    return Encoder.from_pretrained(small), Encoder.from_pretrained(fetch_model("wordllama"))


def material(model: str, folder: Path) -> Material:
    """Return the material of a model; what it has to write goes into the folder."""
    if model == "free":
        return Material("free encoder", models, short_texts)
    return Material("wordllama", partial(static_models, halved(folder)), spliced_texts)


def opened(path: Path, encoders: Encoders = models) -> Collection:
    """Open the collection with both models."""
    return Collection.open(path, encoders=encoders())


class Performed(NamedTuple):
    """When a verb began and ended, the MB by which its process grew at the peak, and those of graphs that it mapped."""

    begin: float
    end: float
    grown_mb: float
    anonymous_mb: float
    graph_mb: float


def performed(path: Path, encoders: Encoders, verb: str) -> Performed:
    """Run a verb in a process of its own."""
    watched = in_process(_perform, path, encoders, verb)
    done, before = watched.result
    seen = watched.peak(done.begin, done.end) - before
    return done._replace(anonymous_mb=max(done.anonymous_mb, seen))


def _perform(path: Path, encoders: Encoders, verb: str) -> tuple[Performed, float]:
    """Run a verb in this process; return what its end shows, and its anonymous memory before."""
    with opened(path, encoders) as documents:
        migration = documents.migrate(encoders()[1]) if verb == "start" else documents.migration
        assert migration is not None
        Path("/proc/self/clear_refs").write_text("5")  # the peak is that from now on
        before, anonymous, begin = status_mb("VmRSS"), status_mb("RssAnon"), time.monotonic()
        VERBS[verb](migration)
        end, grown = time.monotonic(), status_mb("VmHWM") - before
        return Performed(begin, end, grown, status_mb("RssAnon") - anonymous, mapped_mb(".graph")), anonymous


def under_writes(report: Report, path: Path, n: int, verbs: Sequence[str], made_of: Material) -> None:
    """Run verbs one after the other beside a writer; assert that none failed or was lost, and what memory took."""
    open_it = partial(opened, path, made_of.encoders)
    writer = Load(write, open_it, n, list(made_of.texts(100)), WRITES_A_SECOND)
    timeline, done = Timeline(), dict[str, Performed]()
    try:
        for verb in verbs:
            done[verb] = performed(path, made_of.encoders, verb)
            timeline.note(verb, done[verb].begin, done[verb].end)
    finally:  # whatever ended it: what was measured until then is reported
        written = writer.finish()
        if done:
            rows = [_row(timeline, n, verb, written.requests, done[verb]) for verb in done]
            report.table(f"verbs at {n} documents, {made_of.title}", rows)
    failed = [f"{row['failed writes']} in {row['verb']} ({row['error']})" for row in rows if row["failed writes"]]
    counted = report.options.faults == "counted"
    assert counted or not failed, f"writes failed: {', '.join(failed)}"
    with open_it() as documents:
        gone = lost(documents, written)
    assert not gone, f"{len(gone)} acknowledged writes are lost: {gone[:5]}"
    large = [verb for verb, each in done.items() if each.grown_mb - each.graph_mb > BEYOND_GRAPH_MB]
    assert counted or not large, f"memory grew by more than {BEYOND_GRAPH_MB} MB beyond the graph: {', '.join(large)}"


def _row(timeline: Timeline, n: int, verb: str, writes: Sequence[Request], done: Performed) -> dict[str, Any]:
    beside = timeline.beside(verb, writes)
    errors = failures(beside)
    return {
        "documents": n,
        "verb": verb,
        "seconds": timeline.seconds(verb),
        "longest write ms": percentile(beside, 100, since="sent"),
        "writes": len(beside),
        "failed writes": len(errors),
        "grown MB": done.grown_mb,
        "anonymous MB": done.anonymous_mb,
        "graph MB": done.graph_mb,
        "error": errors[0] if errors else "",
    }


def bench_verbs(report: Report, sizes: Sequence[int]) -> None:
    """Run every verb on collections of several sizes."""
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            made_of = material(report.options.model, Path(folder))
            path = ingested(Path(folder, "scale.db"), list(made_of.texts(n)), made_of.encoders()[0])
            under_writes(report, path, n, SMOKE_VERBS if report.smoke else tuple(VERBS), made_of)


def bench_claims(report: Report, n: int) -> None:
    """Plan a collection that was never embedded, and claim from it as it empties."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "claims.db")
        with Collection.open(path, models()[0]):
            pass
        insert_documents(path, short_texts(n))
        under_writes(report, path, n, ["start"], material("free", Path(folder)))
        with opened(path) as documents:
            assert documents.migration is not None
            jobs = documents.migration.status().target_jobs
            generation = documents.migration.record.target_generation
        assert generation is not None
        rows, left, done = [], jobs.pending, 0
        for place, share in (("beginning", 0.0), ("middle", 0.5), ("near the end", 0.99)):
            at = min(int(left * share), left - CLAIMED * CLAIMS)
            settle(path, generation, at - done)
            done = at
            seconds = claims(path, generation, CLAIMED, CLAIMS)
            rows.append({"place": place, "pending": left - done, "claim ms": statistics.median(seconds) * 1e3})
        report.table(f"claims of {CLAIMED} at {n} documents", rows)


def bare_seconds(load: Callable[[], TextEncoder], texts: Sequence[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of the encoder alone, with the batch size that suits it best."""

    def encode(encoder: TextEncoder, batch: int) -> None:
        for begin in range(0, len(texts), batch):
            encoder.encode(texts[begin : begin + batch])

    return min(timed(partial(encode, load(), batch)) for batch in BATCHES)


def landed_plainly(path: Path, new: TextEncoder) -> float:
    """Start a migration, and return the seconds in which SQL alone leases its jobs and lands vectors."""
    with Collection.open(path, models()[0], encoders=[new]) as documents:
        migration = documents.migrate(new)
        migration.start()
        generation = migration.record.target_generation
    assert generation is not None
    return plain_seconds(path, generation, 4 * new.space.dimension, ROWS_AT_ONCE)


def bench_rate(report: Report, title: str, texts: Sequence[str], load: Callable[[], TextEncoder]) -> None:
    """Take turns: the bare encoder, the migration on a collection of its own, what SQLite takes of it at least.

    Each has an encoder that was just loaded, as a process has that is started for it: the native one remembers words.
    """
    bare, run, plain = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(report.rounds):
            path = ingested(Path(folder, f"{turn}.db"), texts, models()[0])
            copy = shutil.copy(path, Path(folder, f"{turn}-plain.db"))
            bare.append(bare_seconds(load, texts))
            run.append(migrate(path, models()[0], load()))
            plain.append(landed_plainly(copy, load()))
    alone, whole = (statistics.median(wall for wall, _ in times) for times in (bare, run))
    alone_cpu, whole_cpu = (statistics.median(cpu for _, cpu in times) for times in (bare, run))
    a_document = 1e6 / len(texts)  # microseconds
    report.note(
        f"rate: {len(texts)} {title}",
        bare_per_second=len(texts) / alone,
        run_per_second=len(texts) / whole,
        run_of_bare=alone / whole,
        microseconds_outside=(whole - alone) * a_document,
        microseconds_of_cpu_outside=(whole_cpu - alone_cpu) * a_document,
        microseconds_of_plain_sqlite=statistics.median(plain) * a_document,
    )


def bench_rates(report: Report) -> None:
    """Compare the free encoder, the static one on passages and on whole descriptions, and MiniLM."""
    n_static, n_minilm = (500, 10) if report.smoke else (report.options.static, report.options.minilm)
    static, minilm = (partial(Encoder.from_pretrained, fetch_model(name)) for name in ("wordllama", "minilm"))
    bench_rate(report, "short texts, free encoder", list(short_texts(n_static)), lambda: models()[1])
    for what, characters in (("passages", PASSAGE), ("whole texts", WHOLE)):
        texts = real_texts(n_static, characters)
        bench_rate(report, f"{what} of {texts.source}, static", texts.documents, static)
    texts = real_texts(n_minilm, 2 * PASSAGE)
    bench_rate(report, f"{texts.source}, MiniLM in {minilm().precision}", texts.documents, minilm)


def more(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[30_000, 300_000, 1_000_000], help="of `verbs`")
    parser.add_argument("--model", choices=("free", "wordllama"), default="free", help="of `verbs`")
    parser.add_argument("--claims", type=int, default=10_000_000, help="documents of `claims`")
    parser.add_argument("--static", type=int, default=50_000, help="documents of `rate`, static model")
    parser.add_argument("--minilm", type=int, default=2_000, help="documents of `rate`, MiniLM")
    parser.add_argument(
        "--faults", choices=("refused", "counted"), default="refused", help="what to do of failed writes and memory"
    )


def main() -> None:
    """Run the parts that are asked for."""
    report = Report.from_arguments("scale", rounds=3, parts=PARTS, default_parts=PARTS, more=more)
    if "verbs" in report.parts:
        bench_verbs(report, [300] if report.smoke else report.options.sizes)
    if "claims" in report.parts:
        bench_claims(report, CLAIMED * CLAIMS * 3 if report.smoke else report.options.claims)
    if "rate" in report.parts:
        bench_rates(report)
    report.finish()


if __name__ == "__main__":
    main()
