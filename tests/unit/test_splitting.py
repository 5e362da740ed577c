"""Who sees the new arm of a rollout."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revector.errors import InvalidArgumentError
from revector.rollout.splitting import Ramp, Step, in_new_arm, place

SHARE = st.floats(0, 1)


@given(st.text(), st.text(), SHARE, SHARE)
def test_a_growing_share_keeps_whom_it_has(key: str, salt: str, share: float, other: float) -> None:
    assert in_new_arm(key, salt, max(share, other)) or not in_new_arm(key, salt, min(share, other))


@given(st.text(), st.text())
def test_nobody_is_in_an_arm_of_nothing_and_everybody_in_one_of_all(key: str, salt: str) -> None:
    assert (in_new_arm(key, salt, 0.0), in_new_arm(key, salt, 1.0)) == (False, True)


def test_a_key_has_the_same_place_in_every_process_and_release() -> None:
    found = [round(place(key, "one"), 9) for key in ("ada", "", "日本")]
    assert found == [0.690604759, 0.652700212, 0.364658471]


def test_places_are_uniform() -> None:
    """Kolmogorov's distance of 20,000 keys; one time in a thousand it is above 1.95 by the root of their number."""
    places = sorted(place(f"user-{at}", "rollout 7") for at in range(20_000))
    distance = max(abs(found - at / len(places)) for at, found in enumerate(places))
    assert distance < 1.95 / math.sqrt(len(places))


def test_another_salt_draws_anew() -> None:
    keys = [f"user-{at}" for at in range(20_000)]
    both = sum(in_new_arm(key, "a", 0.5) and in_new_arm(key, "b", 0.5) for key in keys)
    assert both == pytest.approx(5_000, abs=250)


def test_a_ramp_begins_with_both_arms_alike() -> None:
    assert Ramp((0.01, 0.5), 10).steps == (Step(0.01, 10, same=True), Step(0.01, 10), Step(0.5, 10))


@pytest.mark.parametrize("shares", [(), (0.5, 0.1), (0.1, 0.1), (0.0, 1.0), (0.5, 1.5), "0.1", None, (0.1, math.nan)])
def test_shares_that_do_not_grow_are_refused(shares: object) -> None:
    with pytest.raises(InvalidArgumentError, match="shares"):
        Ramp(shares)  # type: ignore[arg-type]
