"""SQL of what `capture` puts into the collection's schema and on the user's table.

Names in braces are filled in by `fragments`: ``{ids}`` is ``id_1, id_2``, the key as `rows` has it. Columns of the
user's are quoted and follow the name of their table, variables the label of their function, so that none is taken for
another. In functions, `t` is a row as the user's table has it, `p` one of `present`, `r` a shadow; `b` and `a` are what
a row was before the statement and after it.
"""

from __future__ import annotations

from revector.backends.contracts.order import PRIORITY_UPDATED
from revector.ledger.dialect import enqueue_from, turn_of

# Tables and views. `rows` is made of the user's own columns: of their types and collations, with all that is to these.
# It has no CHECK and no generated column, which every statement would read and compile again.
ROWS = """
CREATE TABLE {schema}.rows AS SELECT {keys} FROM {table} AS t WITH NO DATA;
ALTER TABLE {schema}.rows
    {ids_not_null},
    ADD key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    {id_column}
    ADD content_hash text COLLATE "C" NOT NULL,
    ADD has_text boolean NOT NULL,
    ADD updated_at double precision NOT NULL,
    ADD column_seq bigint,
    ADD column_at double precision,
    ADD column_hash text,
    ADD UNIQUE ({ids});
CREATE INDEX ON {schema}.rows (content_hash);
{id_index}
"""
# `column_state`: of which text the vector in the user's column is. `present`: what the user's rows say.
# A LEFT JOIN: whoever asks for nothing that is in the user's table does not read it.
VIEWS = """
CREATE VIEW {schema}.column_state AS
SELECT key AS document_key, column_seq AS seq, column_at AS embedded_at, column_hash AS content_hash
FROM {schema}.rows WHERE column_hash IS NOT NULL;
CREATE VIEW {schema}.documents AS
SELECT r.key, {id} AS id, r.content_hash, r.updated_at, {metadata} AS metadata, {text} AS text
FROM {schema}.rows AS r LEFT JOIN {table} AS t ON {shadow_is_of_row};
CREATE VIEW {schema}.present AS SELECT {facts} FROM {table} AS t
"""
# A row without text has no vector of its text. It is told like a document that no model embeds, and has to be accepted.
SET_ASIDE = """
CREATE FUNCTION {schema}.set_aside() RETURNS trigger LANGUAGE plpgsql AS $set_aside$
BEGIN
    NEW.state := 'failed';
    NEW.error := 'the row has no text: its text columns are null or empty';
    RETURN NEW;
END
$set_aside$;
REVOKE ALL ON FUNCTION {schema}.set_aside() FROM PUBLIC;
CREATE TRIGGER set_aside BEFORE INSERT OR UPDATE ON {schema}.jobs
    FOR EACH ROW WHEN (NEW.state = 'pending' AND NEW.content_hash = {empty_hash})
    EXECUTE FUNCTION {schema}.set_aside()
"""
LIVE = """
CREATE OR REPLACE VIEW {schema}.live AS
SELECT generation, in_column
FROM unnest({generations}::integer[], {in_column}::boolean[]) AS live (generation, in_column)
"""
FILLING = """
CREATE TABLE {schema}.filling AS SELECT {ids} FROM {schema}.rows WITH NO DATA;
ALTER TABLE {schema}.filling
    ADD only_row integer PRIMARY KEY CHECK (only_row = 1),
    ADD state text NOT NULL CHECK (state IN ('rows', 'wait', 'gone', 'done')),
    ADD ended xid8,
    ADD swept bigint NOT NULL DEFAULT 0,
    ADD is_again boolean NOT NULL DEFAULT false;
INSERT INTO {schema}.filling (only_row, state) VALUES (1, 'rows')
"""
FILL_AGAIN = """
DELETE FROM {schema}.missed;
UPDATE {schema}.filling SET state = 'rows', {no_ids}, ended = NULL, swept = 0, is_again = true
"""
# A row says that something was written which nobody could take notice of. It has no key that writers would wait for.
MISSED = "CREATE TABLE {schema}.missed (at timestamptz NOT NULL)"
DROP = """
DROP FUNCTION IF EXISTS {schema}.set_aside() CASCADE;
DROP FUNCTION IF EXISTS {schema}.inserted(), {schema}.updated(), {schema}.deleted(), {schema}.truncated(),
    {schema}.fill(integer), {schema}.forget(bigint[]), {schema}.forget_all();
DROP VIEW IF EXISTS {schema}.documents, {schema}.present, {schema}.column_state, {schema}.live;
DROP TABLE IF EXISTS {schema}.filling, {schema}.missed, {schema}.rows
"""

# What is said in several places, each after those that it needs
FRAGMENTS = {
    "facts": """
        {named}, encode(sha256(convert_to({text}, 'UTF8')), 'hex') AS content_hash, {updated_at} AS updated_at,
        {vector} IS NOT NULL AS has_vector
    """,
    "facts_of_slice": """
        SELECT p.* FROM present AS p WHERE ({present_ids}) >= ({progress_ids}) ORDER BY {present_ids} LIMIT most + 1
    """,
    "shadow_before": "(SELECT r.key FROM rows AS r WHERE {shadow_is_of_before})",
    "shadow_after": "(SELECT r.key FROM rows AS r WHERE {shadow_is_of_after})",
    "old_ids": "(SELECT {keys} FROM old_rows AS t) AS b",
    "new_ids": "(SELECT {keys} FROM new_rows AS t) AS a",
    "all_ids": "(SELECT {keys} FROM old_rows AS t UNION SELECT {keys} FROM new_rows AS t) AS b",
    "facts_new": "SELECT p.* FROM {new_ids} JOIN present AS p ON {present_is_after}",
    "shadow_of_row": "(SELECT r.key FROM rows AS r WHERE {shadow_is_of_row})",
    "facts_before": "SELECT {facts} FROM old_rows AS t WHERE {shadow_of_row} IS NULL",
    "facts_missing": "SELECT p.* FROM {all_ids} JOIN present AS p ON {present_is_before} WHERE {shadow_before} IS NULL",
    "is_gone": "(SELECT true FROM present AS p WHERE {present_is_before}) IS NULL",
    "is_orphan": "(SELECT true FROM present AS p WHERE {present_is_of_shadow}) IS NULL",
    "is_written": "a.vector IS NOT NULL AND ROW(b.vector)::record *<> ROW(a.vector)::record",
    "is_moved": "ROW({ids_before})::record *<> ROW({ids_after})::record",
    # The rows that a statement has changed, before and after it.
    "pairs": """
        (SELECT row_number() OVER () AS place, {seen} FROM old_rows AS t) AS b
        FULL JOIN (SELECT row_number() OVER () AS place, {seen} FROM new_rows AS t) AS a ON a.place = b.place
        WHERE ROW({before})::record *<> ROW({after})::record
    """,
    # Not where a trigger kept a row from moving to its partition.
    "are_paired": "(SELECT count(*) FROM old_rows) = (SELECT count(*) FROM new_rows)",
}

# Functions
TRIGGER_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.{function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {settings} AS {body};
REVOKE ALL ON FUNCTION {schema}.{function}() FROM PUBLIC
"""
FILL_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.fill(most integer) RETURNS text LANGUAGE plpgsql {settings} SET lock_timeout = 500
AS {body}
"""
FORGET_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.forget(gone bigint[]) RETURNS void LANGUAGE plpgsql AS {body}
"""
# Plans are made once a session, whatever number of rows the first statement had. So they are kept to the one shape that
# is good for a row as for a million of them, nested loops over indexes; a FULL JOIN cannot be one, and needs no index.
SETTINGS = """
SET search_path = {path} {steady} SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
"""

# Shadows are locked before jobs, as by whoever lands vectors: they would wait for each other else.
FORGET = """
BEGIN
    PERFORM FROM rows AS r WHERE r.key = ANY(gone) ORDER BY r.key FOR UPDATE;
    DELETE FROM jobs WHERE generation = ANY({generations}::integer[]) AND document_key = ANY(gone);
    DELETE FROM rows WHERE key = ANY(gone);
    DELETE FROM access WHERE document_key = ANY(gone);
    {vectors}
END
"""
FORGET_VECTORS = "DELETE FROM {vectors} WHERE document_key = ANY(gone);"
FORGET_ALL_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.forget_all() RETURNS boolean LANGUAGE plpgsql AS {body}
"""
# Tell whether that was possible at once: who reads these tables is not to be waited for by one who has the user's.
FORGET_ALL = """
BEGIN
    LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT;
    TRUNCATE {tables};
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
"""

_SEQ = "pg_current_xact_id()::text::bigint + (SELECT moment.shift FROM moment)"
_NOW = "extract(epoch FROM clock_timestamp())::double precision"
_TURN = turn_of("changed.key", "live.generation::bigint")
_WANTED = f"""
    SELECT live.generation, changed.key, changed.content_hash, {PRIORITY_UPDATED}, {_TURN} FROM changed CROSS JOIN live
    WHERE CASE WHEN live.in_column THEN changed.is_stale ELSE changed.is_retold END
    ORDER BY changed.key
"""


def _shadow(facts: str, *, believed: str = "has_vector") -> str:
    """Return the beginning of a statement that gives shadows to rows without one.

    The vectors of which `believed` holds are of the rows' texts; the others are made again.
    """
    return f"""
    WITH found AS ({{{facts}}} OFFSET 0), changed AS (
        INSERT INTO rows ({{names}}, content_hash, has_text, updated_at, column_seq, column_at, column_hash)
        SELECT {{names}}, content_hash, content_hash <> {{empty_hash}}, updated_at,
            CASE WHEN {believed} THEN {_SEQ} END, CASE WHEN {believed} THEN {_NOW} END,
            CASE WHEN {believed} THEN content_hash END
        FROM found
        ON CONFLICT ({{ids}}) DO NOTHING
        RETURNING key, content_hash, column_hash IS NULL AS is_stale, true AS is_retold
    ), asked AS (INSERT INTO jobs (generation, document_key, content_hash, priority, turn) {_WANTED})
    """


# Bring the shadows `keys` up to date; the vectors of those `written` are of the present texts.
_RENEW = f"""
    WITH found AS (
        SELECT r.key, p.content_hash, p.content_hash <> r.content_hash AS is_retold, p.updated_at, p.has_vector,
            p.has_vector AND touched.written AS is_written
        FROM unnest(known.keys, known.written) AS touched (key, written)
        JOIN rows AS r ON r.key = touched.key JOIN present AS p ON {{present_is_of_shadow}}
        ORDER BY r.key
    ), changed AS (
        UPDATE rows AS r SET
            content_hash = found.content_hash,
            has_text = found.content_hash <> {{empty_hash}},
            updated_at = CASE WHEN is_retold THEN found.updated_at ELSE r.updated_at END,
            column_seq = CASE WHEN is_written THEN {_SEQ} WHEN has_vector THEN column_seq END,
            column_at = CASE WHEN is_written THEN {_NOW} WHEN has_vector THEN column_at END,
            column_hash = CASE WHEN is_written THEN found.content_hash WHEN has_vector THEN column_hash END
        FROM found
        WHERE r.key = found.key AND (is_retold OR is_written OR has_vector <> (column_hash IS NOT NULL))
        RETURNING r.key, r.content_hash, column_hash IS DISTINCT FROM r.content_hash AS is_stale, is_retold
    ), asked AS ({enqueue_from(_WANTED).text})
    DELETE FROM jobs USING changed CROSS JOIN live
    WHERE jobs.generation = live.generation AND jobs.document_key = changed.key
    AND live.in_column AND NOT changed.is_stale;
"""


def _forget(shadows: str) -> str:
    """Return the statements that remove shadows with all that belongs to them."""
    return f"""
    SELECT array_agg(shadow.key) INTO known.keys FROM ({shadows}) AS shadow WHERE shadow.key IS NOT NULL;
    IF known.keys IS NOT NULL THEN
        PERFORM forget(known.keys);
    END IF;
    """


# Shadows follow their keys, in two steps: what moves to a key that another row has had until now would meet its shadow.
# That of a row which the same statement deletes may still be there.
_MOVED = "FROM {pairs} AND {is_moved} AND {are_paired}"
_MOVE = f"""
    {_forget(f"SELECT {{shadow_after}} AS key {_MOVED} EXCEPT SELECT {{shadow_before}} {_MOVED}")}
    WITH moved AS MATERIALIZED (SELECT {{shadow_before}} AS key, {{names_to}} {_MOVED}), taken AS (
        DELETE FROM rows AS r USING moved WHERE r.key = moved.key
        RETURNING r.key, {{names_moved}}, content_hash, has_text, updated_at, column_seq, column_at, column_hash
    )
    INSERT INTO rows (key, {{names}}, content_hash, has_text, updated_at, column_seq, column_at, column_hash)
    OVERRIDING SYSTEM VALUE SELECT * FROM taken ORDER BY key
    ON CONFLICT DO NOTHING;
"""


def _unless_changed(read: str) -> str:
    """Return the statements that give up where the user's table is not what it was: a column is called otherwise, say.

    The user's statement must not fail then. It is tried whether all that follows can be planned, and nothing is read:
    a subtransaction that writes nothing has no number, and is as good as free. One around what follows would take a
    number for every statement, and from 64 in a transaction on, all others' snapshots are slower.
    """
    return f"""
    BEGIN
        PERFORM FROM {read} WHERE false;
    EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
        INSERT INTO missed SELECT statement_timestamp() WHERE NOT EXISTS (SELECT FROM missed);
        RETURN NULL;
    END;
    """


_INSERTED = f"""
<<known>>
DECLARE
    keys bigint[];
    written boolean[];
    all_new boolean;
BEGIN
    {_unless_changed("{new_ids}, present AS p")}
    {_shadow("facts_new")}
    SELECT (SELECT count(*) FROM changed) = (SELECT count(*) FROM new_rows) INTO known.all_new;
    IF NOT known.all_new THEN
        SELECT array_agg(shadow.key), array_agg(true) INTO known.keys, known.written
        FROM (SELECT {{shadow_after}} AS key FROM {{new_ids}}) AS shadow WHERE shadow.key IS NOT NULL;
        {_RENEW}
    END IF;
    RETURN NULL;
END
"""
_UPDATED = f"""
<<known>>
DECLARE
    keys bigint[];
    written boolean[];
    moved boolean;
    made bigint;
BEGIN
    {_unless_changed("(SELECT {facts} FROM new_rows AS t) AS a, present AS p")}
    SELECT array_agg(pair.key), array_agg(pair.written), bool_or(pair.moved)
    INTO known.keys, known.written, known.moved
    FROM (SELECT {{shadow_before}} AS key, {{is_written}} AS written, {{is_moved}} AS moved FROM {{pairs}}) AS pair;
    IF known.keys IS NULL THEN
        RETURN NULL;
    END IF;
    IF known.moved OR array_position(known.keys, NULL) IS NOT NULL THEN
        {_shadow("facts_before")} SELECT count(*) INTO known.made FROM changed;
        {_MOVE}
        {_forget("SELECT {shadow_before} AS key FROM {all_ids} WHERE {is_gone}")}
        {_shadow("facts_missing")} SELECT count(*) INTO known.made FROM changed;
        SELECT array_agg(pair.key), array_agg(pair.written) INTO known.keys, known.written
        FROM (SELECT {{shadow_after}} AS key, {{is_written}} AND {{are_paired}} AS written FROM {{pairs}}) AS pair
        WHERE pair.key IS NOT NULL;
    END IF;
    {_RENEW}
    RETURN NULL;
END
"""
_DELETED = f"""
<<known>>
DECLARE
    keys bigint[];
BEGIN
    {_unless_changed("{old_ids}, present AS p")}
    {_forget("SELECT {shadow_before} AS key FROM {old_ids} WHERE {is_gone}")}
    RETURN NULL;
END
"""
_TRUNCATED = f"""
<<known>>
DECLARE
    keys bigint[];
BEGIN
    {_unless_changed("present AS p")}
    IF NOT EXISTS (SELECT FROM present) THEN
        IF forget_all() THEN
            RETURN NULL;
        END IF;
    END IF;
    {_forget("SELECT r.key FROM rows AS r WHERE {is_orphan}")}
    RETURN NULL;
END
"""
FUNCTIONS = {"inserted": _INSERTED, "updated": _UPDATED, "deleted": _DELETED, "truncated": _TRUNCATED}

# Rows that were written unseen: nobody knows of which text their vectors are. They are locked as by who writes them.
_COMPARE = f"""
    IF progress.is_again THEN
        SELECT array_agg(r.key), array_agg(false) INTO known.keys, known.written
        FROM ({{facts_of_slice}}) AS p JOIN rows AS r ON {{present_is_of_shadow}}
        WHERE p.content_hash <> r.content_hash OR p.has_vector <> (r.column_hash IS NOT NULL);
        PERFORM FROM rows AS r JOIN {{table}} AS t ON {{shadow_is_of_row}}
        WHERE r.key = ANY(known.keys) ORDER BY r.key FOR NO KEY UPDATE OF t;
        {_RENEW}
    END IF;
"""
FILL = f"""
<<known>>
DECLARE
    progress filling;
    keys bigint[];
    written boolean[];
    last bigint;
BEGIN
    SELECT * INTO known.progress FROM filling FOR UPDATE;
    IF progress.state = 'rows' THEN
        IF progress.id_1 IS NULL THEN
            SELECT {{present_ids}} INTO {{progress_ids}} FROM present AS p ORDER BY {{present_ids}} LIMIT 1;
        END IF;
        {_COMPARE}
        {_shadow("facts_of_slice", believed="has_vector AND NOT progress.is_again")}
        UPDATE filling SET
            ({{ids}}) = (SELECT {{ids}} FROM found ORDER BY {{ids_down}} LIMIT 1),
            state = CASE WHEN (SELECT count(*) FROM found) <= most THEN 'wait' ELSE 'rows' END,
            ended = pg_current_xact_id();
    ELSIF progress.state = 'wait' AND pg_snapshot_xmin(pg_current_snapshot()) > progress.ended THEN
        UPDATE filling SET state = 'gone';
    ELSIF progress.state = 'gone' THEN
        SELECT max(shadow.key), array_agg(shadow.key) FILTER (WHERE shadow.is_orphan) INTO known.last, known.keys
        FROM (
            SELECT r.key, {{is_orphan}} AS is_orphan FROM rows AS r
            WHERE r.key > progress.swept ORDER BY r.key LIMIT most
        ) AS shadow;
        IF known.keys IS NOT NULL THEN
            PERFORM FROM rows AS r WHERE r.key = ANY(known.keys) ORDER BY r.key FOR UPDATE;
            PERFORM forget(array_agg(r.key)) FROM rows AS r WHERE r.key = ANY(known.keys) AND {{is_orphan}};
        END IF;
        UPDATE filling SET
            state = CASE WHEN known.last IS NULL THEN 'done' ELSE 'gone' END, swept = coalesce(known.last, swept);
    END IF;
    RETURN (SELECT filling.state FROM filling);
END
"""

TRIGGERS = """
CREATE OR REPLACE TRIGGER {inserted} AFTER INSERT ON {on} REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.inserted();
CREATE OR REPLACE TRIGGER {updated} AFTER UPDATE ON {on} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.updated();
CREATE OR REPLACE TRIGGER {deleted} AFTER DELETE ON {on} REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.deleted();
CREATE OR REPLACE TRIGGER {truncated} AFTER TRUNCATE ON {on} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.truncated()
"""
UNCOVERED = """
WITH RECURSIVE part (oid) AS (
    SELECT {table}::regclass::oid UNION SELECT inhrelid FROM pg_inherits JOIN part ON inhparent = part.oid
)
SELECT nspname, relname FROM part JOIN pg_class ON pg_class.oid = part.oid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE (
    SELECT count(*) FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    JOIN pg_namespace AS ours ON ours.oid = pronamespace
    WHERE tgrelid = part.oid AND tgenabled IN ('O', 'A') AND ours.nspname = {schema}
) < 4 ORDER BY nspname, relname
"""
