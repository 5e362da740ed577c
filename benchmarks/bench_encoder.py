"""Texts to vectors, tokenisation included, beside every engine that people run on a CPU.

Real text: the documentation of this Python, or what ``$REVECTOR_BENCH_TEXTS`` names (a file of JSON lines with "text").
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoder_peers
from common import OURS, Report, peer
from revector import Encoder, _core
from revector.demo.docstrings import python_corpus
from revector.formats.named_models import fetch_model

Rows = NDArray[np.float32]
Contestant = Callable[[], Any]

# Least cosine to float32 that an engine may have, by the end of its name. Their own int8 is as coarse as that.
BOUNDS = {"fp32": 0.99999, "f32": 0.99999, "bf16": 0.995, "int8": 0.93, "fastembed": 0.99999}
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "int8": "int8"}


def texts_name() -> str:
    """Return what the documents are called in titles."""
    named = os.environ.get("REVECTOR_BENCH_TEXTS")
    return f"texts of {Path(named).parent.name}/{Path(named).name}" if named else "documentation texts"


def read_texts(report: Report) -> tuple[list[str], list[str]]:
    """Return documents and queries."""
    n = 24 if report.smoke else 300
    corpus = python_corpus(n_documents=n, n_queries=n // 4)
    documents, queries = list(corpus.documents.values()), list(corpus.queries.values())
    if named := os.environ.get("REVECTOR_BENCH_TEXTS"):
        with Path(named).open(encoding="utf-8") as lines:
            documents = [json.loads(line)["text"] for line, _ in zip(lines, range(n), strict=False)]
    return documents, queries


def check(name: str, rows: Rows, expected: Rows) -> None:
    """Assert that an engine computes what we do, as well as its precision lets it."""
    cosines = (rows * expected).sum(axis=1) / np.linalg.norm(rows, axis=1)
    bound = next(bound for suffix, bound in BOUNDS.items() if name.endswith(suffix))
    assert cosines.min() >= bound, f"{name}: least cosine {cosines.min():.5f}, expected {bound}"


def bench_transformer(report: Report, folder: Path, texts: list[str]) -> None:
    """One contest for each precision, its peers and what most people run in it."""
    calibration = texts[: len(texts) // 2]
    peers = encoder_peers.all_engines(folder, _core.num_threads(), calibration) if not report.smoke else {}
    expected = Encoder.from_pretrained(folder, precision="float32").encode(texts)
    for name, engine in peers.items():
        check(name, engine(texts), expected)
    for precision, short in PRECISIONS.items():
        encoder = Encoder.from_pretrained(folder, precision=precision)
        check(short, encoder.encode(texts), expected)
        names = [name for name in peers if name.endswith(("fp32", "f32", "fastembed") if short == "fp32" else short)]
        names += [name for name in ("sentence-transformers fp32",) if name in peers and name not in names]
        contestants = {OURS: lambda encoder=encoder: encoder.encode(texts)}
        contestants |= {name: lambda engine=peers[name]: engine(texts) for name in names}
        title = f"{folder.name}, {precision}: {len(texts)} {texts_name()}"
        report.contest(title, contestants, work=float(len(texts)), unit="texts")


def bench_latency(report: Report, folder: Path, queries: list[str]) -> None:
    """One short query at a time on one thread: median and 99th percentile."""
    engines: dict[str, Callable[[list[str]], Any]] = {}
    for precision, short in PRECISIONS.items():
        engines[f"revector {short}"] = Encoder.from_pretrained(folder, precision=precision, threads=1).encode
    if not report.smoke:
        wanted = ("sentence-transformers fp32", "onnxruntime fp32", "openvino f32", "openvino bf16", "openvino int8")
        peers = {
            **encoder_peers.sentence_transformers(folder, 1),
            **encoder_peers.onnxruntime(folder, 1),
            **encoder_peers.openvino(folder, 1, queries),
        }
        engines |= {name: peers[name] for name in wanted if name in peers}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(1 if report.smoke else 5):
        for name, engine in engines.items():
            for query in queries:
                begin = time.perf_counter()
                engine([query])
                seconds[name].append(time.perf_counter() - begin)
    figures = {}
    for name, times in seconds.items():
        kept = times[len(queries) :] or times  # the first round warms up
        percentiles = statistics.quantiles(kept, n=100)
        figures[f"{name} p50_ms"] = statistics.median(kept) * 1e3
        figures[f"{name} p99_ms"] = percentiles[98] * 1e3
    report.note(f"{folder.name}: one query at a time, one thread, {len(queries)} queries", **figures)


def bench_rate(report: Report, folder: Path, texts: list[str]) -> None:
    """Say how near one thread comes to the rate of its products alone, with all that lies between them."""
    config = json.loads((folder / "config.json").read_text())
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    ids = encoder_peers.Batches(folder).ids(texts)
    packed = np.concatenate([np.array(text, np.int32) for text in ids])
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in ids])]).astype(np.int64)
    flop = 2.0 * len(packed) * layers * (4 * hidden * hidden + 2 * hidden * inner)
    for precision in PRECISIONS:
        encoder = Encoder.from_pretrained(folder, precision=precision, threads=1)
        core = _core.Encoder(str(folder), precision=precision)
        tokenisation = timeit.timeit(partial(encoder.count_tokens, texts), number=1)
        encode = partial(core.encode, packed, offsets, threads=1)
        encoding = min(timeit.repeat(encode, number=1, repeat=1 if report.smoke else 3))
        title = f"{folder.name}, {precision}: products with weights by one thread's time for everything"
        report.note(title, gflops=flop / encoding / 1e9, tokenisation_to_encoding=tokenisation / encoding)


def bench_gemm_peers(report: Report) -> None:
    """Measure what torch (oneDNN, MKL) reaches on one thread for the same shape."""
    torch = peer("torch")
    if torch is None or report.smoke:
        return
    torch.set_num_threads(1)
    figures = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        x, weight = torch.ones(256, 384, dtype=dtype), torch.ones(1536, 384, dtype=dtype)
        seconds = []
        for _ in range(50):
            begin = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            seconds.append(time.perf_counter() - begin)
        figures[f"torch {name}_gflops"] = 2.0 * 256 * 384 * 1536 / min(seconds) / 1e9
    report.note("GEMM of 256 x 384 x 1536, one thread", **figures)


def model2vec_like(folder: Path, target: Path) -> Path:
    """Make a model2vec folder of a BERT vocabulary; what its rows are has no influence on its speed."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer

    shutil.copy(folder / "tokenizer.json", target)
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    table = np.random.default_rng(0).standard_normal((vocabulary, 256), dtype=np.float32)
    save_file({"embeddings": table}, target / "model.safetensors")
    (target / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    return target


def static_peers(folder: Path, tensor: str, texts: list[str], *, llama: bool) -> dict[str, Contestant]:
    """model2vec over the same table and tokeniser, and WordLlama's own inference for its model."""
    contestants: dict[str, Contestant] = {}
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    table = load_file(folder / "model.safetensors")[tensor].astype(np.float32)
    path = str(folder / "tokenizer.json")
    if (library := peer("model2vec")) is not None:
        model = library.StaticModel(table, Tokenizer.from_file(path), normalize=True, max_length=None)
        contestants["model2vec"] = lambda: model.encode(texts, max_length=None if llama else 512)
    if llama and (library := peer("wordllama")) is not None:
        inference = library.inference.WordLlamaInference(table, Tokenizer.from_file(path))
        contestants["wordllama"] = lambda: inference.embed(texts, norm=True)
    return contestants


def bench_static(report: Report, folder: Path, tensor: str, texts: list[str]) -> None:
    """Nothing but tokenisation and a mean."""
    encoder = Encoder.from_pretrained(folder)
    peers = static_peers(folder, tensor, texts, llama=tensor == "embedding.weight")
    expected = encoder.encode(texts)
    for name, run in peers.items():
        error = float(np.abs(run() - expected).max())
        assert error <= 1e-5, f"{name} differs by {error:.2g}"
    name = "WordLlama 256" if tensor == "embedding.weight" else "model2vec, a BERT vocabulary x 256"
    title = f"{name}, tokenised by {encoder.tokenizer}: {len(texts)} {texts_name()}"
    report.contest(title, {OURS: lambda: encoder.encode(texts), **peers}, work=float(len(texts)), unit="texts")


def main() -> None:
    """Run all contests."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    report = Report.from_arguments("encoder", rounds=3)
    texts, queries = read_texts(report)
    folder = fetch_model("minilm")
    bench_transformer(report, folder, texts)
    bench_latency(report, folder, queries[: 4 if report.smoke else 50])
    bench_rate(report, folder, texts)
    bench_gemm_peers(report)
    many = texts * (1 if report.smoke else 10)
    bench_static(report, fetch_model("wordllama"), "embedding.weight", many)
    with tempfile.TemporaryDirectory() as temporary:
        bench_static(report, model2vec_like(folder, Path(temporary)), "embeddings", many)
    report.finish()


if __name__ == "__main__":
    main()
