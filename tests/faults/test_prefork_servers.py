"""gunicorn with preload and Celery fork after the application is loaded, while a thread of it searches and writes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

DOCUMENTS = """
import os, threading
from revector import Collection
from revector.testing import HashEncoder

docs = Collection.open(PLACE, HashEncoder(32))
docs.upsert([f"d{i}" for i in range(300)], [f"text number {i}" for i in range(300)])

def work_on():
    turn = 0
    while True:
        turn += 1
        docs.upsert(["busy"], [f"turn {turn}"])
        docs.search("text number 1")

threading.Thread(target=work_on, daemon=True).start()

def answer(name):
    docs.upsert([name], [f"written by {name}"])
    found = [docs.search(query, k=1)[0].id for query in ("text number 7", f"written by {name}")]
    return {"process": os.getpid(), "found": found}
"""
WEB = """
import json
from documents import answer

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer(environ["PATH_INFO"].strip("/"))).encode()]
"""
TASKS = """
import os
from celery import Celery
from documents import answer

for folder in ("queue", "results"):
    os.makedirs(folder, exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend="file://" + os.path.abspath("results"))
app.conf.broker_transport_options = {name: "queue" for name in ("data_folder_in", "data_folder_out", "control_folder")}
task = app.task(answer, name="answer")
"""
ASKING = """
import json, sys
import celery
app = celery.Celery(broker="filesystem://", backend="file://results")
app.conf.broker_transport_options = {name: "queue" for name in ("data_folder_in", "data_folder_out", "control_folder")}
results = [app.send_task("answer", [name]) for name in sys.argv[1:]]
print(json.dumps([result.get(timeout=60, interval=0.1) for result in results]))
"""


@contextmanager
def running(folder, *command):
    """A server, and what it says in ``server.log``; it is ended with all its children."""
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield server
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def asked(path, name):
    """Ask over a Unix socket, as soon as there is one."""
    until = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        try:
            connection.sock.connect(str(path))
            connection.request("GET", f"/{name}")
            return json.loads(connection.getresponse().read())
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            connection.close()


@pytest.fixture
def folder(tmp_path, places):
    """Where the servers run, which share a collection."""
    (tmp_path / "documents.py").write_text(f"PLACE = {str(places / 'docs.db')!r}\n{DOCUMENTS}")
    return tmp_path


def test_workers_of_gunicorn_search_and_write_what_was_opened_before_they_were_forked(folder):
    (folder / "web.py").write_text(WEB)
    with running(folder, "gunicorn", "--preload", "--workers", "2", "--bind", "unix:socket", "web:app"):
        answers = [asked(folder / "socket", f"w{i}") for i in range(20)]
    assert [answer["found"] for answer in answers] == [["d7", f"w{i}"] for i in range(20)]


def test_workers_of_celery_search_and_write_what_was_opened_before_they_were_forked(folder):
    (folder / "tasks.py").write_text(TASKS)
    names = [f"c{i}" for i in range(12)]
    with running(folder, "celery", "--app", "tasks", "worker", "--pool", "prefork", "--concurrency", "2"):
        (folder / "queue").mkdir(exist_ok=True)
        (folder / "results").mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", ASKING, *names], cwd=folder, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, f"{done.stderr}\n{(folder / 'server.log').read_text()}"
    assert [answer["found"] for answer in json.loads(done.stdout)] == [["d7", name] for name in names]
