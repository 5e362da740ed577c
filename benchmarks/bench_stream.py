"""A million short texts through `Encoder.encode_stream`: docs/s, and how much memory the process grows by."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from common import Report, peak_mb
from revector import Encoder
from revector.demo.docstrings import python_corpus
from revector.formats.named_models import fetch_model

WARM_UP = 20_000  # texts; what pools, caches and the memory of words take at first


def short_texts(sentences: list[str], n: int) -> Iterator[str]:
    """Yield sentences of real text, each with a number so that none is like another."""
    for i, sentence in zip(range(n), itertools.cycle(sentences), strict=False):
        yield f"{sentence} {i}"


def main() -> None:
    """Stream once to warm up, once to measure."""
    report = Report.from_arguments("stream", rounds=1)
    n = 50_000 if report.smoke else 1_000_000
    corpus = python_corpus(n_documents=300 if report.smoke else 3000, n_queries=10)
    sentences = [line[:100] for text in corpus.documents.values() for line in text.splitlines() if len(line) > 20]
    encoder = Encoder.from_pretrained(fetch_model("wordllama"))
    for _ in encoder.encode_stream(short_texts(sentences, WARM_UP)):
        pass
    before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
    rows = sum(len(block) for block in encoder.encode_stream(short_texts(sentences, n)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert rows == n, f"{rows} rows of {n} texts"
    grown = peak_mb() - before
    assert grown < 100, f"{grown:.0f} MB more for {n} texts; their rows alone are {n * 1024 >> 20} MB"
    report.note(
        f"WordLlama 256, static: {n} short texts in a stream",
        tokenizer=encoder.tokenizer,
        texts_per_second=n / wall,
        texts_per_cpu_second=n / cpu,
        peak_mb_before=before,
        grown_mb=grown,
    )
    report.finish()


if __name__ == "__main__":
    main()
