"""Names of tables and columns, as `revector adopt` is given them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revector.backends.postgres.adoption.names import TableName, column_of, columns_of, listed, nearest, table_of
from revector.errors import InvalidArgumentError

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("docs", None, "docs"),
        ("public.docs", "public", "docs"),
        ("Public.Docs", "Public", "Docs"),
        (" public . docs ", "public", "docs"),
        ('"a.b"."c""d"', "a.b", 'c"d'),
        ('" docs "', None, " docs "),
        ("a,b", None, "a,b"),
        ("x; DROP TABLE docs", None, "x; DROP TABLE docs"),
    ],
)
def test_a_table_is_taken_as_it_is_spelled(text, schema, name):
    assert table_of(text) == TableName(schema, name)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("id", ("id",)),
        ("tenant,number", ("tenant", "number")),
        ("Tenant, Number", ("Tenant", "Number")),
        ('"a,b",c.d,"e""f"', ("a,b", "c.d", 'e"f')),
    ],
)
def test_columns_are_taken_as_they_are_spelled(text, columns):
    assert columns_of(text) == columns


@given(st.none() | NAMES, NAMES)
def test_a_table_is_read_as_it_is_shown(schema, name):
    assert table_of(str(TableName(schema, name))) == TableName(schema, name)


@given(st.lists(NAMES, min_size=1))
def test_columns_are_read_as_they_are_shown(columns):
    assert columns_of(listed(columns)) == tuple(columns)


@pytest.mark.parametrize("text", ["", " ", ".", "a.", ".a", "a..b", '"', '"a', 'a"b', '""', '"a"b', "a.b.c", "a\0", 7])
def test_what_names_no_table_is_refused(text):
    with pytest.raises(InvalidArgumentError, match=r"^table is .*expected TABLE or SCHEMA\.TABLE"):
        table_of(text)


@pytest.mark.parametrize("text", ["", ",", "a,", ",a", "a,,b", '"', 'a"b', '""', "a\0", None])
def test_what_names_no_columns_is_refused(text):
    with pytest.raises(InvalidArgumentError, match=r"^id is .*expected COLUMN or COLUMN,COLUMN"):
        columns_of(text, "id")


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidArgumentError, match="not valid Unicode"):
        table_of("\ud800")


def test_one_column_is_asked_for_where_there_is_one():
    assert column_of('"a,b"', "vector") == "a,b"
    with pytest.raises(InvalidArgumentError, match="vector is 'a,b', which names 2 columns; expected one"):
        column_of("a,b", "vector")


def test_names_that_differ_in_case_are_like_each_other():
    assert nearest("DOCS", ["users", "docs", "Docs"]) == ["docs", "Docs"]
