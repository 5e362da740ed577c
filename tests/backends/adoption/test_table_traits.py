"""Partitions, triggers, row-level security and rights of a table that is to be adopted."""

from __future__ import annotations

import psycopg
import pytest

from revector.backends.postgres.adoption.contents import count
from revector.backends.postgres.adoption.names import TableName
from revector.errors import InvalidArgumentError
from user_tables import DOCS, PARTITIONED, looked, looked_after


def test_partitions_of_every_level_are_found(connection):
    table = looked_after(connection, PARTITIONED, id_="at,id")
    assert table.kind == "partitioned table"
    assert table.partitions == tuple(
        TableName("app", name) for name in ("docs 2025.0", "docs_2025", "docs_2025_1", "docs_rest")
    )


def test_rows_of_every_partition_are_counted(connection):
    table = looked_after(connection, PARTITIONED, id_="id,at")
    connection.execute("INSERT INTO docs (id, at) SELECT n, make_date(2023 + n, 1, 1) FROM generate_series(1, 4) AS n")
    assert count(connection, table).rows == 4


def test_an_index_of_a_partitioned_table_is_found_once_and_that_of_a_partition_too(connection):
    connection.execute(PARTITIONED + "CREATE INDEX whole ON docs USING hnsw (embedding vector_l2_ops)")
    table = looked_after(connection, "CREATE INDEX part ON docs_rest USING hnsw (embedding vector_ip_ops)", id_="id,at")
    assert [(index.name, index.metric) for index in table.indexes] == [("whole", "l2"), ("part", "dot")]


def test_a_key_that_some_partitions_lack_is_refused(connection):
    connection.execute(
        "CREATE TABLE docs (id bigint NOT NULL, body text, embedding vector(3)) PARTITION BY RANGE (id);"
        "CREATE TABLE docs_rest PARTITION OF docs DEFAULT; CREATE UNIQUE INDEX ON ONLY docs (id)"
    )
    with pytest.raises(InvalidArgumentError, match=r"'id' \(not valid\)"):
        looked(connection)


FUNCTION = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"


def test_triggers_of_the_user_are_found_once(connection):
    connection.execute(PARTITIONED + FUNCTION)
    connection.execute("CREATE TRIGGER whole AFTER INSERT ON docs FOR EACH ROW EXECUTE FUNCTION nothing()")
    connection.execute("CREATE TRIGGER part AFTER INSERT ON docs_rest FOR EACH STATEMENT EXECUTE FUNCTION nothing()")
    connection.execute("CREATE TABLE other (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES docs)")
    assert looked(connection, id_="id,at").triggers == ("part", "whole")


@pytest.mark.parametrize(("declared", "is_logged"), [("TABLE", True), ("UNLOGGED TABLE", False)])
def test_an_unlogged_table_is_told(connection, declared, is_logged):
    assert looked_after(connection, DOCS.replace("TABLE", declared, 1)).is_logged is is_logged


def test_row_security_is_told_with_whether_it_applies(connection, role):
    connection.execute(f"{DOCS}; INSERT INTO docs (slug, size) VALUES ('a', 1), ('b', 2)")
    connection.execute("ALTER TABLE docs ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON docs USING (size = 1)")
    connection.execute(f"GRANT USAGE ON SCHEMA app TO {role}; GRANT SELECT ON docs TO {role}")
    told = {}
    for name in ("postgres", role):
        connection.execute(f"SET ROLE {name}")
        table = looked(connection)
        told[name] = table.has_row_security, table.row_security_applies, count(connection, table).rows
    assert told == {"postgres": (True, False, 2), role: (True, True, 1)}


def test_an_owner_lacks_nothing_on_the_table(connection, role):
    connection.execute(f"{DOCS}; ALTER SCHEMA app OWNER TO {role}; ALTER TABLE docs OWNER TO {role}; SET ROLE {role}")
    table = looked(connection)
    assert table.is_owner
    assert [grant.split(" ON ")[0] for grant in table.missing_grants] == ["GRANT CREATE"]


def test_a_role_that_may_nothing_is_told_what_it_lacks(connection, role):
    name = connection.info.dbname
    connection.execute(f"{DOCS}; SET ROLE {role}")
    table = looked(connection, "app.docs")
    assert not table.is_owner
    assert set(table.missing_grants) == {
        f"GRANT USAGE ON SCHEMA app TO {role}",
        f"GRANT SELECT ON app.docs TO {role}",
        f"GRANT TRIGGER ON app.docs TO {role}",
        f"GRANT UPDATE ON app.docs TO {role}",
        f"GRANT CREATE ON DATABASE {name} TO {role}",
    }


def test_what_a_role_lacks_is_given_by_the_statements_that_it_is_told(connection, role):
    connection.execute(PARTITIONED + f"SET ROLE {role}")
    grants = looked(connection, "app.docs", id_="id,at").missing_grants
    connection.execute("RESET ROLE; " + "; ".join(grants) + f"; SET ROLE {role}")
    assert looked(connection, id_="id,at").missing_grants == ()


@pytest.mark.parametrize("right", ["DELETE", "MAINTAIN"])
def test_a_role_that_may_lock_the_table_needs_no_more_than_its_vector(connection, role, right):
    connection.execute(f"{DOCS}; GRANT USAGE ON SCHEMA app TO {role}; GRANT {right} ON docs TO {role}; SET ROLE {role}")
    assert f"GRANT UPDATE (embedding) ON app.docs TO {role}" in looked(connection).missing_grants


def test_rows_that_may_not_be_read_say_no_dimension(connection, role):
    connection.execute(f"{DOCS}; ALTER TABLE docs ALTER embedding TYPE vector; SET ROLE {role}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        looked(connection, "app.docs")
