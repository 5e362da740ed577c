"""What the checks of arguments take, and that nothing hostile gets another error out of them."""

import numpy as np
import pytest

from revector._arguments import flag, number, shown, strings, valid_unicode, whole_number
from revector.errors import InvalidArgumentError

DEEP = []
for _ in range(100_000):
    DEEP = [DEEP]


class Unspeakable:
    def __repr__(self):
        raise OSError


HOSTILE = [None, "2", b"2", 2.0, float("nan"), True, np.bool_(1), [2], {}, 2j, Unspeakable(), DEEP, np.zeros(2)]


@pytest.mark.parametrize("value", [7, np.int8(7), np.uint64(7), np.array(7)])
def test_integers_of_any_library_are_whole_numbers(value):
    assert type(whole_number(value, "k", least=7)) is int


@pytest.mark.parametrize("value", [*HOSTILE, 0, -(10**5000)], ids=lambda value: type(value).__name__)
def test_what_is_not_a_whole_number_in_range_is_refused_by_name(value):
    with pytest.raises(InvalidArgumentError, match=r"^k is .*expected an integer of at least 1"):
        whole_number(value, "k", least=1)


@pytest.mark.parametrize("value", [0, 0.5, np.float16(0.5), np.int32(3), np.array(0.5)])
def test_real_numbers_are_taken(value):
    assert number(value, "share", least=0) == float(value)


NOT_REAL = [value for value in HOSTILE if not isinstance(value, float) or value != 2.0]


@pytest.mark.parametrize("value", [*NOT_REAL, -0.5, np.inf, 10**5000], ids=lambda value: type(value).__name__)
def test_what_is_not_a_finite_number_in_range_is_refused_by_name(value):
    with pytest.raises(InvalidArgumentError, match=r"^share is .*expected a finite number of at least 0"):
        number(value, "share", least=0)


@pytest.mark.parametrize("value", ["no", 0, None, []])
def test_what_only_counts_as_true_is_not_a_flag(value):
    with pytest.raises(InvalidArgumentError, match=r"^confirm is"):
        flag(value, "confirm")


@pytest.mark.parametrize(
    "value", [["a", "b"], ("a", "b"), (c for c in "ab"), np.array(["a", "b"]), {"a": 1, "b": 2}.keys()]
)
def test_any_iterable_of_str_is_read_once_into_plain_str(value):
    listed = strings(value, "ids")
    assert listed == ["a", "b"]
    assert set(map(type, listed)) == {str}


@pytest.mark.parametrize(
    "value", ["ab", b"ab", {"a": 1}, {"a", "b"}, None, 7, [b"a"], [None], [float("nan")], [["a"]], np.array("a"), DEEP],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_a_sequence_of_str_is_refused_by_name(value):
    with pytest.raises(InvalidArgumentError, match=r"^ids(\[0\])? is .*expected"):
        strings(value, "ids")


def test_half_a_surrogate_pair_is_named_with_its_place():
    with pytest.raises(InvalidArgumentError, match=r"texts\[3\] is not valid Unicode: character 4"):
        valid_unicode("cut \ud83d", "texts[3]")


def test_a_long_value_is_cut_to_a_line():
    assert len(shown("x" * 10_000)) == 80
