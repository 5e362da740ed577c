"""The roles of docs/postgres.md: with what the page grants, each can do its part, and nothing more."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import psycopg
import pytest

from docs_blocks import blocks_of
from revector import Collection
from revector.backends.contracts.adoption import TableToAdopt
from revector.backends.postgres.adoption.adopting import adopt
from revector.backends.postgres.database.places import place_of
from revector.errors import ReadOnlyError, StoreError
from revector.ledger.state import Phase
from user_tables import new_database
from worlds import NEW, OLD

PAGE = blocks_of("postgres.md")
ROLES = re.compile(r"\b(migrator|worker|reader|application)\b")
TABLE = TableToAdopt("public.docs", "id", ("body",), "embedding")
INSERT = "INSERT INTO docs VALUES (%s, %s, %s)"


@dataclass
class Shop:
    """A database of the page, whose roles have an ending of their own, since all databases share them."""

    admin: psycopg.Connection
    server: str
    ending: str

    def grant(self, *blocks):
        """Run blocks of the page."""
        for block in blocks:
            self.admin.execute(self._ours(PAGE[block]))

    def as_(self, role):
        """Return a connection of a role."""
        return psycopg.connect(self._url(role), autocommit=True)

    def adopt(self):
        return adopt(self._url("migrator"), TABLE, [OLD], dry_run=False, accept_unidentified=False, tell=lambda _: None)

    @contextmanager
    def opened(self, role):
        """The collection, as a role opens it."""
        with Collection.open(f"{self._url(role)}#docs", encoders=[OLD, NEW]) as docs:
            yield docs

    def _ours(self, statements):
        return ROLES.sub(rf"\1_{self.ending}", statements).replace("DATABASE shop", f"DATABASE {self._database}")

    def _url(self, role):
        place = place_of(f"{self.server}#docs")
        own = {"user": f"{role}_{self.ending}", "dbname": self._database}
        return replace(place, connection={**place.connection, **own}).url.partition("#")[0]

    @property
    def _database(self):
        return self.admin.info.dbname


@pytest.fixture
def shop(server):
    """A table that an application reads and writes, and roles that may nothing else yet."""
    with new_database(server) as admin:
        shop = Shop(admin, server, uuid.uuid4().hex[:8])
        names = [f"{role}_{shop.ending}" for role in ("migrator", "worker", "reader", "application")]
        admin.execute("".join(f"CREATE ROLE {name} LOGIN;" for name in names))
        admin.execute(
            "CREATE EXTENSION vector; CREATE TABLE docs (id bigint PRIMARY KEY, body text, embedding vector(8))"
        )
        admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON docs TO application_{shop.ending}")
        for number in range(20):
            admin.execute(INSERT, [number, f"text number {number}", vector(OLD, f"text number {number}")])
        shop.grant("migrator")
        yield shop
        admin.execute("".join(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name};" for name in names))


@pytest.fixture
def adopted(shop):
    """The same, adopted by the role that may, and what the page takes from it then, and grants to the others."""
    shop.adopt()
    shop.grant("adopted", "worker", "reader", "application")
    return shop


def vector(encoder, text):
    return str(encoder.encode([text])[0].tolist())


def test_each_role_does_its_part_of_a_migration(adopted):
    with adopted.opened("migrator") as docs:
        docs.migrate(NEW, retention_seconds=0).start()
    with adopted.as_("application") as application:
        application.execute(INSERT, [100, "a new text", vector(OLD, "a new text")])
        application.execute("UPDATE docs SET body = 'another text', embedding = NULL WHERE id = 3")
    with adopted.opened("worker") as docs:
        docs.migration.run()
        assert docs.migration.phase is Phase.PROVING
    with adopted.opened("migrator") as docs:
        docs.migration.verify()
        docs.migration.cutover()
    with adopted.as_("application") as application:
        nearest = "SELECT id FROM revector.nearest('docs', %s::vector, 1, (revector.serving('docs')).generation)"
        assert application.execute(nearest, [vector(NEW, "a new text")]).fetchone() == ("100",)
        assert application.execute("SELECT count(*) FROM revector_docs.serving").fetchone() == (21,)
    with adopted.opened("reader") as docs:
        assert docs.search("another text", k=1)[0].id == "3"
    with adopted.opened("migrator") as docs:
        docs.migration.rollback()
        docs.migration.retire(confirm=True)


def test_an_application_needs_nothing_more_to_write(shop):
    shop.adopt()
    with shop.as_("application") as application:
        application.execute(INSERT, [100, "a new text", None])
        application.execute("UPDATE docs SET id = 200, body = 'another text' WHERE id = 3")
        application.execute("DELETE FROM docs WHERE id = 4")
        kept = "SELECT count(*), count(*) FILTER (WHERE id = '200') FROM revector_docs.rows"
        assert shop.admin.execute(kept).fetchone() == (20, 1)
        application.execute("TRUNCATE docs")
    assert shop.admin.execute("SELECT count(*) FROM revector_docs.rows").fetchone() == (0,)


def test_a_worker_follows_what_is_written_into_the_column_too(adopted):
    adopted.admin.execute(INSERT, [100, "a new text", None])
    with adopted.opened("worker") as docs:
        follower = threading.Thread(target=docs.follow, args=[stop := threading.Event()])
        follower.start()
        found = _first(lambda: adopted.admin.execute("SELECT embedding::text FROM docs WHERE id = 100").fetchone()[0])
        stop.set()
        follower.join()
    np.testing.assert_allclose(json.loads(found), OLD.encode(["a new text"])[0], rtol=1e-6)


def _first(question, seconds=60):
    """Return the first answer that there is."""
    end = time.monotonic() + seconds
    while (found := question()) is None and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_a_reader_writes_nothing(adopted):
    with adopted.opened("reader") as docs, pytest.raises(ReadOnlyError, match="this role may only read"):
        docs.migrate(NEW)


@pytest.mark.parametrize("role", ["worker", "application"])
def test_who_serves_is_the_migrators_to_change(adopted, role):
    with adopted.opened("migrator") as docs:
        docs.migrate(NEW).start()
        docs.migration.run()
        docs.migration.verify()
    with adopted.opened(role) as docs, pytest.raises(StoreError, match=r"permission is missing|may only read"):
        docs.migration.cutover()
    with adopted.opened("migrator") as docs:
        assert docs.serving_space == OLD.space


WRITES = (
    "INSERT INTO docs VALUES (100)",
    "UPDATE docs SET body = 'x'",
    "DELETE FROM docs",
    "TRUNCATE docs",
    "ALTER TABLE docs ADD x int",
    "DROP TABLE docs",
)
OURS = (
    "DELETE FROM revector_docs.rows",
    "INSERT INTO revector_docs.aliases VALUES ('other', 1, 1)",
    "UPDATE revector_docs.generations SET dropped = true",
    "SELECT revector_docs.fill(1)",
    "CREATE TABLE revector_docs.other ()",
    "CREATE OR REPLACE VIEW revector_docs.live AS SELECT 1 AS generation, true AS in_column",
    "DROP SCHEMA revector_docs CASCADE",
    "DROP FUNCTION revector.serving(text)",
)
TRIGGER = "CREATE TRIGGER own AFTER INSERT ON docs EXECUTE FUNCTION suppress_redundant_updates_trigger()"


@pytest.mark.parametrize(
    ("role", "statements"),
    [
        ("migrator", (*WRITES, TRIGGER, "CREATE SCHEMA other")),
        ("worker", (*WRITES, *OURS[4:], TRIGGER, "UPDATE docs SET id = id + 1")),
        ("reader", (*WRITES, *OURS, TRIGGER, "SELECT * FROM docs", "SELECT 1 FROM revector.serving('docs')")),
        ("application", (*OURS, TRIGGER, *WRITES[4:])),
    ],
)
def test_no_role_can_do_more(adopted, role, statements):
    with adopted.as_(role) as connection:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
