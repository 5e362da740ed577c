"""A large collection, end to end: made, moved to another model, and held against embedding its texts directly.

Texts are Debian's descriptions with variations (`live_texts.spliced_texts`). Each verb is a process of its own
(`bench_scale.performed`: seconds, memory), beside a reader at 20 searches a second and a writer at 20 documents a
second; what the longest of their requests took during the cut-over is its pause. At the end every vector that serves
has to be what the model gives for the document's text, and searches have to find what an exact search of those finds.

``--place postgres`` keeps the collection in PostgreSQL; ``--model minilm`` moves it to MiniLM instead of the rest of
WordLlama's dimensions. One machine: the reader, the writer, the verbs and the server share its cores.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench_scale import Encoders, Performed, opened, performed, static_models
from common import Report
from live_load import Load, Request, Timeline, failures, lost, percentile, read, write
from live_texts import real_texts, spliced_texts
from migrating import halved, ingested
from revector import Collection, Encoder, cosine_topk
from revector.encoders.base import TextEncoder
from revector.formats.named_models import fetch_model

STRETCHES = 120
"""So many stretches of time the plot has."""
VERBS = ("start", "run", "verify", "cutover")
A_SECOND, K = 20.0, 10
THREADS = 4
"""Of the reader, as a service has some: a search that takes long does not keep the next one waiting."""
BARE, BATCH = 200_000, 4_096
"""Texts that the bare encoder is timed on, at most."""
QUERIES, LEAST_RECALL, TOLERANCE = 200, 0.95, 2e-3
"""bfloat16 rounds batches of another size differently: so much may a number be off."""


def minilm_models(small: Path) -> tuple[TextEncoder, TextEncoder]:
    """Load WordLlama cut to half of its dimensions, and MiniLM."""
    return Encoder.from_pretrained(small), Encoder.from_pretrained(fetch_model("minilm"))


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Any]:
    """Yield where the collection is."""
    if kind == "sqlite":
        yield folder / "million.db"
    else:
        from pg_server import running

        with running() as server:
            yield f"{server}#million"


def bare_rate(encoders: Encoders, texts: Sequence[str]) -> float:
    """Return documents a second of the new model alone, which has met none of the words."""
    encoder = encoders()[1]
    began = time.perf_counter()
    for start in range(0, len(texts), BATCH):
        encoder.encode(texts[start : start + BATCH])
    return len(texts) / (time.perf_counter() - began)


def moved(
    path: Any, encoders: Encoders, n: int, texts: Sequence[str], rate: float
) -> tuple[Timeline, dict[str, Performed], Any]:
    """Run the verbs beside a reader and a writer; return what happened when, and what all of them did."""
    open_it = partial(opened, path, encoders)
    reader = Load(read, open_it, real_texts(1_000, 180).queries, rate, THREADS)
    writer = Load(write, open_it, n, list(texts[:100]), rate)
    timeline, done = Timeline(), dict[str, Performed]()
    try:
        for verb in VERBS:
            done[verb] = performed(path, encoders, verb)
            timeline.note(verb, done[verb].begin, done[verb].end)
    finally:
        asked, written = reader.finish(), writer.finish()
    return timeline, done, (asked, written)


def held_against_direct(documents: Collection, encoder: TextEncoder) -> tuple[float, float, int]:
    """Return by how much a number that serves is off, at most; the recall of searches; and the documents."""
    backend, serving = documents._backend, documents._serving.read().serving
    ids: list[str] = []
    blocks: list[np.ndarray] = []
    off = 0.0
    for batch in backend.documents.scan(BATCH):
        keys = [document.key for document in batch]
        found, rows = backend.generations.vectors(serving.id, keys, current=True)
        assert found.tolist() == keys, f"{len(keys) - len(found)} documents lack the vector of their present text"
        direct = encoder.encode([document.text for document in batch])
        off = max(off, float(np.abs(direct - rows).max()))
        ids += [document.id for document in batch]
        blocks.append(direct)
    queries = real_texts(1_000, 180).queries[:QUERIES]
    _, places = cosine_topk(encoder.encode(queries, kind="query"), np.concatenate(blocks), K)
    hits = documents.search(queries, K)
    same = sum(
        len({hit.id for hit in found} & {ids[row] for row in rows})
        for found, rows in zip(hits, places.tolist(), strict=True)
    )
    return off, same / (K * len(queries)), len(ids)


def course(timeline: Timeline, sent_by: Mapping[str, Sequence[Request]]) -> list[dict[str, float | str]]:
    """Return the longest latency of each kind, in milliseconds, in stretches of equal length, and the verb of each."""
    begin, end = timeline.phases[0].begin, timeline.phases[-1].end
    edges = np.linspace(begin, end, STRETCHES + 1)
    rows: list[dict[str, float | str]] = []
    for low, high in itertools.pairwise(edges.tolist()):
        verb = next((phase.name for phase in timeline.phases if low < phase.end), "")
        row: dict[str, float | str] = {"second": low - begin, "verb": verb}
        for kind, sent in sent_by.items():
            row[kind] = percentile([each for each in sent if low <= each.answered < high], 100)
        rows.append(row)
    return rows


def options(parser: argparse.ArgumentParser) -> None:
    """Add what this benchmark can be told."""
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--model", choices=("static", "minilm"), default="static")
    parser.add_argument("--place", choices=("sqlite", "postgres"), default="sqlite")


def main() -> None:
    """Make a collection, move it, and hold it against embedding directly."""
    report = Report.from_arguments("million", rounds=1, more=options)
    asked = report.options
    n = 400 if report.smoke else asked.documents
    with tempfile.TemporaryDirectory() as name, place(asked.place, Path(name)) as path:
        models = static_models if asked.model == "static" else minilm_models
        encoders: Encoders = partial(models, halved(Path(name)))
        texts = list(spliced_texts(n))
        bare = bare_rate(encoders, texts[: BARE if asked.model == "static" else BARE // 20])
        began = time.perf_counter()
        ingested(path, texts, encoders()[0])
        made_seconds = time.perf_counter() - began
        timeline, done, (read_back, written) = moved(path, encoders, n, texts, 4.0 if report.smoke else A_SECOND)
        with opened(path, encoders) as documents:
            documents.migration.run()  # what was written during the last verb, if it lacks a vector
            gone = lost(documents, written)
            proof = next(event for event in reversed(documents.events()) if event.name == "verify").details["details"]
            off, recall, count = held_against_direct(documents, encoders()[1])
        sent_by = {"read": read_back.requests, "write": written.requests}
        rows = [
            {
                "verb": verb,
                "seconds": timeline.seconds(verb),
                "grown MB": each.grown_mb,
                "anonymous MB": each.anonymous_mb,
                **{
                    f"{called} {kind} ms": percentile(timeline.beside(verb, sent), percent)
                    for kind, sent in sent_by.items()
                    for called, percent in (("median", 50), ("longest", 100))
                },
            }
            for verb, each in done.items()
        ]
        title = f"{n} documents, {asked.model}, {asked.place}"
        report.table(title, rows)
        if not report.smoke:
            report.table(f"{title}: its course", course(timeline, sent_by))
        rate = n / timeline.seconds("run")
        report.note(
            f"{title}: the whole",
            made_seconds=made_seconds,
            bare_per_second=bare,
            run_per_second=rate,
            run_of_bare=rate / bare,
            off=off,
            recall=recall,
            verified_recall=proof["index_recall"],
            verified_recall_error=proof["index_recall_error"],
            documents=count,
            failed=sum(len(failures(sent)) for sent in sent_by.values()),
        )
        failed = [failure for sent in sent_by.values() for failure in failures(sent)]
        assert not failed, f"{len(failed)} requests failed, such as {failed[0]} and {failed[-1]}"
        assert not gone, f"{len(gone)} acknowledged writes are lost: {gone[:5]}"
        assert off <= TOLERANCE, f"a number that serves is {off} off"
        assert recall >= LEAST_RECALL, f"searches find {recall:.3f} of what is nearest"
    report.finish()


if __name__ == "__main__":
    main()
