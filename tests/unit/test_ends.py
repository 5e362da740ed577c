"""Models with an announced end: the table that is shipped, and those of a project."""

from __future__ import annotations

from datetime import date

import pytest

from revector._toml import parse_toml
from revector.encoders.ends import ModelEnd, end_of, known_ends, read_ends
from revector.errors import InvalidArgumentError
from revector.evaluation.findings import SOON_DAYS, of_ends

OWN = ModelEnd(("ours",), date(2027, 6, 30), "theirs", "a mail")


def test_every_end_that_is_shipped_has_a_day_and_a_source():
    ends = known_ends()
    models = [model for end in ends for model in end.models]
    assert all(end.source and end.instead for end in ends)
    assert len(set(models)) == len(models)
    assert end_of("text-embedding-004", ends).on == date(2026, 1, 14)
    assert end_of("cohere/Embed-English-v2.0", ends).on == date(2026, 4, 4)
    assert end_of("minilm", ends) is None


def test_the_word_of_a_project_comes_after_ours():
    later = ModelEnd(("text-embedding-004",), date(2030, 1, 1))
    assert end_of("text-embedding-004", [*known_ends(), later]) is later


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ends = 3", "expected [[ends]] tables"),
        ('ends = "x"', "expected [[ends]] tables"),
        ('[[ends]]\nmodels = ["m"]', "needs models"),
        ("[[ends]]\non = 2027-01-31", "needs models"),
        ('[[ends]]\nmodels = "m"\non = 2027-01-31', "sequence of str"),
        ("[[ends]]\nmodels = [3]\non = 2027-01-31", "expected str"),
        ('[[ends]]\nmodels = ["m"]\non = "2027-01-31"', "needs models"),
        ('[[ends]]\nmodels = ["m"]\non = 2027-01-31T00:00:00', "needs models"),
        ('[[ends]]\nmodels = ["m"]\non = 2027-01-31\nday = 3', "has no 'day'"),
        ('[[ends]]\nmodels = ["m"]\non = 2027-01-31\nsource = 3', "expected a string"),
    ],
)
def test_a_table_that_is_none_is_refused_and_named(text, said):
    with pytest.raises(InvalidArgumentError) as error:
        read_ends(parse_toml(text, "file")["ends"], "revector.toml")
    assert said in str(error.value)
    assert "revector.toml" in str(error.value)


@pytest.mark.parametrize(
    ("today", "what", "is_problem", "commands"),
    [
        (date(2027, 1, 1), "will be switched off on 2027-06-30", False, 2),
        (date(2027, 6, 1), "will be switched off on 2027-06-30", True, 2),
        (date(2027, 6, 30), "was switched off on 2027-06-30", True, 1),
    ],
)
def test_an_end_is_told_before_it_comes(today, what, is_problem, commands):
    (found,) = of_ends(["ours", "ours", "another"], [OWN], None, today=today)
    assert what in found.what
    assert "recommends theirs; a mail" in found.why
    assert (found.is_problem, len(found.commands)) == (is_problem, commands)
    assert SOON_DAYS > 0


def test_toml_that_is_none_is_refused_without_its_text():
    with pytest.raises(InvalidArgumentError, match="file is not TOML: see ") as error:
        parse_toml('password = "s3cret', "file")
    assert "s3cret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_byte_order_mark_and_windows_line_ends_are_no_harm():
    assert parse_toml("\ufeffa = 1\r\nb = 2\r\n", "file") == {"a": 1, "b": 2}
