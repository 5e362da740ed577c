"""Texts to vectors, tokenisation included, beside sentence-transformers, ONNX Runtime, model2vec and WordLlama."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import OURS, Report, peer
from revector import Encoder, _core
from revector.demo.docstrings import python_corpus
from revector.demo.models import fetch_model

Rows = NDArray[np.float32]
Contestant = Callable[[], Any]


def sentence_transformers(folder: Path, texts: list[str]) -> dict[str, Contestant]:
    """Run what most people run, in float32, on as many threads as we use."""
    library = peer("sentence_transformers")
    if library is None:
        return {}
    import torch

    torch.set_num_threads(_core.num_threads())
    model = library.SentenceTransformer(str(folder), device="cpu")
    return {"sentence-transformers fp32": lambda: model.encode(texts, normalize_embeddings=True)}


def onnxruntime(folder: Path, texts: list[str]) -> dict[str, Contestant]:
    """Run the same model as sentence-transformers exports it, where optimum is installed."""
    if peer("onnxruntime") is None or peer("optimum") is None or peer("sentence_transformers") is None:
        return {}
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", backend="onnx")
    return {"onnxruntime fp32": lambda: model.encode(texts, normalize_embeddings=True)}


def wordllama(texts: list[str]) -> dict[str, Contestant]:
    """WordLlama's own inference on the files of its package."""
    library = peer("wordllama")
    if library is None:
        return {}
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    home = Path(library.__file__).parent
    table = load_file(home / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    model = library.inference.WordLlamaInference(table, tokenizer)
    return {"wordllama": lambda: model.embed(texts, norm=True)}


def model2vec(folder: Path, texts: list[str]) -> dict[str, Contestant]:
    """model2vec's inference over the same table and tokeniser."""
    library = peer("model2vec")
    if library is None:
        return {}
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    table = load_file(folder / "model.safetensors")["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = library.StaticModel(table, tokenizer, normalize=True, max_length=None)
    return {"model2vec": lambda: model.encode(texts)}


def bench(report: Report, title: str, encoder: Encoder, texts: list[str], peers: dict[str, Contestant]) -> None:
    """Check that everybody returns the same rows, then time them."""
    contestants: dict[str, Contestant] = {OURS: lambda: encoder.encode(texts), **peers}
    expected = contestants[OURS]()
    for name, run in peers.items():
        error = float(np.abs(run() - expected).max())
        assert error <= 1e-5, f"{name} differs by {error:.2g}"
    report.contest(title, contestants, work=float(len(texts)), unit="texts")


def bench_latency(report: Report, encoder: Encoder, queries: list[str], peers: dict[str, Contestant]) -> None:
    """Time one short query at a time."""
    contestants = {OURS: lambda: [encoder.encode([query]) for query in queries], **peers}
    report.contest(f"{len(queries)} queries, one by one", contestants, work=float(len(queries)), unit="queries")


def single_queries(folder: Path, queries: list[str]) -> dict[str, Contestant]:
    """sentence-transformers, called once for each query."""
    library = peer("sentence_transformers")
    if library is None:
        return {}
    model = library.SentenceTransformer(str(folder), device="cpu")
    return {"sentence-transformers fp32": lambda: [model.encode([query]) for query in queries]}


def main() -> None:
    """Run all contests."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    report = Report.from_arguments("encoder", rounds=3)
    n = 24 if report.smoke else 300
    corpus = python_corpus(n_documents=n, n_queries=n // 4)
    texts, queries = list(corpus.documents.values()), list(corpus.queries.values())
    folder = fetch_model("minilm")
    minilm = Encoder.from_pretrained(folder)
    peers = {**sentence_transformers(folder, texts), **onnxruntime(folder, texts)}
    bench(report, f"all-MiniLM-L6-v2, float32: {len(texts)} documentation texts", minilm, texts, peers)
    bench_latency(report, minilm, queries[: 4 if report.smoke else 50], single_queries(folder, queries[:50]))
    folder = fetch_model("wordllama")
    static = Encoder.from_pretrained(folder)
    peers = {**wordllama(texts), **model2vec(folder, texts)}
    bench(report, f"WordLlama 256, static: {len(texts)} documentation texts", static, texts, peers)
    report.finish()


if __name__ == "__main__":
    main()
