"""A whole migration (lease, read, encode, write, checkpoint) against the bare encoder, and the machinery alone.

There is no peer with an encoder of its own; the comparison is with the simplest correct loop a user would write: read a
batch, encode it, write it in one transaction.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import OURS, Report
from migrating import ingested, migrate, timed
from revector import Background, Collection, Encoder
from revector.backends.sqlite import SqliteBackend
from revector.demo.docstrings import python_corpus
from revector.encoders.base import TextEncoder
from revector.errors import EncoderError
from revector.formats.named_models import fetch_model
from revector.testing import HashEncoder


def plain_loop(path: Path, old: TextEncoder, new: TextEncoder) -> tuple[float, float]:
    """Do the same without ledger, priorities, leases or read-ahead."""
    with Collection.open(path, old):
        pass
    backend = SqliteBackend.open(path)
    generation = backend.generations.create(new.space, None).id

    def loop() -> None:
        for batch in backend.documents.scan(256):
            vectors = new.encode([document.text for document in batch])
            keys, hashes = [document.key for document in batch], [document.content_hash for document in batch]
            assert backend.generations.put(generation, keys, hashes, vectors) == len(batch)

    seconds = timed(loop)
    assert backend.generations.count(generation) == backend.documents.count()
    backend.close()
    return seconds


def bench(report: Report, title: str, texts: Sequence[str], old: TextEncoder, new: TextEncoder) -> None:
    """Take turns: the bare encoder, the plain loop, the migration; each on a collection of its own."""
    bare: list[float] = []
    loops: list[float] = []
    ours: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(report.rounds):
            first, second = (ingested(Path(folder, f"{turn}{name}.db"), texts, old) for name in "ab")
            bare.append(timed(lambda: [new.encode(texts[i : i + 256]) for i in range(0, len(texts), 256)])[0])
            loops.append(plain_loop(first, old, new)[0])
            ours.append(migrate(second, old, new, Background(batch=256))[0])
    rates = {name: len(texts) / float(np.median(t)) for name, t in (("bare", bare), ("loop", loops), (OURS, ours))}
    report.note(
        title,
        bare_encoder_per_second=rates["bare"],
        plain_loop_per_second=rates["loop"],
        migration_per_second=rates[OURS],
        migration_of_bare=rates[OURS] / rates["bare"],
        migration_of_loop=rates[OURS] / rates["loop"],
    )


def main() -> None:
    """Measure the machinery with an encoder that costs nothing, then the real pair of models."""
    report = Report.from_arguments("migration", rounds=3)
    n = 500 if report.smoke else 20_000
    words = [f"document {i} about subject {i % 97} and theme {i % 89}" for i in range(n)]
    old, new = HashEncoder(256, seed=1), HashEncoder(384, seed=2)
    bench(report, f"machinery: {n} short texts, hashed words", words, old, new)
    try:
        models = [Encoder.from_pretrained(fetch_model(name)) for name in ("wordllama", "minilm")]
    except EncoderError as error:
        print(f"(real models left out: {error})")
    else:
        texts = list(python_corpus(n_documents=100 if report.smoke else 1_500).documents.values())
        bench(report, f"wordllama to MiniLM: {len(texts)} docstrings", texts, models[0], models[1])
    report.finish()


if __name__ == "__main__":
    main()
