"""A collection follows a table of the user's, whose writers know nothing of it."""

import pytest

from captured import COLUMN, DOCS, OWN, followed
from revector.backends.contracts import content_hash
from revector.backends.postgres.adoption.capture import uninstall

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def docs(tmp_path):
    """Return a followed table with the rows 1 (a vector), 2 (none) and 3 (no text)."""
    with followed(tmp_path, others=("note",)) as table:
        table.make().install()
        table.run("INSERT INTO docs VALUES (1, 'one', 'n', '[1, 2]'), (2, 'two', 'n', NULL), (3, NULL, 'n', NULL)")
        yield table


# Rows that are inserted


def test_row_has_shadow_with_hash_of_its_text(docs):
    assert docs.shadows() == {"1": content_hash("one"), "2": content_hash("two"), "3": content_hash("")}


def test_new_row_is_asked_for_in_every_live_generation_that_has_no_vector_of_it(docs):
    assert (docs.jobs(COLUMN), docs.jobs(OWN)) == (["2"], ["1", "2"])


def test_vector_of_a_new_row_is_of_its_text(docs):
    assert docs.current(COLUMN) == ["1"]


def test_row_without_text_is_known_to_have_none(docs):
    assert docs.ours("SELECT key, has_text FROM rows ORDER BY key") == [(1, True), (2, True), (3, False)]


def test_document_is_the_row_without_key_text_and_vector(docs):
    assert docs.ours("SELECT key, id, metadata, text FROM documents") == [
        (1, "1", {"note": "n"}, "one"),
        (2, "2", {"note": "n"}, "two"),
        (3, "3", {"note": "n"}, ""),
    ]


def test_copied_rows_are_captured(docs):
    with docs.connection.cursor().copy("COPY docs (id, body) FROM STDIN") as copy:
        for id_ in range(4, 10):
            copy.write_row((id_, f"text {id_}"))
    assert docs.jobs(OWN) == ["1", "2", *(str(id_) for id_ in range(4, 10))]


def test_on_conflict_do_update_captures_both_kinds_of_rows(docs):
    docs.land("1")
    docs.run(
        "INSERT INTO docs VALUES (1, 'one again'), (4, 'four') ON CONFLICT (id) DO UPDATE SET body = excluded.body"
    )
    assert docs.jobs(OWN) == ["1", "2", "4"]


def test_on_conflict_do_nothing_touches_nothing(docs):
    before = docs.versions()
    docs.run("INSERT INTO docs VALUES (1, 'other') ON CONFLICT DO NOTHING")
    assert docs.versions() == before


def test_merge_captures_each_of_its_verbs(docs):
    docs.run(
        """
        MERGE INTO docs USING (VALUES (1, 'one again'), (2, NULL), (4, 'four')) AS new (id, body) ON docs.id = new.id
        WHEN MATCHED AND new.body IS NULL THEN DELETE
        WHEN MATCHED THEN UPDATE SET body = new.body
        WHEN NOT MATCHED THEN INSERT (id, body) VALUES (new.id, new.body)
        """
    )
    assert docs.shadows() == {"1": content_hash("one again"), "3": content_hash(""), "4": content_hash("four")}


def test_several_writes_in_one_statement_are_captured(docs):
    docs.run(
        """
        WITH gone AS (DELETE FROM docs WHERE id = 1 RETURNING *), changed AS (UPDATE docs SET body = 'x' WHERE id = 2)
        INSERT INTO docs SELECT id + 10, body FROM gone
        """
    )
    assert docs.shadows() == {"2": content_hash("x"), "3": content_hash(""), "11": content_hash("one")}


def test_row_that_is_deleted_and_inserted_in_one_statement_has_the_new_text(docs):
    docs.run("WITH gone AS (DELETE FROM docs WHERE id = 1 RETURNING id) INSERT INTO docs SELECT id, 'new' FROM gone")
    assert docs.shadows()["1"] == content_hash("new")


# Rows that are updated


def test_changed_text_is_asked_for_everywhere(docs):
    docs.land("1", "2")
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 1")
    assert (docs.jobs(COLUMN), docs.jobs(OWN)) == (["1", "2"], ["1"])


def test_vector_that_stays_when_the_text_changes_is_of_the_text_before(docs):
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 1")
    assert docs.ours("SELECT content_hash FROM column_state") == [(content_hash("one"),)]


def test_vector_that_is_written_with_the_text_is_of_that(docs):
    docs.run("UPDATE docs SET body = 'changed', embedding = '[2, 1]' WHERE id = 1")
    assert (docs.current(COLUMN), docs.jobs(COLUMN)) == (["1"], ["2"])


def test_vector_that_is_written_settles_the_job_of_its_generation_only(docs):
    docs.run("UPDATE docs SET embedding = '[2, 1]' WHERE id = 2")
    assert (docs.jobs(COLUMN), docs.jobs(OWN)) == ([], ["1", "2"])


def test_same_vector_written_again_with_another_text_is_of_the_text_before(docs):
    docs.run("UPDATE docs SET body = 'changed', embedding = '[1, 2]' WHERE id = 1")
    assert docs.current(COLUMN) == []


def test_vector_that_is_removed_is_asked_for(docs):
    docs.run("UPDATE docs SET embedding = NULL")
    assert (docs.jobs(COLUMN), docs.current(COLUMN)) == (["1", "2"], [])


def test_text_that_is_removed_needs_no_vector(docs):
    docs.run("UPDATE docs SET body = NULL")
    assert (docs.jobs(COLUMN), docs.jobs(OWN)) == ([], [])


def test_update_of_other_columns_writes_nothing(docs):
    before = docs.versions()
    docs.run("UPDATE docs SET note = 'other', body = body || '', embedding = embedding")
    assert docs.versions() == before


def test_change_of_text_that_leaves_its_hash_writes_nothing(docs):
    before = docs.versions()
    docs.run("UPDATE docs SET body = '' WHERE id = 3")
    assert docs.versions() == before


def test_change_of_case_is_seen_where_texts_of_either_case_are_equal(tmp_path):
    with followed(tmp_path, DOCS.replace("text", "citext", 1)) as table:
        table.add_citext()
        table.make().install()
        table.run("INSERT INTO docs VALUES (1, 'one')")
        table.run("UPDATE docs SET body = 'ONE'")
        assert table.shadows() == {"1": content_hash("ONE")}


def test_time_of_a_change_is_that_of_the_text(docs):
    before = dict(docs.ours("SELECT id, updated_at FROM documents"))
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 1")
    docs.run("UPDATE docs SET embedding = '[3, 3]' WHERE id = 2")
    after = dict(docs.ours("SELECT id, updated_at FROM documents"))
    assert (after["1"] > before["1"], after["2"] == before["2"]) == (True, True)


def test_time_of_a_change_is_what_the_users_column_says(tmp_path):
    with followed(tmp_path, f"{DOCS}, changed timestamptz", updated="changed") as table:
        table.make().install()
        table.run("INSERT INTO docs (id, body, changed) VALUES (1, 'one', to_timestamp(1234567890))")
        assert table.ours("SELECT updated_at FROM documents") == [(1234567890.0,)]


def test_text_is_that_of_all_columns_that_have_some(tmp_path):
    with followed(tmp_path, f"{DOCS}, title text", text=("title", "body")) as table:
        table.make().install()
        table.run("INSERT INTO docs (id, title, body) VALUES (1, 't', 'b'), (2, NULL, 'b'), (3, 't', ''), (4, '', '')")
        assert table.shadows() == {
            id_: content_hash(text) for id_, text in {"1": "t\n\nb", "2": "b", "3": "t", "4": ""}.items()
        }


def test_triggers_of_the_user_may_write_the_row_again(docs):
    docs.run(
        """
        CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            UPDATE docs SET body = upper(body) WHERE id = NEW.id AND body <> upper(body); RETURN NULL;
        END $$;
        CREATE TRIGGER again AFTER INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION again()
        """
    )
    docs.run("INSERT INTO docs VALUES (4, 'four')")
    docs.run("UPDATE docs SET body = 'uno' WHERE id = 1")
    assert (docs.shadows()["4"], docs.shadows()["1"]) == (content_hash("FOUR"), content_hash("UNO"))


# Rows that are deleted


def test_deleted_row_leaves_nothing(docs):
    docs.land("1", "2")
    docs.ours("INSERT INTO access SELECT key, 1, 0 FROM rows RETURNING 1")
    docs.run("DELETE FROM docs WHERE id < 3")
    assert (sorted(docs.shadows()), docs.left_over()) == (["3"], [])


def test_truncated_table_leaves_nothing(docs):
    docs.land("1", "2")
    docs.run("TRUNCATE docs")
    assert (docs.shadows(), docs.left_over()) == ({}, [])


def test_truncation_waits_for_nobody_who_reads_the_vectors(docs):
    docs.land("1", "2")
    with docs.connect() as other, other.transaction():
        other.execute(f'SELECT FROM "{docs.collection}".vectors_{OWN}')
        docs.run("SET lock_timeout = '2s'; TRUNCATE docs")
    assert (docs.shadows(), docs.left_over()) == ({}, [])


def test_truncate_cascade_of_another_table_leaves_nothing(docs):
    docs.run("CREATE TABLE owners (id bigint PRIMARY KEY); ALTER TABLE docs ADD owner bigint REFERENCES owners")
    docs.run("TRUNCATE owners CASCADE")
    assert (docs.shadows(), docs.left_over()) == ({}, [])


def test_foreign_keys_that_cascade_are_captured(docs):
    docs.run("CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners SELECT id FROM docs")
    docs.run("ALTER TABLE docs ADD FOREIGN KEY (id) REFERENCES owners ON UPDATE CASCADE ON DELETE CASCADE")
    docs.run("DELETE FROM owners WHERE id = 1")
    docs.run("UPDATE owners SET id = 20 WHERE id = 2")
    assert (sorted(docs.shadows()), docs.left_over()) == (["20", "3"], [])


def test_what_is_rolled_back_was_never_captured(docs):
    before = docs.versions()
    with docs.connection.transaction(force_rollback=True):
        docs.run("UPDATE docs SET body = 'changed'")
        docs.run("DELETE FROM docs")
    assert docs.versions() == before


# Who writes, and under what names


def test_role_without_rights_on_the_collection_writes(docs):
    docs.run(f'CREATE ROLE "{docs.schema}"; GRANT USAGE ON SCHEMA "{docs.schema}" TO "{docs.schema}"')
    docs.run(f'GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON docs TO "{docs.schema}"')
    docs.run(f'SET ROLE "{docs.schema}"')
    docs.run("INSERT INTO docs VALUES (4, 'four')")
    docs.run("UPDATE docs SET body = 'changed' WHERE id = 1")
    docs.run("DELETE FROM docs WHERE id = 2")
    docs.run("RESET ROLE")
    assert sorted(docs.shadows()) == ["1", "3", "4"]


def test_nobody_else_may_use_the_functions_of_the_triggers(docs):
    rights = docs.ours(
        """
        SELECT has_function_privilege('public', pg_proc.oid, 'EXECUTE') FROM pg_proc
        JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = %s AND prorettype = 'trigger'::regtype
        """,
        docs.collection,
    )
    assert set(rights) == {(False,)}


HOSTILE = (
    "a b",
    "select",
    'we"ird',
    "new",
    "old",
    "%s",
    "{x}",
    "key",
    "id",
    "keys",
    "known",
    "it's",
    "back\\slash",
    "$1",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_columns_have_any_name(tmp_path, name):
    quoted = f'"{name.replace(chr(34), chr(34) * 2)}'
    key, text, vector, other = (f'{quoted}{part}"' for part in ("", "1", "2", "3"))
    columns = f"{key} bigint PRIMARY KEY, {text} text, {vector} vector(2), {other} text"
    roles = {"text": (f"{name}1",), "vector": f"{name}2", "others": (f"{name}3",)}
    with followed(tmp_path, columns, key=((name, "bigint"),), **roles) as table:
        table.make().install()
        table.run("INSERT INTO docs VALUES (1, 'one', '[1, 2]', 'x'), (2, 'two', '[1, 2]', 'y')")
        table.run(f"UPDATE docs SET {key} = {key} + 5, {text} = 'changed' WHERE {key} = 2".encode())
        table.run(f"DELETE FROM docs WHERE {key} = 1".encode())
        assert table.ours("SELECT id, text, metadata FROM documents") == [("7", "changed", {f"{name}3": "y"})]


def test_role_that_calls_itself_a_replica_is_not_captured_until_all_rows_are_looked_at_again(docs):
    docs.run("SET session_replication_role = replica")
    docs.run("INSERT INTO docs VALUES (4, 'four')")
    docs.run("DELETE FROM docs WHERE id = 1")
    docs.run("RESET session_replication_role")
    docs.fill_again()
    assert sorted(docs.shadows()) == ["2", "3", "4"]


def test_uninstalling_leaves_no_trigger_and_no_shadow(docs):
    for statement in uninstall(docs.captured):
        docs.run(statement.sql)
    docs.run("INSERT INTO docs VALUES (4, 'four')")
    left = docs.ours("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s)", f'"{docs.schema}".docs')
    assert (left, docs.ours("SELECT to_regclass('rows'), to_regclass('documents')")) == ([(0,)], [(None, None)])
