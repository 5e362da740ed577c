"""What docs/stores-redis.md shows is run as it stands there, against a server."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from docs_blocks import blocks_of
from redis_server import RedisServer
from revector import Encoder

PAGE = blocks_of("stores-redis.md")
TEXTS = {n: f"{what} {how} number {n}" for n, (what, how) in enumerate([("bread", "of old"), ("bicycle", "today")] * 12)}
QUERY = "a bicycle today"
URL = "redis://localhost:6379"


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture
def models(static_model, tmp_path, monkeypatch):
    for name, dimension in (("old-model", 256), ("new-model", 384)):
        static_model(name, dimension, [*TEXTS.values(), "something entirely new and changed"])
    monkeypatch.chdir(tmp_path)
    return [Encoder.from_pretrained(name) for name in ("old-model", "new-model")]


def nearest(texts, encoder):
    scores = encoder.encode(list(texts.values())) @ encoder.encode([QUERY], kind="query")[0]
    return [list(texts)[place] for place in np.argsort(-scores, kind="stable")[:3]]


def test_an_application_goes_on_from_the_first_model_to_the_second_and_back_and_forth(server, models):
    def run(name):
        said = f'revector() {{ {sys.executable} -m revector "$@"; }}; set -eu\n' + PAGE[name]
        command = ["bash", "-c", said.replace(URL, server.url().removesuffix("/0"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def assert_found_by(encoder, prefix):
        assert search(client, "live", encoder, QUERY) == [f"{prefix}{id_}" for id_ in nearest(texts, encoder)]

    (old, new), texts, defined = models, dict(TEXTS), {}
    exec(PAGE["application"].replace("port=6379", f"port={server.port}"), defined)
    write, search = defined["write"], defined["search"]
    with closing(defined["connect"]()) as client:
        defined["create"](client)
        write(client, old, texts)
        assert "adopted as" in run("adopt")
        assert_found_by(old, "doc:")
        write(client, old, {100: "something entirely new"})
        texts[100] = "something entirely new"
        run("move")
        write(client, old, {1: "bicycle of old changed"})
        client.delete("doc:2")
        texts[1] = "bicycle of old changed"
        del texts[2]
        run("cutover")
        assert_found_by(new, "live_rv2:")
        write(client, new, {101: "a bicycle today something new"}, "live_rv2:")
        texts[101] = "a bicycle today something new"
        run("rollback")
        assert_found_by(old, "doc:")
        run("forward")
        assert "docs" in run("release")
        assert_found_by(new, "live_rv2:")
        assert client.execute_command("FT._LIST") == [b"live_rv2"]
        assert sorted(client.keys()) == sorted(f"live_rv2:{id_}".encode() for id_ in texts)
        for id_, text in texts.items():
            (row,) = new.encode([text])
            assert client.hgetall(f"live_rv2:{id_}") == {
                b"body": text.encode(),
                b"length": str(len(text)).encode(),
                b"embedding": row.astype("<f4").tobytes(),
            }
