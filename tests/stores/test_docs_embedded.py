"""What docs/stores-chroma.md and docs/stores-lancedb.md show is run as it stands there."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from chroma_server import ChromaServer, chroma_command
from docs_blocks import blocks_of
from revector import Encoder

TEXTS = {str(n): f"{what} {how} {n}" for n, (what, how) in enumerate([("bread", "of old"), ("bicycle", "today")] * 12)}
QUERY = "a bicycle today"


@pytest.fixture
def models(static_model, tmp_path, monkeypatch):
    for name, dimension in (("old-model", 256), ("new-model", 384)):
        static_model(name, dimension, [*TEXTS.values(), "something entirely new and changed", QUERY])
    monkeypatch.chdir(tmp_path)
    return [Encoder.from_pretrained(name) for name in ("old-model", "new-model")]


@pytest.fixture(params=["chroma", "lancedb"])
def page(request, tmp_path, models):
    pytest.importorskip({"chroma": "chromadb"}.get(request.param, request.param))
    blocks = blocks_of(f"stores-{request.param}.md")
    if request.param == "lancedb":
        yield blocks, "docs_rv2"
        return
    if chroma_command() is None:
        pytest.skip("there is no program 'chroma'")
    server = ChromaServer(tmp_path / "chroma")
    yield {name: text.replace("8000", str(server.port)) for name, text in blocks.items()}, "docs"
    server.kill()


def nearest(texts, encoder):
    scores = encoder.encode(list(texts.values())) @ encoder.encode([QUERY], kind="query")[0]
    return [list(texts)[place] for place in np.argsort(-scores, kind="stable")[:3]]


def test_an_application_goes_on_from_the_first_model_to_the_second(page, models):
    blocks, name_afterwards = page

    def run(name):
        said = f'revector() {{ {sys.executable} -m revector "$@"; }}; set -eu\n' + blocks[name]
        done = subprocess.run(["bash", "-c", said], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    (old, new), texts, defined = models, dict(TEXTS), {}
    exec(blocks["application"], defined)
    write, search, client = defined["write"], defined["search"], defined["connect"]()
    try:
        write(client, "docs", old, texts)
        assert "adopted as" in run("adopt")
        texts |= {"1": "bicycle changed", "100": "something entirely new"}
        write(client, "docs", old, {id_: texts[id_] for id_ in ("1", "100")})
        run("move")
        run("cutover")
        assert search(client, "docs", old, QUERY) == nearest(texts, old)
        assert search(client, "docs_rv2", new, QUERY) == nearest(texts, new)
        run("release")
        assert search(client, name_afterwards, new, QUERY) == nearest(texts, new)
    finally:
        if hasattr(client, "close"):
            for part in (client, client._admin_client):
                part._server._session.close()
            client.close()
