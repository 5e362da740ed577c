"""Requests side by side: bounded, ended by the first failure, called off by Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import ServiceError
from services import TEXTS, assert_rows, honest, stalls, status


def test_requests_under_way_are_bounded_across_threads(encoder, service):
    def slowly(exchange):
        time.sleep(0.01)
        honest(exchange)

    service.otherwise = slowly
    one = encoder(concurrency=3, max_texts_per_request=2)
    found = [None] * 4

    def run(i):
        found[i] = one.encode(TEXTS)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found:
        assert_rows(rows, TEXTS)
    assert service.most_at_once == 3


def test_the_first_failure_ends_the_others(encoder, service):
    service.then(*[honest] * 3, status(401))
    with pytest.raises(ServiceError, match="401"):
        encoder(concurrency=2, max_texts_per_request=1).encode([f"t{i}" for i in range(200)])
    assert len(service.exchanges) < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "revector-request"]


def test_a_failure_ends_the_back_off_of_the_others(service):
    both_are_there, limited = threading.Event(), threading.Event()

    def behave(exchange):
        if exchange.texts == ["first"]:
            both_are_there.wait(20)
            status(429, Retry_After="100")(exchange)
            limited.set()
        else:
            both_are_there.set()
            limited.wait(20)
            time.sleep(0.1)  # the first one is waiting now
            status(401)(exchange)

    service.otherwise = behave
    one = OpenAIEncoder("m", base_url=service.url, dimensions=4, concurrency=2, max_texts_per_request=1)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="401"):
        one.encode(["first", "second"])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("concurrency", [1, 4])
def test_ctrl_c_is_heard_at_once(service, tmp_path, concurrency):
    service.otherwise = stalls(60)
    code = (
        "import signal\n"
        "from revector.encoders.service.openai import OpenAIEncoder\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a job in the background of a shell ignores
        f"encoder = OpenAIEncoder('m', base_url={service.url!r}, dimensions=4, concurrency={concurrency},\n"
        "    max_texts_per_request=1)\n"
        "encoder.encode(['a', 'b', 'c', 'd', 'e'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while len(service.exchanges) < concurrency and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(service.exchanges) == concurrency
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()  # nothing where it has ended
    assert time.monotonic() - began < 5
    assert "KeyboardInterrupt" in errors
