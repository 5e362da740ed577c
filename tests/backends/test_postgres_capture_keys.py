"""A collection follows a table of the user's: keys of every kind that change, and partitions."""

import json
import uuid

import pytest

from captured import COLUMN, DOCS, OWN, followed
from revector.backends.contracts import content_hash
from revector.backends.postgres.adoption.capture import cover, uncovered

psycopg = pytest.importorskip("psycopg")

DEFERRABLE = DOCS.replace("PRIMARY KEY", "PRIMARY KEY DEFERRABLE")


def three(table):
    """Install a table and insert the rows 1, 2 and 3, whose vectors have landed."""
    table.make().install()
    table.run("INSERT INTO docs SELECT n, 'text ' || n, 'n', '[1, 2]' FROM generate_series(1, 3) AS n")
    table.land("1", "2", "3")
    return table


@pytest.fixture
def docs(tmp_path):
    """Return a followed table with three rows; statements may let two of them have one key meanwhile."""
    with followed(tmp_path, DEFERRABLE) as table:
        yield three(table)


# Keys that change


def test_row_keeps_shadow_and_vectors_when_its_key_changes(docs):
    docs.run("UPDATE docs SET id = 10 WHERE id = 1")
    assert (docs.keys(), docs.current(OWN), docs.current(COLUMN)) == (
        {"10": 1, "2": 2, "3": 3},
        ["10", "2", "3"],
        ["10", "2", "3"],
    )


def test_key_change_that_keeps_the_text_asks_for_nothing(docs):
    docs.run("UPDATE docs SET id = id + 10")
    assert (docs.jobs(OWN), docs.left_over()) == ([], [])


@pytest.mark.parametrize("by", [1, -1])
def test_rows_keep_their_shadows_when_all_keys_move_on(docs, by):
    docs.run("UPDATE docs SET id = id + %s", by)
    assert docs.keys() == {str(key + by): key for key in (1, 2, 3)}


def test_rows_keep_their_shadows_when_they_change_places(docs):
    docs.run("UPDATE docs SET id = 3 - id WHERE id < 3")
    assert (docs.keys(), docs.jobs(OWN)) == ({"2": 1, "1": 2, "3": 3}, [])


def test_key_and_text_that_change_together_are_asked_for(docs):
    docs.run("UPDATE docs SET id = 10, body = 'changed' WHERE id = 1")
    assert (docs.jobs(OWN), docs.current(COLUMN)) == (["10"], ["2", "3"])


def test_key_of_a_row_that_goes_in_the_same_statement_is_taken(docs):
    docs.run("WITH gone AS (DELETE FROM docs WHERE id = 2) UPDATE docs SET id = 2 WHERE id = 1")
    assert (docs.keys(), docs.shadows()["2"], docs.left_over()) == ({"2": 1, "3": 3}, content_hash("text 1"), [])


def test_key_that_a_row_had_until_now_is_taken_by_a_new_one(docs):
    docs.run("WITH moved AS (UPDATE docs SET id = 10 WHERE id = 1) INSERT INTO docs VALUES (1, 'new')")
    assert (docs.shadows()["10"], docs.shadows()["1"]) == (content_hash("text 1"), content_hash("new"))


def test_key_that_changes_twice_in_a_transaction_keeps_its_shadow(docs):
    with docs.connection.transaction():
        docs.run("UPDATE docs SET id = 10 WHERE id = 1")
        docs.run("UPDATE docs SET id = 1 WHERE id = 2")
        docs.run("UPDATE docs SET id = 2 WHERE id = 10")
    assert (docs.keys(), docs.jobs(OWN)) == ({"2": 1, "1": 2, "3": 3}, [])


# Keys of other kinds


def test_composite_key_is_a_json_array(tmp_path):
    columns = "tenant text, number integer, body text, embedding vector(2), PRIMARY KEY (tenant, number)"
    with followed(tmp_path, columns, key=(("tenant", "text"), ("number", "integer"))) as table:
        table.make().install()
        table.run("INSERT INTO docs VALUES ('a \"b\"', 1, 'x'), ('é', 2, 'y')")
        table.run("UPDATE docs SET tenant = 'c' WHERE number = 2")
        assert list(map(json.loads, table.keys())) == [['a "b"', 1], ["c", 2]]


@pytest.mark.parametrize(
    ("kind", "value", "other"),
    [
        ("text", "a key", "another"),
        ("character varying(20)", "a key", "another"),
        ("uuid", str(uuid.UUID(int=1)), str(uuid.UUID(int=2))),
        ("numeric(10,2)", "1.50", "2.50"),
        ("date", "2024-02-29", "2024-03-01"),
        ("timestamp with time zone", "2024-02-29 12:00:00+00", "2024-03-01 12:00:00+00"),
        ("boolean", "false", "true"),
    ],
)
def test_key_of_any_type_is_its_text(tmp_path, kind, value, other):
    with followed(tmp_path, DOCS.replace("bigint", kind), key=(("id", kind),)) as table:
        table.make().install()
        table.run("SET datestyle = 'German, DMY'; SET timezone = 'Asia/Tokyo'")
        table.run("INSERT INTO docs (id, body) VALUES (%s, 'x')", value.replace("2024-02-29", "29.02.2024"))
        table.run("UPDATE docs SET id = %s", other.replace("2024-03-01", "01.03.2024"))
        assert table.keys() == {other: 1}


def test_keys_that_are_equal_in_either_case_are_one(tmp_path):
    with followed(
        tmp_path, DOCS.replace("bigint", "citext"), key=(("id", "public.citext"),), type_schemas=("public",)
    ) as table:
        table.add_citext()
        table.make().install()
        table.run("INSERT INTO docs (id, body) VALUES ('Key', 'x')")
        table.run("INSERT INTO docs (id, body) VALUES ('kEY', 'y') ON CONFLICT (id) DO UPDATE SET body = excluded.body")
        assert table.shadows() == {"Key": content_hash("y")}


# Partitions

PARTITIONED = "id bigint, body text, note text, embedding vector(2), PRIMARY KEY (id)) PARTITION BY RANGE (id"
BY_REGION = (
    "id bigint, region text, body text, embedding vector(2), PRIMARY KEY (id, region)) PARTITION BY LIST (region"
)


@pytest.fixture
def parted(tmp_path):
    """Return a followed table with two partitions, below 100 and above; the columns of one have another order."""
    with followed(tmp_path, PARTITIONED, partitions=("low", "high")) as table:
        table.make()
        table.run("CREATE TABLE low PARTITION OF docs FOR VALUES FROM (0) TO (100)")
        table.run("CREATE TABLE high (embedding vector(2), gone int, note text, body text, id bigint PRIMARY KEY)")
        table.run("ALTER TABLE high DROP gone; ALTER TABLE docs ATTACH PARTITION high FOR VALUES FROM (100) TO (200)")
        yield table.install()


def test_rows_written_through_the_parent_are_captured_once(parted):
    parted.run("INSERT INTO docs VALUES (1, 'one'), (101, 'two')")
    parted.run("UPDATE docs SET body = body || '!'")
    assert (parted.shadows(), parted.jobs(OWN)) == (
        {"1": content_hash("one!"), "101": content_hash("two!")},
        ["1", "101"],
    )


def test_rows_written_to_partitions_by_their_names_are_captured(parted):
    parted.run("INSERT INTO low VALUES (1, 'one'), (2, 'two')")
    parted.run("INSERT INTO high (id, body) VALUES (101, 'three')")
    parted.run("UPDATE high SET body = 'changed'")
    parted.run("DELETE FROM low WHERE id = 1")
    assert parted.shadows() == {"2": content_hash("two"), "101": content_hash("changed")}


def test_row_that_moves_to_another_partition_keeps_its_shadow(parted):
    parted.run("INSERT INTO docs VALUES (1, 'one'), (2, 'two')")
    parted.land("1", "2")
    parted.run("UPDATE docs SET id = id + 100")
    assert (parted.keys(), parted.jobs(OWN)) == ({"101": 1, "102": 2}, [])


def test_row_that_a_trigger_keeps_from_moving_is_forgotten(parted):
    parted.run("INSERT INTO docs VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    parted.run(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RETURN CASE WHEN NEW.id <> 101 THEN NEW END; END';
        CREATE TRIGGER refuse BEFORE INSERT ON high FOR EACH ROW EXECUTE FUNCTION refuse()
        """
    )
    parted.run("UPDATE docs SET id = id + 100")
    assert (parted.shadows(), parted.left_over()) == ({"102": content_hash("two"), "103": content_hash("three")}, [])


def test_rows_written_to_a_partition_that_has_partitions_are_captured(parted):
    parted.run("CREATE TABLE later PARTITION OF docs FOR VALUES FROM (200) TO (300) PARTITION BY RANGE (id)")
    parted.run("CREATE TABLE later_half PARTITION OF later FOR VALUES FROM (200) TO (250)")
    parted.run(cover(parted.captured, parted.run(uncovered(parted.captured)).fetchall()).sql)
    parted.run("INSERT INTO later VALUES (201, 'x')")
    parted.run("UPDATE later_half SET body = 'y'")
    assert parted.shadows() == {"201": content_hash("y")}


def test_truncated_partition_takes_only_its_own_rows(parted):
    parted.run("INSERT INTO docs VALUES (1, 'one'), (101, 'two')")
    parted.run("TRUNCATE low")
    assert (list(parted.shadows()), parted.left_over()) == (["101"], [])


def test_partition_of_later_is_noticed_and_can_be_covered(parted):
    parted.run("CREATE TABLE later PARTITION OF docs FOR VALUES FROM (200) TO (300)")
    found = parted.run(uncovered(parted.captured)).fetchall()
    parted.run(cover(parted.captured, found).sql)
    parted.run("INSERT INTO later VALUES (201, 'x')")
    assert (found, list(parted.shadows())) == ([(parted.schema, "later")], ["201"])


def test_trigger_that_was_disabled_is_noticed(parted):
    parted.run("ALTER TABLE low DISABLE TRIGGER ALL")
    assert parted.run(uncovered(parted.captured)).fetchall() == [(parted.schema, "low")]


def test_attached_and_detached_rows_are_found_when_all_are_looked_at_again(parted):
    parted.run("INSERT INTO docs VALUES (1, 'one'), (101, 'two')")
    parted.run("ALTER TABLE docs DETACH PARTITION low; CREATE TABLE later (LIKE docs INCLUDING ALL)")
    parted.run(
        "INSERT INTO later VALUES (5, 'x'); ALTER TABLE docs ATTACH PARTITION later FOR VALUES FROM (0) TO (100)"
    )
    parted.fill_again()
    assert sorted(parted.shadows()) == ["101", "5"]


def test_partition_key_that_is_half_of_the_key_moves_the_row(tmp_path):
    key = (("id", "bigint"), ("region", "text"))
    with followed(tmp_path, BY_REGION, key=key, partitions=("eu", "us")) as table:
        table.make()
        table.run("CREATE TABLE eu PARTITION OF docs FOR VALUES IN ('eu')")
        table.run("CREATE TABLE us PARTITION OF docs FOR VALUES IN ('us')")
        table.install()
        table.run("INSERT INTO docs VALUES (1, 'eu', 'x')")
        table.run("UPDATE docs SET region = 'us'")
        assert table.keys() == {'[1, "us"]': 1}
