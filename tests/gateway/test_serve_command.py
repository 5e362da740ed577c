"""`revector serve`, as a process: where it listens, whom it answers, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import openai
import pytest

from commands import Commands
from revector import Encoder
from revector.collection import Collection

TOKEN = "tok-a-secret-nobody-should-see"
WORDS = [f"word{place}" for place in range(50)]


@pytest.fixture
def path(static_model, tmp_path):
    path = tmp_path / "docs.db"
    with Collection.open(path, Encoder.from_pretrained(static_model("model", 16, WORDS))) as docs:
        docs.upsert(WORDS, [f"{word} and {word}" for word in WORDS])
    return path


@contextmanager
def served(path, *options):
    """Yield the process and its URL."""
    command = [sys.executable, "-m", "revector", "serve", path.name, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent)
    try:
        url, _, of = process.stdout.readline().partition(" answers for ")
        assert of == "docs.db\n"
        yield process, url
    finally:
        process.kill()
        process.communicate()


def ended(process):
    """Wait for the end of a process; return its exit code and what it had to say."""
    said = process.communicate(timeout=60)
    return process.returncode, *said


def test_it_listens_to_this_machine_alone_and_ends_with_a_signal(path):
    with served(path) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
            assert len(client.embeddings.create(model="live", input="word1").data[0].embedding) == 16
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "", "")


def test_with_json_it_says_where_it_is_in_a_document(path):
    command = [sys.executable, "-m", "revector", "serve", str(path), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert said["collection"] == str(path)
    assert said["next_steps"] == [f"curl {said['url']}/readyz"]


def test_a_token_is_asked_for_and_shown_nowhere(path, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with served(path, "--token-file", str(file)) as (process, url):
        with openai.OpenAI(base_url=f"{url}/v1", api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                client.models.list()
            assert client.with_options(api_key=TOKEN).models.list().data[0].id == "live"
        process.send_signal(signal.SIGTERM)
        code, *said = ended(process)
    assert code == 0
    assert TOKEN not in "".join(said)
    assert all(TOKEN.encode() not in each.read_bytes() for each in tmp_path.rglob("docs.db*") if each.is_file())


def test_an_open_address_without_a_token_is_warned_of(path):
    with served(path, "--host", "0.0.0.0") as (process, _url):
        process.send_signal(signal.SIGTERM)
        code, _, errors = ended(process)
    assert code == 0
    assert "give a --token-file" in errors


def test_without_the_extra_the_error_says_how_to_install_it(path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("revector.gateway")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = Commands(path.parent, path, path).json("serve", code=1)
    assert found["next_steps"] == ["pip install 'revector[gateway]'"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")
def test_a_signal_under_load_leaves_nobody_in_the_middle(path):
    """Whatever was sent before it is answered; whoever comes later is answered, or finds nobody there."""
    halves, refused, answered = [], [], []
    told = threading.Event()

    def ask(host):
        while not (told.is_set() and refused):
            connection, sent = http.client.HTTPConnection(host, timeout=30), time.monotonic()
            body = json.dumps({"model": "live", "input": WORDS * 4})
            try:
                connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
            except OSError:
                refused.append(sent)
                continue
            try:
                answer = connection.getresponse()
                assert (answer.status, len(json.loads(answer.read())["data"])) == (200, 200)
                answered.append(sent)
            except (http.client.RemoteDisconnected, ConnectionResetError):
                refused.append(sent)  # it came too late: nobody has read it
            except Exception as error:
                halves.append(repr(error))
            finally:
                connection.close()

    with served(path) as (process, url):
        threads = [threading.Thread(target=ask, args=(url.removeprefix("http://"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        signalled = time.monotonic()
        process.send_signal(signal.SIGTERM)
        told.set()
        code, _, errors = ended(process)
        for thread in threads:
            thread.join()
    assert (code, errors, halves) == (0, "", [])
    assert len(answered) > 20
    assert min(refused) > signalled


def test_it_is_ready_once_it_says_so(path):
    with served(path) as (_process, url), urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
        assert answer.read() == b"ready\n"
