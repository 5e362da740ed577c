"""What docs/postgres.md shows is run as it stands there, on a database of the test's own and small models."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

import revector
from docs_blocks import blocks_of
from revector import Collection, Encoder
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from user_tables import new_database

PAGE = blocks_of("postgres.md")
TEXTS = [f"{what} {how} number {n}" for n in range(6) for what in ("bread", "bicycle") for how in ("of old", "today")]
SHELL = f'revector() {{ {sys.executable} -m revector "$@"; }}; set -eu\n'


@pytest.fixture
def shop(server, static_model, tmp_path, monkeypatch):
    """A folder with the page's models, and a connection to a database with its table, which the environment names."""
    for name, dimension in (("old-model", 256), ("new-model", 384)):
        static_model(name, dimension, TEXTS)
    old = Encoder.from_pretrained(tmp_path / "old-model")
    with new_database(server) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(PAGE["table"])
        for id_, text in enumerate(TEXTS):
            insert(connection, id_, text, old)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PGDATABASE", connection.info.dbname)
        monkeypatch.setenv("PGHOST", connection.info.host)
        monkeypatch.setenv("PGPORT", str(connection.info.port))
        monkeypatch.setenv("PGUSER", connection.info.user)
        yield connection


def insert(connection, id_, text, encoder):
    connection.execute("INSERT INTO docs VALUES (%s, %s, %s)", [id_, text, str(encoder.encode([text])[0].tolist())])


def block(name):
    """Return a block, for a database of another name."""
    return re.sub(r"///shop\b", f"///{os.environ['PGDATABASE']}", PAGE[name])


def run(name, *, without=""):
    """Run a block of commands; return what they print."""
    command = ["bash", "-c", SHELL + block(name).rstrip().removesuffix(without)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def following():
    """Run the block that follows what is written, beside a release; then it ends, and says that nothing is left."""
    command = ["bash", "-c", SHELL.replace("{ ", "{ exec ") + block("follow")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as follower:
        try:
            yield
            _, said = follower.communicate(timeout=60)
        finally:
            follower.send_signal(signal.SIGTERM)
    assert follower.returncode == 1
    assert b"the collection was released" in said


def wait_for(phase, seconds=60):
    end = time.monotonic() + seconds
    while f"phase  {phase}" not in re.sub(" +", "  ", run("status")):
        assert time.monotonic() < end, f"it is not {phase}"
        time.sleep(0.5)


def forward():
    wait_for("proving")
    assert "passed" in run("verify")
    run("cutover")


def test_the_ten_minutes_end_with_new_vectors_in_the_users_own_column(shop):
    assert "CREATE TRIGGER" in run("dry")
    run("dry", without=" --dry-run")
    run("start")
    with following():
        forward()
        run("rollback")
        run("start", without=" --model ./new-model")
        forward()
        run("retire")
        run("release")
    found = dict(shop.execute("SELECT body, embedding::real[] FROM docs").fetchall())
    new = Encoder.from_pretrained("new-model")
    np.testing.assert_allclose(list(found.values()), new.encode(list(found)), rtol=1e-5)
    assert shop.execute("SELECT count(*) FROM pg_namespace WHERE nspname ^@ 'revector'").fetchone() == (0,)


def adopt_as_on_page(shop):
    url, models = f"postgresql:///{shop.info.dbname}#docs", [Encoder.from_pretrained("old-model")]
    table = TableToAdopt("public.docs", "id", ("body",), "embedding")
    adopt(url, table, models, dry_run=False, accept_unidentified=False, tell=lambda _: None)


@pytest.fixture
def adopted(shop):
    """The same, adopted, and what the page's first block of Python defines."""
    adopt_as_on_page(shop)
    defined = {}
    exec(block("nearest"), defined)
    yield defined
    defined["connection"].close()


@contextmanager
def moved():
    """A collection all of whose documents have moved, before its cut-over."""
    with Collection.open(block("cutover").split("'")[1], encoders=[Encoder.from_pretrained("old-model")]) as docs:
        migration = docs.migrate(Encoder.from_pretrained("new-model"))
        migration.start()
        migration.run()
        migration.verify()
        yield migration


def test_an_application_that_names_the_generation_is_right_in_every_phase(adopted):
    old, new = adopted["models"]
    assert answers(adopted) == exact(old)
    with moved() as migration:
        assert answers(adopted) == exact(old)
        migration.cutover()
        assert answers(adopted) == exact(new)
        migration.rollback()
        assert answers(adopted) == exact(old)


QUERY = "a bicycle today"


def answers(adopted):
    return [id_ for id_, _ in adopted["search"](QUERY, k=3)]


def exact(encoder):
    scores = encoder.encode(TEXTS) @ encoder.encode([QUERY], kind="query")[0]
    return np.argsort(-scores, kind="stable")[:3].tolist()


def test_the_view_shows_the_vectors_that_serve(shop, adopted):
    shop.prepare_threshold = 0
    seen = [shop.execute(block("view")).fetchone()]
    with moved() as migration:
        migration.cutover()
        seen.append(shop.execute(block("view")).fetchone())
    assert [(id_, vector.count(",") + 1) for id_, vector in seen] == [(7, 256), (7, 384)]


def test_a_query_of_a_generation_that_serves_no_more_meets_no_vectors(shop, adopted):
    old = adopted["models"][0]
    (generation,) = shop.execute("SELECT generation FROM revector.serving('docs')").fetchone()
    asked = {"generation": generation, "query": str(old.encode([QUERY], kind="query")[0].tolist())}
    assert len(shop.execute(block("guarded"), asked).fetchall()) == 10
    with moved() as migration:
        migration.cutover()
        assert shop.execute(block("guarded"), asked).fetchall() == []


def test_a_collection_is_searched_from_python(shop):
    shop.execute("ALTER TABLE docs ADD price int DEFAULT 12; UPDATE docs SET price = 5 WHERE id < 3")
    adopt_as_on_page(shop)
    adopted = {"rv": revector, "models": [Encoder.from_pretrained("old-model")]}
    exec(block("collection"), adopted)
    assert len(adopted["hits"]) == 10
    assert {hit.id for hit in adopted["cheap"]} == {"0", "1", "2"}


def test_a_collection_of_ones_own_needs_no_table(adopted):
    exec(block("own"), adopted)
    with adopted["notes"] as notes:
        assert len(notes) == 2
