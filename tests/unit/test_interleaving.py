"""Team-draft interleaving: fair to both rankings, whatever is clicked."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revector.rollout.interleaving import Team, preference, team_draft

RANKING = st.lists(st.integers(0, 20), unique=True, max_size=12)
OLD, NEW, BOTH = Team.OLD, Team.NEW, Team.BOTH


@given(RANKING, RANKING, st.integers(1, 30), st.text())
def test_the_merged_list_is_as_long_as_can_be_and_holds_nothing_twice(
    old: list[int], new: list[int], k: int, seed: str
) -> None:
    merged = team_draft(old, new, k, seed).documents
    assert len(merged) == len(set(merged)) == min(k, len({*old, *new}))


@given(RANKING, RANKING, st.integers(0, 2**32))
def test_every_pick_is_the_best_that_its_team_had_left(old: list[int], new: list[int], seed: int) -> None:
    merged = team_draft(old, new, 30, seed)
    rankings = {OLD: old, NEW: new, BOTH: old}
    for place, (document, team) in enumerate(zip(merged.documents, merged.teams, strict=True)):
        assert document == next(one for one in rankings[team] if one not in merged.documents[:place])


@given(st.permutations(range(10)), st.permutations(range(10)), st.integers(0, 2**32))
def test_the_teams_are_equal_in_size_down_to_every_place(old: list[int], new: list[int], seed: int) -> None:
    teams = team_draft(old, new, 10, seed).teams
    assert all(abs(teams[:end].count(OLD) - teams[:end].count(NEW)) <= 1 for end in range(11))


@given(RANKING, RANKING, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_list(old: list[int], new: list[int], seed: int) -> None:
    assert team_draft(old, new, 10, seed) == team_draft(old, new, 10, seed)


def test_what_both_rankings_have_at_the_top_is_nobodys() -> None:
    assert team_draft("abcd", "abdc", 4, 0).teams[:2] == (BOTH, BOTH)


def test_rankings_that_are_alike_are_never_told_apart() -> None:
    assert preference(team_draft("abc", "abc", 3, 0).teams, [0, 1, 2]) == 0


def test_a_reader_who_clicks_at_random_prefers_neither() -> None:
    rng = random.Random(5)
    rankings = [rng.sample(range(10), 10) for _ in range(2)]
    merged = [team_draft(*rankings, 10, query) for query in range(4_000)]
    total = sum(preference(each.teams, [rng.choice((0, 0, 0, 1, 2, 5))]) for each in merged)
    assert abs(total) < 4 * 4_000**0.5


@pytest.mark.parametrize(
    ("clicked", "expected"), [([], 0), ([0], 1), ([1], -1), ([0, 1], 0), ([0, 0, 0, 1], 0), ([0, 2, 1], 1), ([3], 0)]
)
def test_the_team_with_more_clicks_is_preferred(clicked: list[int], expected: int) -> None:
    assert preference((NEW, OLD, NEW, BOTH), clicked) == expected
