"""How an encoder is called: streams, arrays of the caller, progress, threads, interruption, long texts."""

from __future__ import annotations

import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from revector import Encoder, _core
from revector.encoders.native import engine
from revector.errors import EncoderError, InvalidArgumentError, ShapeError

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "wizards", "brew", "tea"]


@pytest.fixture(scope="module")
def tiny() -> Encoder:
    return Encoder.from_pretrained(GOLDEN / "model2vec_tiny")


@pytest.fixture(scope="module")
def minilm(minilm_folder) -> Encoder:
    return Encoder.from_pretrained(minilm_folder)


@pytest.fixture(params=["tiny", "minilm"])
def encoder(request) -> Encoder:
    return request.getfixturevalue(request.param)


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(engine, "_SLICE_TEXTS", 5)
    monkeypatch.setattr(engine, "_DIRECT_TOKENS", 0)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def some_texts(n: int) -> list[str]:
    rng = np.random.default_rng(n)
    return [" ".join(rng.choice(WORDS, rng.integers(0, 12))) for _ in range(n)]


def test_slices_on_a_thread_give_the_rows_of_one_call(encoder, small_slices):
    texts = some_texts(32)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode(texts), alone)


def test_a_stream_gives_the_rows_of_one_call(encoder, small_slices):
    texts = some_texts(32)
    expected = encoder.encode(texts, kind="query")
    blocks = list(encoder.encode_stream(iter(texts), kind="query"))
    assert len(blocks) > 3
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 7, 100])
def test_a_stream_in_batches(tiny, small_slices, batch_size):
    texts = some_texts(23)
    blocks = list(tiny.encode_stream(texts, batch_size=batch_size))
    sizes = [len(block) for block in blocks]
    assert sizes == [min(batch_size, 23 - begin) for begin in range(0, 23, batch_size)]
    np.testing.assert_array_equal(np.concatenate(blocks), tiny.encode(texts))


def test_a_stream_of_nothing(tiny):
    assert list(tiny.encode_stream([])) == []


def test_a_stream_reads_a_bounded_way_ahead(tiny, small_slices):
    read = itertools.count()
    stream = tiny.encode_stream("a text" for _ in read)  # endless
    for _ in range(10):
        next(stream)
    assert next(read) <= 5 * (10 + 5)
    stream.close()


def test_a_stream_reads_on_the_thread_that_asks(tiny, small_slices):
    threads = set()

    def texts():
        for text in some_texts(20):
            threads.add(threading.get_ident())
            yield text

    list(tiny.encode_stream(texts()))
    assert threads == {threading.get_ident()}


def test_a_stream_closed_early_leaves_no_thread(minilm, small_slices):
    stream = minilm.encode_stream(some_texts(200))
    next(stream)
    assert any(thread.name.startswith("revector-encode") for thread in threading.enumerate())
    stream.close()
    assert not any(thread.name.startswith("revector-encode") for thread in threading.enumerate())


def test_an_error_in_the_middle_names_the_text(encoder, small_slices):
    texts = [*some_texts(17), "half a \ud83d pair", *some_texts(9)]
    with pytest.raises(EncoderError, match="text 17 is not valid Unicode"):
        encoder.encode(texts)
    found = []
    with pytest.raises(EncoderError, match="text 17 is not valid Unicode"):
        found.extend(encoder.encode_stream(texts))
    with pytest.raises(InvalidArgumentError, match=r"texts\[16\] is int, expected str"):
        list(encoder.encode_stream([*texts[:16], 3]))


def test_an_error_of_the_iterable_passes_through(tiny, small_slices):
    def texts():
        yield from some_texts(30)
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(tiny.encode_stream(texts()))


def test_broken_weights_are_reported_from_the_thread(tiny, small_slices, monkeypatch):
    class Broken:
        def encode(self, *_, **__):
            raise EncoderError("the vector of text 1 holds NaN")

    monkeypatch.setattr(tiny._engine, "_model", Broken())
    with pytest.raises(EncoderError, match="the vector of text 1"):
        tiny.encode(some_texts(20))


@pytest.mark.parametrize("n", [0, 1, 24])
def test_rows_are_written_where_the_caller_wants_them(encoder, small_slices, n):
    texts = some_texts(n)
    room = np.full((n + 2, encoder.space.dimension + 3), 7, np.float32)
    out = room[1:-1, 2:-1]
    assert encoder.encode(texts, out=out) is out
    np.testing.assert_array_equal(out, encoder.encode(texts))
    room[1:-1, 2:-1] = 7
    assert (room == 7).all()


def test_an_unfit_out_is_refused(tiny):
    texts, d = some_texts(4), tiny.space.dimension
    read_only = np.empty((4, d), np.float32)
    read_only.flags.writeable = False
    for out, error, message in [
        (np.empty((4, d)), InvalidArgumentError, "out is an array of float64, expected a numpy array of float32"),
        ([[0.0] * d] * 4, InvalidArgumentError, "out is list"),
        (np.empty((5, d), np.float32), ShapeError, rf"out has shape \(5, {d}\), expected \(4, {d}\)"),
        (np.empty(4 * d, np.float32), ShapeError, "out has shape"),
        (np.empty((d, 4), np.float32).T, ShapeError, "not contiguous"),
        (read_only, InvalidArgumentError, "read-only"),
    ]:
        with pytest.raises(error, match=message):
            tiny.encode(texts, out=out)


def test_torch_shares_the_memory(tiny):
    torch = pytest.importorskip("torch")
    rows = tiny.encode(some_texts(3))
    tensor = torch.from_numpy(rows)
    assert tensor.data_ptr() == rows.ctypes.data


def test_progress_ascends_to_the_total(encoder, small_slices):
    seen = []
    encoder.encode(some_texts(23), progress=lambda *call: seen.append(call))
    assert seen == [(5, 23), (10, 23), (15, 23), (20, 23), (23, 23)]
    seen.clear()
    list(encoder.encode_stream(some_texts(12), progress=lambda *call: seen.append(call)))
    assert seen == [(5, None), (10, None), (12, None)]


def test_what_progress_raises_ends_the_encoding(encoder, small_slices):
    def stop(done, total):
        raise RuntimeError(f"enough after {done}")

    with pytest.raises(RuntimeError, match="enough after 5"):
        encoder.encode(some_texts(60), progress=stop)


def test_eight_threads_get_the_right_answers(encoder, small_slices):
    texts = [some_texts(20 + i) for i in range(8)]
    expected = [encoder.encode(part) for part in texts]
    found: list[list[np.ndarray]] = [[] for _ in texts]

    def run(i: int) -> None:
        found[i] = [encoder.encode(texts[i], threads=1 + i % 2), np.concatenate(list(encoder.encode_stream(texts[i])))]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows[0], right)
        np.testing.assert_array_equal(rows[1], right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"long_texts": "drop"}, "long_texts is 'drop'"),
        ({"kind": "x"}, "kind is 'x'"),
    ],
)
def test_unknown_options_are_refused_at_once(tiny, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tiny.encode(["a"], **options)
    with pytest.raises(InvalidArgumentError, match=message):
        tiny.encode_stream(["a"], **options)


def test_a_stream_wants_an_iterable_of_texts(tiny):
    for texts in ("a text", None, 3):
        with pytest.raises(InvalidArgumentError, match="expected an iterable of str"):
            tiny.encode_stream(texts)
    with pytest.raises(InvalidArgumentError, match="batch_size is 0"):
        tiny.encode_stream([], batch_size=0)


def test_tokens_give_the_rows_of_their_texts(minilm, minilm_folder):
    texts = ["a fox", "", "seven lazy wizards", "word " * 700]
    hf = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    hf.no_padding()
    hf.enable_truncation(minilm.space.max_length)
    ids = [encoding.ids for encoding in hf.encode_batch(texts)]
    offsets = np.cumsum([0, *map(len, ids)])
    out = np.empty((4, 384), np.float32)
    for n in (3, 4):  # at once, and on a thread
        packed = list(itertools.chain.from_iterable(ids[:n]))
        for given in (packed, np.array(packed, np.int32), np.array(packed, np.uint16)):
            rows = minilm.encode_tokens(given, offsets[: n + 1], out=out[:n])
            np.testing.assert_array_equal(rows, minilm.encode(texts[:n]))


def test_tokens_that_are_none_are_refused(tiny):
    for ids, offsets in [([2**40], [0, 1]), ([-5], [0, 1]), ([0], [0, 2]), ([0], [])]:
        with pytest.raises(InvalidArgumentError):
            tiny.encode_tokens(ids, offsets)
    with pytest.raises(InvalidArgumentError, match="ids has dtype float64, expected integers"):
        tiny.encode_tokens([0.5], [0, 1])


def test_truncated_texts_are_counted(minilm_folder):
    encoder = Encoder.from_pretrained(minilm_folder)
    limit = encoder.space.max_length
    texts = ["fox " * n for n in (1, limit - 2, limit - 1, 600)]
    assert encoder.count_tokens(texts).tolist() == [3, limit, limit + 1, 602]
    encoder.encode(texts)
    seen = encoder.statistics
    assert (seen.texts, seen.truncated, seen.split, seen.tokens) == (4, 2, 0, 3 + 3 * limit)
    encoder.encode(texts, long_texts="window")
    assert (encoder.statistics.truncated, encoder.statistics.split) == (2, 2)


def test_model2vec_counts_texts_cut_by_characters(tiny):
    before = tiny.statistics.truncated
    tiny.encode(["short", "x" * 1000])
    assert tiny.statistics.truncated == before + 1


def make_variant(folder: Path, target: Path) -> Path:
    """MiniLM with prompts, CLS pooling and 40 tokens."""
    specification = importlib.util.spec_from_file_location("make_encoder", GOLDEN / "make_encoder.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.variant(folder, target)


@pytest.mark.parametrize("kind", ["query", "document"])
def test_windows_are_what_the_docstring_says(minilm_folder, tmp_path, kind):
    encoder = Encoder.from_pretrained(make_variant(minilm_folder, tmp_path / "variant"))
    prompt, limit = getattr(encoder.space, f"{kind}_prefix"), encoder.space.max_length
    hf = Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    hf.no_padding()
    hf.no_truncation()
    texts = [" ".join(np.random.default_rng(n).choice(WORDS, n)) for n in (5, 90, 33, 300)]
    rows = encoder.encode(texts, kind=kind, long_texts="window")
    of_prompt = hf.encode(prompt, add_special_tokens=False).ids
    for text, row in zip(texts, rows, strict=True):
        own = hf.encode(prompt + text, add_special_tokens=False).ids[len(of_prompt) :]
        room = limit - 2 - len(of_prompt)
        begins = [0]
        while begins[-1] + room < len(own):
            begins.append(begins[-1] + room - room // 4)
        parts = [own[begin : begin + room] for begin in begins]
        windows = [[101, *of_prompt, *part, 102] for part in parts]
        offsets = np.cumsum([0, *map(len, windows)])
        vectors = encoder.encode_tokens(list(itertools.chain.from_iterable(windows)), offsets)
        mean = np.average(vectors.astype(np.float64), axis=0, weights=list(map(len, parts)))
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(rows[0], encoder.encode(texts[:1], kind=kind)[0])


def test_windows_go_through_slices_and_into_arrays(minilm, small_slices):
    texts = ["fox " * n for n in (3, 400, 0, 700, 12, 300, 1)]
    expected = np.concatenate([minilm.encode([text], long_texts="window") for text in texts])
    out = np.empty((7, 384), np.float32)
    np.testing.assert_array_equal(minilm.encode(texts, long_texts="window", out=out), expected)
    np.testing.assert_array_equal(np.concatenate(list(minilm.encode_stream(texts, long_texts="window"))), expected)


INTERRUPTED = """
import signal, sys, threading, time
from revector import Encoder
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background of a shell ignores
encoder = Encoder.from_pretrained(sys.argv[1])
texts = ["some words that take a while to encode, and then some more of them " * 8] * 100_000
def run():
    if sys.argv[2] == "encode":
        encoder.encode(texts)
    elif sys.argv[2] == "stream":
        for block in encoder.encode_stream(texts):
            pass
    else:
        encoder.encode_tokens([1000] * 5_000_000, list(range(0, 5_000_001, 100)))
print("ready", flush=True)
try:
    run()
except KeyboardInterrupt:
    print(time.monotonic(), threading.active_count(), flush=True)
"""


@contextmanager
def child_process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program that does not outlive the test, however that ends."""
    with subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("way", ["encode", "stream", "tokens"])
def test_ctrl_c_is_heard_within_a_second(minilm_folder, way):
    with child_process(INTERRUPTED, str(minilm_folder), way) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(2)
        sent = time.monotonic()
        os.kill(child.pid, signal.SIGINT)
        heard, threads = child.communicate(timeout=60)[0].split()
    assert float(heard) - sent < (10 if _core.active_isa() == "scalar" else 1)
    assert threads == "1"


ABANDONED = """
import sys
from revector import Encoder
encoder = Encoder.from_pretrained(sys.argv[1])
stream = encoder.encode_stream(["some words that take a while to encode and then some more " * 20] * 100_000)
next(stream)
print("leaving", flush=True)
"""


def test_a_program_may_end_with_a_stream_open(minilm_folder):
    with child_process(ABANDONED, str(minilm_folder)) as child:
        assert child.stdout.readline() == "leaving\n"
        left = time.monotonic()
        assert child.wait(timeout=60) == 0
    assert time.monotonic() - left < (10 if _core.active_isa() == "scalar" else 2)


CONSTANT = """
import resource, sys
from revector import Encoder
encoder = Encoder.from_pretrained(sys.argv[1])
def texts(n):
    return (f"text {i} of words w{i % 1000} x{i * 7919}" for i in range(n))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
done = sum(len(block) for block in encoder.encode_stream(texts(30_000)))
before = peak()
done += sum(len(block) for block in encoder.encode_stream(texts(170_000)))
print(done, peak() - before)
"""


def test_a_stream_takes_constant_memory(wordllama_folder):
    """170,000 rows are 174 MB; a million are measured by benchmarks/bench_stream.py."""
    run = subprocess.run(
        [sys.executable, "-c", CONSTANT, str(wordllama_folder)], capture_output=True, text=True, check=True
    )
    done, grown = map(int, run.stdout.split())
    assert done == 200_000
    assert grown < 60
