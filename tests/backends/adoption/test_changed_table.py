"""A table that is changed while it moves: its writers go on, nothing is cut over, and nothing is lost in the end."""

from __future__ import annotations

import json
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.adoption.release import release
from revector.backends.postgres.database.places import place_of
from revector.cli import app
from revector.errors import ChangedTableError, GoneError
from user_tables import new_database
from worlds import NEW, OLD

TABLE = TableToAdopt("public.docs", "id", ("title", "body"), "embedding", name="docs")
RENAMED = {
    "title": "ALTER TABLE docs RENAME title TO x",
    "embedding": "ALTER TABLE docs RENAME embedding TO x",
    "id": "ALTER TABLE docs RENAME id TO x",
}


@pytest.fixture
def shop(server):
    """A connection of an application to a database of its own."""
    with new_database(server) as connection:
        connection.execute(
            "CREATE EXTENSION vector; CREATE TABLE docs (id bigint PRIMARY KEY, title text, body text, price int, "
            "embedding vector(8))"
        )
        for number in range(20):
            text = f"text {number}"
            connection.execute(
                "INSERT INTO docs VALUES (%s, 'title', %s, 1, %s)", [number, text, embedded(f"title\n\n{text}")]
            )
        yield connection


@pytest.fixture
def adopted(server, shop):
    """Return the URL of the collection."""
    place = place_of(f"{server}#docs")
    url = replace(place, connection={**place.connection, "dbname": shop.info.dbname}).url
    adopt(url, replace(TABLE, name=None), [OLD], dry_run=False, accept_unidentified=False, tell=lambda _: None)
    return url


@pytest.fixture
def url(adopted):
    """Return the URL of the collection, which is in the middle of a migration."""
    with opened(adopted) as docs:
        migration = docs.migrate(NEW, retention_seconds=0)
        migration.start()
        migration.run()
        migration.verify()
    return adopted


def embedded(text, encoder=OLD):
    return str(encoder.encode([text])[0].tolist())


def opened(url):
    return Collection.open(url, encoders=[OLD, NEW])


def said(*arguments):
    """Return what a command says, and its exit code."""
    result = CliRunner().invoke(app, [*arguments])
    return " ".join((result.stdout + result.stderr).split()), result.exit_code


@pytest.mark.parametrize("column", RENAMED)
@pytest.mark.parametrize("verb", ["run", "verify", "cutover"])
def test_nothing_goes_on_until_a_column_has_its_name_again(shop, url, column, verb):
    shop.execute(RENAMED[column])
    remedy = f'ALTER TABLE public.docs RENAME "x" TO "{column}"'
    with opened(url) as docs, pytest.raises(ChangedTableError, match=remedy):
        getattr(docs.migration, verb)()


def test_status_names_the_column_that_is_missing(shop, url):
    shop.execute(RENAMED["title"])
    told, code = said("status", url)
    assert ("the column title of public.docs is called x now" in told, code) == (True, 0)


@pytest.mark.parametrize("column", RENAMED)
def test_what_was_written_meanwhile_is_found_before_the_cutover(shop, url, column):
    id_, title, vector = ("x" if name == column else name for name in ("id", "title", "embedding"))
    shop.execute(RENAMED[column])
    shop.execute(f"INSERT INTO docs ({id_}, {title}, body) VALUES (100, 'new', 'row')")
    shop.execute(f"UPDATE docs SET {title} = 'changed' WHERE {id_} < 5")
    shop.execute(f"UPDATE docs SET {title} = 'both', {vector} = %s WHERE {id_} = 6", [embedded("both\n\ntext 6")])
    shop.execute(f"UPDATE docs SET {id_} = 200 WHERE {id_} = 7")
    shop.execute(f"DELETE FROM docs WHERE {id_} = 8")
    shop.execute(f"ALTER TABLE docs RENAME x TO {column}")
    with opened(url) as docs:
        docs.migration.cutover()
        while shop.execute("SELECT state FROM revector_docs.filling").fetchone() != ("done",):
            docs._backend.recapture()  # transactions of other tests may be in its way
        assert_exact(shop, "SELECT id, embedding FROM revector_docs.serving", NEW)
        docs.migration.rollback()
        assert_exact(shop, "SELECT id, embedding FROM docs", OLD)


def assert_exact(shop, query, encoder):
    """The vectors are those of the present texts, no more and no fewer."""
    texts = dict(shop.execute("SELECT id, concat_ws(E'\\n\\n', title, body) FROM docs").fetchall())
    found = {id_: np.array(json.loads(vector), np.float32) for id_, vector in shop.execute(query)}
    assert found.keys() == texts.keys()
    np.testing.assert_allclose([found[id_] for id_ in texts], encoder.encode(list(texts.values())), rtol=1e-6)


def test_searches_go_on_while_a_column_has_another_name(shop, url):
    shop.execute(RENAMED["title"])
    with opened(url) as docs:
        assert docs.search("title\n\ntext 7", k=1)[0].id == "7"


def test_a_table_that_has_another_name_is_named(shop, url):
    shop.execute("CREATE SCHEMA other; ALTER TABLE docs SET SCHEMA other; ALTER TABLE other.docs RENAME TO papers")
    shop.execute("UPDATE other.papers SET title = 'changed' WHERE id = 1")
    told, code = said("cutover", url)
    assert ("public.docs is called other.papers now" in told, code) == (True, 1)


def test_another_column_under_the_name_of_one_is_not_taken_for_it(shop, url):
    """As when an application moves to a new column: views go on to read the old one."""
    shop.execute("ALTER TABLE docs RENAME title TO old_title; ALTER TABLE docs ADD title text")
    shop.execute("UPDATE docs SET title = 'new'")
    told, code = said("cutover", url)
    assert ("the column title of public.docs is called old_title now" in told, code) == (True, 1)


LOST = {
    "ALTER TABLE docs DROP title CASCADE": "lost the column title",
    "ALTER TABLE docs DROP embedding CASCADE": "lost the column embedding",
    "ALTER TABLE docs DROP embedding CASCADE, ADD embedding vector(5)": "has another type",
    "ALTER TABLE docs DROP price CASCADE": "a column was dropped",
    "DROP TABLE docs CASCADE": "was dropped",
}


@pytest.mark.parametrize("statement", LOST)
def test_what_is_lost_is_said_by_every_verb_and_let_go_by_release(shop, url, statement):
    shop.execute(statement)
    for verb in ("status", "run", "verify", "cutover", "rollback"):
        told, code = said(verb, url)
        assert (LOST[statement] in told, "revector release --yes" in told, code) == (True, True, 1), told
    is_dropped = statement.startswith("DROP")
    assert said("release", url, "--yes")[1] == (0 if is_dropped else 3)
    assert is_dropped or said("release", url, "--yes", "--accept-missing")[1] == 0
    left = shop.execute("SELECT nspname FROM pg_namespace WHERE nspname ^@ 'revector'").fetchall()
    triggers = shop.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
    assert (left, triggers) == ([], [])


def test_a_collection_whose_table_is_gone_says_so_in_python(shop, url):
    with opened(url) as docs:
        shop.execute("DROP TABLE docs CASCADE")
        with pytest.raises(GoneError, match=r"public\.docs was dropped"):
            docs.search("text", k=1)


@pytest.mark.parametrize("end", ["release", "drop"])
def test_following_ends_once_there_is_nothing_to_follow(shop, adopted, end):
    def come_to_an_end():
        if end == "drop":
            shop.execute("DROP TABLE docs CASCADE")
        else:
            options = {"allow_missing": False, "in_place": False, "fire_triggers": False, "dry_run": False}
            release(adopted, **options, tell=lambda _: None)

    timers = [threading.Timer(1.5, come_to_an_end), threading.Timer(20, signal.raise_signal, [signal.SIGTERM])]
    for timer in timers:
        timer.start()
    told, code = said("run", adopted, "--follow")
    timers[1].cancel()
    assert ({"release": "released or dropped", "drop": "public.docs was dropped"}[end] in told, code) == (True, 1)


def test_following_waits_until_a_column_has_its_name_again(shop, adopted):
    stop = threading.Event()
    with opened(adopted) as docs:
        follower = threading.Thread(target=docs.follow, args=(stop,))
        follower.start()
        shop.execute(RENAMED["title"])
        shop.execute("UPDATE docs SET x = 'changed' WHERE id = 3")
        time.sleep(1.5)
        shop.execute("ALTER TABLE docs RENAME x TO title")
        vector, end = "SELECT embedding FROM docs WHERE id = 3", time.monotonic() + 20
        before = shop.execute(vector).fetchone()
        while shop.execute(vector).fetchone() == before and time.monotonic() < end:
            time.sleep(0.1)
        stop.set()
        follower.join()
    assert_exact(shop, "SELECT id, embedding FROM docs", OLD)


def test_texts_that_were_written_without_triggers_are_found_by_doctor_and_mended(shop, url):
    shop.execute("SET session_replication_role = replica; UPDATE docs SET title = 'unseen' WHERE id < 3")
    told, code = said("doctor", url)
    assert ("of 20 rows that were compared, 3 have another text than is known" in told, code) == (True, 1)
    assert "written unseen" not in said("doctor", url, "--repair")[0]
    with opened(url) as docs:
        docs.migration.cutover()
    assert_exact(shop, "SELECT id, embedding FROM revector_docs.serving", NEW)


def test_triggers_that_were_disabled_are_made_anew(shop, adopted):
    shop.execute("ALTER TABLE docs DISABLE TRIGGER ALL; UPDATE docs SET title = 'unseen' WHERE id < 3")
    told, code = said("doctor", adopted)
    assert ("public.docs is written without revector's triggers" in told, code) == (True, 1)
    said("doctor", adopted, "--repair")
    shop.execute("UPDATE docs SET title = 'seen' WHERE id > 10")
    waiting = "SELECT count(*) FROM revector_docs.jobs WHERE state = 'pending'"
    assert shop.execute(waiting).fetchone() == (3 + 9,)
