"""What docs/stores.md shows is run as it stands there, in a folder of the local mode instead of a server."""

from __future__ import annotations

import shlex
from contextlib import closing

import numpy as np
import pytest
from typer.testing import CliRunner

from docs_blocks import blocks_of
from revector import Encoder
from revector.cli import app

pytest.importorskip("qdrant_client", reason="pip install 'revector[qdrant]'")

PAGE = blocks_of("stores.md")
TEXTS = [f"{what} {how} number {n}" for n in range(6) for what in ("bread", "bicycle") for how in ("of old", "today")]
QUERY = "a bicycle today"


class Application:
    """Writes and searches by the client alone, which one process at a time can in local mode."""

    def __init__(self, folder):
        self.defined = {}
        exec(PAGE["application"].replace('url="http://localhost:6333"', f'path="{folder}/qdrant"'), self.defined)

    def __call__(self, verb, *arguments):
        with closing(self.defined["connect"]()) as client:
            return self.defined[verb](client, *arguments) if verb in self.defined else verb(client, *arguments)


@pytest.fixture
def application(static_model, tmp_path, monkeypatch):
    for name, dimension in (("old-model", 256), ("new-model", 384)):
        static_model(name, dimension, [*TEXTS, "something entirely new and changed"])
    monkeypatch.chdir(tmp_path)
    application = Application(tmp_path)
    models = application.defined["models"]
    vectors = models.VectorParams(size=256, distance=models.Distance.COSINE)
    application(lambda client: client.create_collection("docs", vectors_config=vectors))
    application("write", "docs", Encoder.from_pretrained("old-model"), dict(enumerate(TEXTS, 1)))
    return application


def run(name, folder):
    """Run a block of commands; return what they print."""
    said = ""
    for line in PAGE[name].replace("qdrant://localhost:6333", f"qdrant://{folder}/qdrant").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "revector"
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        said += done.output
    return said


def nearest(texts, encoder):
    """Return the ids of the three texts that are nearest to the query."""
    scores = encoder.encode(list(texts.values())) @ encoder.encode([QUERY], kind="query")[0]
    return [list(texts)[place] for place in np.argsort(-scores, kind="stable")[:3]]


def test_an_application_goes_on_from_the_first_model_to_the_second_and_back_and_forth(application, tmp_path):
    old, new = Encoder.from_pretrained("old-model"), Encoder.from_pretrained("new-model")
    texts = dict(enumerate(TEXTS, 1))

    def write(encoder, **changed):
        said = {int(id_[1:]): text for id_, text in changed.items()}
        application("write", "live", encoder, said)
        texts.update(said)

    def assert_found_by(encoder):
        assert application("search", "live", encoder, QUERY) == nearest(texts, encoder)

    assert "adopted as" in run("adopt", tmp_path)
    assert_found_by(old)
    write(old, _100="something entirely new")
    assert "passed" in run("move", tmp_path)
    write(old, _1="bicycle of old changed")
    application(lambda client: client.delete("live", [2], wait=True))
    del texts[2]
    assert_found_by(old)
    run("cutover", tmp_path)
    assert_found_by(new)
    write(new, _101="a bicycle today something new")
    assert_found_by(new)
    run("rollback", tmp_path)
    assert_found_by(old)
    run("forward", tmp_path)
    run("retire", tmp_path)
    assert "docs" in run("release", tmp_path)
    assert_found_by(new)
    assert application(lambda client: [each.name for each in client.get_collections().collections]) == ["live_rv2"]
    points = application(lambda client: client.scroll("live", limit=100, with_vectors=True)[0])
    assert {point.id: point.payload for point in points} == {
        id_: {"body": text, "length": len(text)} for id_, text in texts.items()
    }
    vectors = np.array([point.vector for point in points])
    np.testing.assert_allclose(vectors, new.encode([point.payload["body"] for point in points]), atol=1e-6)
    assert not list(tmp_path.glob("*.db*"))
