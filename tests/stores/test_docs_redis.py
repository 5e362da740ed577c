"""What docs/stores-redis.md shows is run as it stands there, against a server."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import pytest
from docs_story import QUERY, TEXTS, made_models, nearest, run

from docs_blocks import blocks_of
from redis_server import RedisServer

PAGE = blocks_of("stores-redis.md")
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


def test_an_application_goes_on_from_the_first_model_to_the_second_and_back_and_forth(server, static_model):
    def assert_found_by(encoder, prefix):
        assert search(client, "live", encoder, QUERY) == [f"{prefix}{id_}" for id_ in nearest(texts, encoder)]

    (old, new), texts, defined = made_models(static_model), dict(TEXTS), {}
    exec(PAGE["application"].replace("port=6379", f"port={server.port}"), defined)
    write, search = defined["write"], defined["search"]
    step = partial(run, shown="redis://localhost:6379", url=f"redis://localhost:{server.port}")
    with closing(defined["connect"]()) as client:
        defined["create"](client)
        write(client, old, texts)
        assert "adopted as" in step(PAGE["adopt"])
        assert_found_by(old, "doc:")
        write(client, old, {100: "something entirely new"})
        texts[100] = "something entirely new"
        step(PAGE["move"])
        write(client, old, {1: "bicycle of old changed"})
        client.delete("doc:2")
        texts[1] = "bicycle of old changed"
        del texts[2]
        step(PAGE["cutover"])
        assert_found_by(new, "live_rv2:")
        write(client, new, {101: "a bicycle today something new"}, "live_rv2:")
        texts[101] = "a bicycle today something new"
        step(PAGE["rollback"])
        assert_found_by(old, "doc:")
        step(PAGE["forward"])
        assert "docs" in step(PAGE["release"])
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
