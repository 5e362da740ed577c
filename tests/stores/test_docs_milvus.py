"""What docs/stores-milvus.md shows is run as it stands there, against a server."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import numpy as np
import pytest
from docs_story import QUERY, TEXTS, made_models, nearest, run

from docs_blocks import blocks_of
from milvus_server import MilvusServer

PAGE = blocks_of("stores-milvus.md")
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    yield server
    server.kill()


def test_an_application_goes_on_from_the_first_model_to_the_second_and_back_and_forth(
    server, static_model, tmp_path, monkeypatch
):
    def write(encoder, changed):
        defined["write"](client, "live", encoder, changed)
        texts.update(changed)

    def assert_found_by(encoder):
        assert defined["search"](client, "live", encoder, QUERY) == nearest(texts, encoder)

    monkeypatch.chdir(tmp_path)
    (old, new), texts, defined = made_models(static_model), dict(TEXTS), {}
    exec(PAGE["application"].replace("localhost:19530", f"127.0.0.1:{server.port}"), defined)
    step = partial(run, shown="milvus://localhost:19530", url=f"milvus://127.0.0.1:{server.port}")
    with closing(defined["connect"]()) as client:
        defined["create"](client)
        defined["write"](client, "docs", old, texts)
        assert "adopted as" in step(PAGE["adopt"])
        assert_found_by(old)
        write(old, {100: "something entirely new"})
        step(PAGE["move"])
        write(old, {1: "bicycle of old changed"})
        client.delete("live", ids=[2])
        del texts[2]
        step(PAGE["cutover"])
        assert_found_by(new)
        write(new, {101: "a bicycle today something new"})
        step(PAGE["rollback"])
        assert_found_by(old)
        step(PAGE["forward"])
        assert "docs" in step(PAGE["release"])
        assert_found_by(new)
        assert client.list_collections() == ["live_rv2"]
        found = client.query("live", filter="id >= 0", output_fields=["*"], consistency_level="Strong")
        assert {row["id"]: (row["body"], row["length"]) for row in found} == {
            id_: (text, len(text)) for id_, text in texts.items()
        }
        expected = new.encode([row["body"] for row in found])
        np.testing.assert_allclose(np.array([row["embedding"] for row in found]), expected, atol=1e-6)
